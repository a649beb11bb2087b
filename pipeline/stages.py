"""The steps of the data job as Beam knows them: thin wraps of the pure functions."""

import itertools
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from pipeline.analyse import Learning, add_counts, bucket_columns, merge_moments, most_common, train_token_counts
from pipeline.buckets import CONVERSATION_HASH
from pipeline.conversations import order_conversations
from pipeline.data_directory import read_vocabulary
from pipeline.encode import BucketWindows, Learnt, Windowing
from pipeline.overlap import OverlappedDoFn
from pipeline.read_stages import COUNTS, rejected_by_file
from pipeline.text import compile_spacer
from pipeline.tokens import count_tokens_schema, merge_counts
from pipeline.transform import VOCABULARY_NAME
from pipeline.turns import from_ipc, to_ipc, turn_schema
from pipeline.write import write_shard
from schemas.data_directory import SPLITS

FACTS, TOKEN_COUNTS, WINDOW_KEYS = "facts", "token_counts", "window_keys"
# Keys of windows are compared so many to a worker's part: 10 thousand million windows make 1.2 GB each.
KEY_PARTS = 64


class AnalyseBucket(OverlappedDoFn):
    """(bucket, turns as IPC bytes) to (bucket, columns of its windows as IPC bytes).

    Also `rejects` and `counts` as `ReadTurns`; `facts` to (bucket, facts); `token_counts` to IPC bytes.
    """

    stage = "analyse"

    def __init__(self, learning: Learning, tokenizer: str):
        self._learning = learning
        self._tokenizer = tokenizer

    def setup(self) -> None:
        """Compiles the tokenizer."""
        super().setup()
        self._space = compile_spacer(self._tokenizer)

    def work(self, element: tuple[int, Iterable[bytes]]) -> tuple[int, list]:
        """Analyses one bucket."""
        bucket, chunks = element
        turns = pa.concat_tables([self._no_turns(), *(from_ipc(chunk) for chunk in chunks if chunk)])
        conversations = order_conversations(turns)
        columns, facts = bucket_columns(conversations, self._space, self._learning)
        outputs = [
            (bucket, to_ipc(columns)),
            TaggedOutput(FACTS, (bucket, facts)),
            TaggedOutput(COUNTS, {name: facts[name] for name in ("books", "dropped", "splits")}),
            TaggedOutput(TOKEN_COUNTS, to_ipc(train_token_counts(columns))),
        ]
        outputs += rejected_by_file(conversations.rejects)
        return turns.num_rows, outputs

    def _no_turns(self) -> pa.Table:
        schema = turn_schema(self._learning.numeric_features)
        return schema.append(pa.field(CONVERSATION_HASH, pa.uint64())).empty_table()


class MergeTokenCounts(beam.CombineFn):
    """Adds up token counts, IPC bytes in and out."""

    FAN_IN = 32

    def create_accumulator(self) -> list[bytes]:
        """No counts."""
        return []

    def add_input(self, accumulator: list[bytes], counts: bytes) -> list[bytes]:
        """Adds one table."""
        return self._shorten([*accumulator, counts])

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        """Adds all tables."""
        return self._shorten(list(itertools.chain.from_iterable(accumulators)))

    def extract_output(self, accumulator: list[bytes]) -> bytes:
        """The sum of all."""
        return to_ipc(merge_counts([count_tokens_schema().empty_table(), *map(from_ipc, accumulator)]))

    def _shorten(self, accumulator: list[bytes]) -> list[bytes]:
        return [self.extract_output(accumulator)] if len(accumulator) > self.FAN_IN else accumulator


def learn(facts: list[tuple[int, dict]]) -> dict:
    """What all buckets' facts say: `labels` (by name), `speakers`, `target_speakers`, `mean` and `scale`."""
    ordered = [fact for _, fact in sorted(facts, key=lambda item: item[0])]
    train = add_counts(fact["splits"]["train"] for fact in ordered)
    mean, scale = merge_moments([fact["moments"] for fact in ordered])
    return {
        "labels": sorted(train["labels"]),
        "speakers": most_common(train["speakers"]),
        "target_speakers": most_common(train["target_speakers"]),
        "mean": mean,
        "scale": scale,
    }


class WriteWindows(OverlappedDoFn):
    """(bucket, columns as IPC bytes) to facts with the bucket's shards, which it writes.

    Also `window_keys` to (part, (split, keys)).

    Args:
        directory: to write to.
        buckets: how many there are.
        windowing: how windows are made.
    """

    stage = "write"

    def __init__(self, directory: str, buckets: int, windowing: Windowing):
        self._directory = directory
        self._buckets = buckets
        self._windowing = windowing

    def work(self, element: tuple[int, bytes], learnt: dict, transform_fn: str) -> tuple[int, list]:
        """Writes the shards of one bucket."""
        bucket, columns = element
        vocabulary = read_vocabulary(FileSystems.join(transform_fn, "assets", VOCABULARY_NAME))
        names = ("labels", "speakers", "mean", "scale")
        windows = BucketWindows(
            from_ipc(columns), Learnt(vocabulary, *(learnt[name] for name in names)), self._windowing
        )
        facts, outputs = {}, []
        for number, split in enumerate(SPLITS):
            shard = write_shard(self._directory, number, bucket, self._buckets, windows.chunks(number))
            facts[split] = windows.facts(number)
            outputs.append({"shards": {shard.name: {"records": shard.records, "sha256": shard.sha256}}})
            outputs += self._keys(number, windows.window_keys(number))
        return sum(fact["windows"] for fact in facts.values()), [*outputs, {"splits": facts}]

    def _keys(self, split: int, keys: np.ndarray) -> list[TaggedOutput]:
        parts = keys % np.uint64(KEY_PARTS)
        return [
            TaggedOutput(WINDOW_KEYS, (int(part), (split, keys[parts == part].tobytes()))) for part in np.unique(parts)
        ]


def duplicates_across_splits(element: tuple[int, Iterable[tuple[int, bytes]]]) -> dict:
    """Facts: how many windows of each other split have a key that some train window has too."""
    keys = {split: [np.empty(0, np.uint64)] for split in range(len(SPLITS))}
    for split, data in element[1]:
        keys[split].append(np.frombuffer(data, np.uint64))
    train = np.unique(np.concatenate(keys[0]))
    return {
        "splits": {
            name: {"windows_also_in_train": int(np.isin(np.concatenate(keys[number]), train).sum())}
            for number, name in enumerate(SPLITS)
            if number
        }
    }
