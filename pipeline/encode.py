"""Windows of a bucket as serialised Examples."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from pipeline.analyse import SPLIT, TARGET, scalar_values
from pipeline.conversations import CONVERSATION
from pipeline.example_bytes import examples, fixed_bytes, list_items, take_and_join, take_runs, varints
from pipeline.tokens import TOKENS, look_up, sequence_keys
from pipeline.transform import z_score
from pipeline.windows import previous_turns, window_slots
from schemas.examples import EMPTY_SPEAKER_ID, EXAMPLE_FEATURES, FIRST_SPEAKER_ID, UNKNOWN_SPEAKER_ID

# Windows are encoded so many at a time, fewer where labels are many: multi-hot rows take the memory.
CHUNK_WINDOWS = 20_000
CHUNK_LABEL_CELLS = 64_000_000


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
        values = tokens.flatten()
        dictionary_ids = look_up(values.dictionary, learnt.vocabulary)
        self._ids = dictionary_ids[values.indices.to_numpy()]
        self._offsets = tokens.offsets.to_numpy().astype(np.int64)
        self._offsets -= self._offsets[0] if len(self._offsets) else 0
        # A turn's part of each feature is serialised once, for all its windows; the last entry is an empty slot's.
        offsets = np.append(self._offsets, self._offsets[-1])
        self._token_bytes = take_runs(varints(dictionary_ids), values.indices.to_numpy(), offsets)
        self._length_bytes = varints(np.diff(offsets))
        self._keys = sequence_keys(self._ids, offsets)
        self._key_bytes = varints(self._keys)
        text = columns["text"].combine_chunks()
        texts = pa.concat_arrays([text.dictionary.cast(pa.large_binary()), pa.array([b""], pa.large_binary())])
        self._text_items = list_items(texts)
        self._text_codes = np.append(text.indices.to_numpy(), len(texts) - 1)
        speaker = columns["speaker"].combine_chunks()
        known = pc.index_in(speaker.dictionary, pa.array(learnt.speakers, pa.string()))
        speaker_ids = pc.add(known, FIRST_SPEAKER_ID).fill_null(UNKNOWN_SPEAKER_ID).to_numpy().astype(np.int64)
        codes = speaker.indices.to_numpy()
        self._speaker_bytes = varints(np.append(speaker_ids[codes], EMPTY_SPEAKER_ID))
        self._previous = previous_turns(columns[CONVERSATION].to_numpy(), codes if windowing.same_speaker else None)
        labels = columns["labels"].combine_chunks()
        self._label_turns = pc.list_parent_indices(labels).to_numpy()
        label_ids = pc.index_in(labels.flatten(), pa.array(learnt.labels, pa.string()))
        self._label_ids = label_ids.fill_null(-1).to_numpy()

    def targets(self, split: int) -> np.ndarray:
        """The turns with a window in a split."""
        return np.flatnonzero((self._columns[SPLIT].to_numpy() == split) & self._columns[TARGET].to_numpy())

    def chunks(self, split: int) -> Iterator[pa.LargeBinaryArray]:
        """The windows of a split, in order, as serialised Examples."""
        targets = self.targets(split)
        rows = min(CHUNK_WINDOWS, max(1, CHUNK_LABEL_CELLS // max(1, len(self._learnt.labels))))
        for start in range(0, len(targets), rows):
            yield self._encode(targets[start : start + rows])

    def window_keys(self, split: int) -> np.ndarray:
        """A 64-bit key of the token ids of each window of a split, uint64."""
        slots = window_slots(self.targets(split), self._previous, self._windowing.history_turns)
        keys = self._keys[slots]
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

    def _encode(self, targets: np.ndarray) -> pa.LargeBinaryArray:
        slots = window_slots(targets, self._previous, self._windowing.history_turns)
        raw = scalar_values(self._columns, self._windowing.scalars, targets).astype(np.float32)
        ids = self._columns["conversation_id"].take(pa.array(targets)).cast(pa.large_string()).combine_chunks()
        values = {
            "token_ids": take_and_join(self._token_bytes, slots),
            "turn_lengths": take_and_join(self._length_bytes, slots),
            "turn_keys": take_and_join(self._key_bytes, slots),
            "speakers": take_and_join(self._speaker_bytes, slots),
            "numeric": fixed_bytes(z_score(raw, self._learnt.mean, self._learnt.scale)),
            "raw_numeric": fixed_bytes(raw),
            "labels": fixed_bytes(self._multi_hot(targets)),
            "texts": take_and_join(self._text_items, self._text_codes[slots]),
            "conversation_id": list_items(ids.cast(pa.large_binary())),
            "turn_index": varints(self._columns["turn_index"].to_numpy()[targets]),
        }
        return examples([(feature.name, feature.dtype, values[feature.name]) for feature in EXAMPLE_FEATURES])

    def _multi_hot(self, targets: np.ndarray) -> np.ndarray:
        rows = np.full(self._columns.num_rows, -1)
        rows[targets] = np.arange(len(targets))
        inside = (rows[self._label_turns] >= 0) & (self._label_ids >= 0)
        multi_hot = np.zeros((len(targets), len(self._learnt.labels)), np.uint8)
        multi_hot[rows[self._label_turns[inside]], self._label_ids[inside]] = 1
        return multi_hot
