"""The steps of scoring as Beam knows them: thin wraps of the pure functions."""

import dataclasses
import json
from collections.abc import Iterable

import pyarrow as pa
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.pvalue import TaggedOutput

from pipeline import progress
from pipeline.buckets import CONVERSATION_HASH
from pipeline.conversations import order_conversations
from pipeline.overlap import OverlappedDoFn
from pipeline.predictions import predictions_table, write_predictions
from pipeline.predictions_directory import progress_file, read_finished
from pipeline.read_stages import COUNTS, rejected_by_file
from pipeline.score_metrics import label_counts
from pipeline.score_options import ScoreConfig
from pipeline.scoring import Answers, TextWindows, numeric_columns, scoring_columns, target_turns
from pipeline.turns import Reject, from_ipc, reject_of, to_ipc, turn_schema
from pipeline.write import atomic_file
from schemas.model_description import ModelDescription
from schemas.predictions_directory import shard_name

FAILED = "scoring_failed"


class OrderBucket(OverlappedDoFn):
    """(bucket, turns as IPC bytes) to (bucket, `scoring_columns` as IPC bytes).

    Also `rejects` and `counts` as `ReadTurns`. A bucket that an earlier run has finished gives what was known of it, if
    its shard is as that run wrote it.

    Args:
        directory: of the predictions.
        description: of the model.
        target_speakers: whose turns are scored.
        finished: {bucket: file with what is known of it}.
    """

    stage = "order"

    def __init__(
        self,
        directory: str,
        description: ModelDescription,
        target_speakers: tuple[str, ...],
        finished: dict[int, str],
    ):
        self._directory = directory
        self._description = description
        self._target_speakers = target_speakers
        self._finished = finished

    def work(self, element: tuple[int, Iterable[bytes]]) -> tuple[int, list]:
        """Orders one bucket."""
        bucket, chunks = element
        numeric = numeric_columns(self._description)
        empty = turn_schema(numeric).append(pa.field(CONVERSATION_HASH, pa.uint64())).empty_table()
        turns = pa.concat_tables([empty, *(from_ipc(chunk) for chunk in chunks if chunk)])
        conversations = order_conversations(turns)
        columns = scoring_columns(conversations, numeric)
        history_only = columns.num_rows - len(target_turns(columns, self._target_speakers))
        outputs: list = [TaggedOutput(COUNTS, {"books": {"history_only": history_only}})]
        outputs += rejected_by_file(conversations.rejects)
        facts = read_finished(self._directory, self._finished[bucket]) if bucket in self._finished else None
        if facts is None:
            outputs.append((bucket, to_ipc(columns)))
        else:
            rejects = [Reject(**reject) for reject in facts.pop("rejects")]
            outputs += [TaggedOutput(COUNTS, facts), *rejected_by_file(rejects)]
            progress.advance("score", facts["books"]["scored"])
        return turns.num_rows, outputs


class WritePredictions(OverlappedDoFn):
    """What RunInference gives of a bucket to its counts; writes its shard. Also `rejects` as `ReadTurns`.

    The next bucket is scored meanwhile.

    Args:
        directory: to write to.
        buckets: how many there are.
        description: of the model.
        config: what is written.
    """

    stage = "score"

    def __init__(self, directory: str, buckets: int, description: ModelDescription, config: ScoreConfig):
        self._directory = directory
        self._buckets = buckets
        self._description = description
        self._config = config

    def work(self, result: PredictionResult) -> tuple[int, list]:
        """Writes one bucket's shard."""
        bucket, windows = result.example
        answers, config = result.inference, self._config
        table = predictions_table(windows.ids(), answers, self._description, config)
        name = shard_name(bucket, self._buckets, config.extension)
        shard = write_predictions(self._directory, name, table, config.extension)
        rejects = failures(windows, answers)
        facts = {
            "shards": {shard.name: {"records": shard.records, "sha256": shard.sha256}},
            "books": {"scored": shard.records},
            "compared": label_counts(windows.truth(), answers, self._description.labels, config.label_map),
        }
        # Written after the shard: with it, the shard is whole.
        with atomic_file(progress_file(self._directory, bucket)) as file:
            file.write(json.dumps({**facts, "rejects": [dataclasses.asdict(reject) for reject in rejects]}).encode())
        return shard.records, [facts, *rejected_by_file(rejects)]


def failures(windows: TextWindows, answers: Answers) -> list[Reject]:
    """The turns without an answer as rejects, with the reason in their content."""
    failed = sorted(answers.failures)
    places = windows.ids().take(pa.array(failed, pa.int64())).to_pylist()
    rejects = []
    for window, place, row in zip(failed, places, windows.rows(failed), strict=True):
        content = json.dumps({"error": answers.failures[window], **row}, ensure_ascii=False)
        rejects.append(
            reject_of(place["source"], place["position"], place["nested"], FAILED, content.encode("utf-8", "replace"))
        )
    return rejects

