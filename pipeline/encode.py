"""Windows of a bucket as columns of Examples."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from pipeline.analyse import SPLIT, TARGET, scalar_values
from pipeline.conversations import CONVERSATION
from pipeline.tokens import TOKENS, look_up, sequence_keys
from pipeline.transform import z_score
from pipeline.windows import gather_ragged, previous_turns, window_slots
from schemas.examples import EMPTY_SPEAKER_ID, EXAMPLE_FEATURES, FIRST_SPEAKER_ID, UNKNOWN_SPEAKER_ID

# Windows are encoded so many at a time, fewer where labels are many: multi-hot rows of 64-bit numbers take the memory.
CHUNK_WINDOWS = 20_000
CHUNK_LABEL_CELLS = 8_000_000


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What the train split taught.

    Attributes:
        vocabulary: tokens in the order of their ids.
        labels: label names in the order of the multi-hot vectors.
        speakers: speaker names in the order of their ids from `FIRST_SPEAKER_ID` on.
        mean, scale: of the scalars, float32 [F].
    """

    vocabulary: pa.Array
    labels: list[str]
    speakers: list[str]
    mean: np.ndarray
    scale: np.ndarray


@dataclasses.dataclass(frozen=True)
class Windowing:
    """How windows are made: `scalars` names the numeric features, `same_speaker` restricts the history."""

    history_turns: int
    same_speaker: bool
    scalars: tuple[str, ...]


class BucketWindows:
    """All windows of a bucket, made split by split and chunk by chunk.

    Args:
        columns: from `analyse.bucket_columns`.
        learnt: from the train split.
        windowing: how.
    """

    def __init__(self, columns: pa.Table, learnt: Learnt, windowing: Windowing):
        self._columns = columns
        self._learnt = learnt
        self._windowing = windowing
        tokens = columns[TOKENS].combine_chunks()
        self._ids = look_up(tokens, learnt.vocabulary)
        self._offsets = tokens.offsets.to_numpy().astype(np.int64)
        self._offsets -= self._offsets[0] if len(self._offsets) else 0
        self._keys = sequence_keys(self._ids, self._offsets)
        speaker = columns["speaker"].combine_chunks()
        known = pc.index_in(speaker.dictionary, pa.array(learnt.speakers, pa.string()))
        speaker_ids = pc.add(known, FIRST_SPEAKER_ID).fill_null(UNKNOWN_SPEAKER_ID).to_numpy().astype(np.int64)
        codes = speaker.indices.to_numpy()
        self._speakers = speaker_ids[codes]
        self._previous = previous_turns(columns[CONVERSATION].to_numpy(), codes if windowing.same_speaker else None)
        labels = columns["labels"].combine_chunks()
        self._label_turns = pc.list_parent_indices(labels).to_numpy()
        label_ids = pc.index_in(labels.flatten(), pa.array(learnt.labels, pa.string()))
        self._label_ids = label_ids.fill_null(-1).to_numpy()

    def targets(self, split: int) -> np.ndarray:
        """The turns with a window in a split."""
        return np.flatnonzero((self._columns[SPLIT].to_numpy() == split) & self._columns[TARGET].to_numpy())

    def chunks(self, split: int) -> Iterator[pa.RecordBatch]:
        """The windows of a split, in order: list columns named after `EXAMPLE_FEATURES`."""
        targets = self.targets(split)
        rows = min(CHUNK_WINDOWS, max(1, CHUNK_LABEL_CELLS // max(1, len(self._learnt.labels))))
        for start in range(0, len(targets), rows):
            yield self._encode(targets[start : start + rows])

    def window_keys(self, split: int) -> np.ndarray:
        """A 64-bit key of the token ids of each window of a split, uint64."""
        slots = window_slots(self.targets(split), self._previous, self._windowing.history_turns)
        keys = np.append(self._keys, 0)[slots]
        return sequence_keys(keys.ravel(), np.arange(len(keys) + 1) * slots.shape[1]).astype(np.uint64)

    def facts(self, split: int) -> dict:
        """Counts for the statistics: windows, tokens, out-of-vocabulary tokens, unseen labels, pairs of labels."""
        inside = self._columns[SPLIT].to_numpy() == split
        ids = self._ids[np.repeat(inside, np.diff(self._offsets))]
        pairs, unseen = self._label_facts(self.targets(split))
        return {
            "windows": len(self.targets(split)),
            "tokens": len(ids),
            "out_of_vocabulary": int((ids == len(self._learnt.vocabulary) + 1).sum()),
            "unseen_labels": unseen,
            "cooccurrence": pairs,
        }

    def _label_facts(self, targets: np.ndarray) -> tuple[dict, dict]:
        rows = np.full(self._columns.num_rows, -1)
        rows[targets] = np.arange(len(targets))
        inside = rows[self._label_turns] >= 0
        known = inside & (self._label_ids >= 0)
        cells = (np.ones(known.sum(), np.int64), (rows[self._label_turns[known]], self._label_ids[known]))
        multi_hot = csr_matrix(cells, (len(targets), len(self._learnt.labels)))
        multi_hot.data[:] = 1
        together = (multi_hot.T @ multi_hot).tocoo()
        pairs = {f"{a} {b}": int(n) for a, b, n in zip(together.row, together.col, together.data, strict=True) if a < b}
        names = self._columns["labels"].combine_chunks().flatten().filter(pa.array(inside & ~known))
        return pairs, {item["values"]: item["counts"] for item in pc.value_counts(names).to_pylist()}

    def _encode(self, targets: np.ndarray) -> pa.RecordBatch:
        slots = window_slots(targets, self._previous, self._windowing.history_turns)
        positions, lengths = gather_ragged(self._offsets, slots)
        values = scalar_values(self._columns, self._windowing.scalars, targets)
        columns = {
            "token_ids": _lists(self._ids[positions], np.concatenate([[0], np.cumsum(lengths.sum(1))])),
            "turn_lengths": _rows(lengths),
            "turn_keys": _rows(np.append(self._keys, 0)[slots]),
            "speakers": _rows(np.append(self._speakers, EMPTY_SPEAKER_ID)[slots]),
            "numeric": _rows(z_score(values, self._learnt.mean, self._learnt.scale)),
            "labels": _rows(self._multi_hot(targets)),
            "conversation_id": _lists(
                self._columns["conversation_id"].take(pa.array(targets)).cast(pa.string()).combine_chunks().cast(pa.binary()),
                np.arange(len(targets) + 1),
            ),
            "turn_index": _rows(self._columns["turn_index"].to_numpy()[targets, None]),
        }
        return pa.record_batch({feature.name: columns[feature.name] for feature in EXAMPLE_FEATURES})

    def _multi_hot(self, targets: np.ndarray) -> np.ndarray:
        rows = np.full(self._columns.num_rows, -1)
        rows[targets] = np.arange(len(targets))
        inside = (rows[self._label_turns] >= 0) & (self._label_ids >= 0)
        multi_hot = np.zeros((len(targets), len(self._learnt.labels)), np.int64)
        multi_hot[rows[self._label_turns[inside]], self._label_ids[inside]] = 1
        return multi_hot


def _lists(values: np.ndarray | pa.Array, offsets: np.ndarray) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values if isinstance(values, pa.Array) else pa.array(values))


def _rows(values: np.ndarray) -> pa.LargeListArray:
    return _lists(values.ravel(), np.arange(len(values) + 1) * values.shape[1])
