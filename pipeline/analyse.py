"""What is learnt from a bucket, and the columns that its windows are made of."""

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.conversations import CONVERSATION, SECONDS_SINCE_PREVIOUS_TURN, Conversations
from pipeline.labels import apply_label_map
from pipeline.splits import split_of
from pipeline.tokens import TOKENS, count_tokens, tokenize_column
from pipeline.turns import NUMERIC_PREFIX
from schemas.data_directory import SPLITS
from schemas.turn_log import DERIVED_NUMERIC

SPLIT = "split"
TARGET = "target"
TRAIN = SPLITS.index("train")
LABELS_DROPPED = "all_labels_dropped_by_label_map"


@dataclasses.dataclass(frozen=True)
class Learning:
    """How buckets are analysed.

    Attributes:
        split: {split: weight}.
        seed: salts the split.
        max_tokens: the most tokens of a turn.
        label_map: {label: new name or None}.
        numeric_features: the user's numeric columns.
    """

    split: dict[str, int]
    seed: int
    max_tokens: int
    label_map: dict[str, str | None]
    numeric_features: tuple[str, ...]

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all scalars, in the order of the feature `numeric`."""
        return (*DERIVED_NUMERIC, *self.numeric_features)


def bucket_columns(conversations: Conversations, space: Callable, learning: Learning) -> tuple[pa.Table, dict]:
    """The columns that the windows of a bucket are made of, and facts about them.

    Args:
        conversations: of the bucket.
        space: from `text.compile_spacer`.
        learning: how.

    Returns:
        Columns `conversation`, `conversation_id`, `turn_index`, `speaker`, `labels`, `target` (bool), `split` (index
        into `SPLITS`), `text`, `tokens`, and one for each scalar (`numeric.<name>`); and the facts, of JSON types:
        `books`, `dropped` and `splits` are counts for `add_counts`, `moments` is for `merge_moments`.
    """
    turns = conversations.turns.combine_chunks()
    conversation = turns[CONVERSATION].to_numpy()
    split = split_of(conversations.ids, learning.split, learning.seed)[conversation]
    labels = turns["labels"].combine_chunks()
    labelled = labels.is_valid().to_numpy(zero_copy_only=False)
    labels, emptied = apply_label_map(labels, learning.label_map)
    text = turns["text"].combine_chunks().dictionary_encode()
    tokens, lengths = tokenize_column(text, space, learning.max_tokens)
    columns = {
        CONVERSATION: turns[CONVERSATION],
        "conversation_id": pa.DictionaryArray.from_arrays(pa.array(conversation), conversations.ids),
        "turn_index": turns["turn_index"],
        "speaker": turns["speaker"].combine_chunks().dictionary_encode(),
        "labels": labels,
        TARGET: labelled & ~emptied,
        SPLIT: split,
        "text": text,
        TOKENS: tokens,
        **scalar_columns(turns, learning.numeric_features),
    }
    table = pa.table(columns)
    facts = {
        "books": {"history_only": int((~labelled).sum()), "targets": int(labelled.sum())},
        "dropped": {LABELS_DROPPED: int((labelled & emptied).sum())} if emptied.any() else {},
        "moments": _moments(table, learning.scalars),
        "splits": {name: _split_facts(table, lengths, number) for number, name in enumerate(SPLITS)},
    }
    return table, facts


def scalar_columns(turns: pa.Table, numeric_features: Iterable[str]) -> dict[str, pa.ChunkedArray]:
    """The columns of all scalars, derived ones and the user's, float64, of the turns of `Conversations`."""
    return {
        NUMERIC_PREFIX + "turn_index": turns["turn_index"].cast(pa.float64(), safe=False),
        NUMERIC_PREFIX + SECONDS_SINCE_PREVIOUS_TURN: turns[SECONDS_SINCE_PREVIOUS_TURN],
        **{NUMERIC_PREFIX + name: turns[NUMERIC_PREFIX + name] for name in numeric_features},
    }


def train_token_counts(columns: pa.Table) -> pa.Table:
    """How often each token occurs in the train split's turns."""
    train = pc.equal(columns[SPLIT], TRAIN)
    return count_tokens(columns[TOKENS].filter(train).combine_chunks())


def scalar_values(columns: pa.Table, scalars: Iterable[str], rows: np.ndarray) -> np.ndarray:
    """The scalars of some turns, float64 [N, F]; NaN is missing."""
    values = [columns[NUMERIC_PREFIX + name].take(pa.array(rows)).fill_null(np.nan).to_numpy() for name in scalars]
    return np.stack(values, axis=1)


def _split_facts(columns: pa.Table, lengths: np.ndarray, split: int) -> dict:
    inside = columns[SPLIT].to_numpy() == split
    turns = columns.filter(pa.array(inside))
    targets = turns.filter(turns[TARGET])
    sizes = np.unique(turns[CONVERSATION].to_numpy(), return_counts=True)[1]
    pairs = _label_pairs(targets["labels"])
    return {
        "labels": _counts(pairs["label"]),
        "speakers": _counts(turns["speaker"]),
        "target_speakers": _counts(targets["speaker"]),
        "labels_per_turn": _histogram(np.bincount(pairs["turn"].to_numpy(), minlength=targets.num_rows)),
        "turns_per_conversation": _histogram(sizes),
        "tokens_per_turn": _histogram(lengths[inside]),
    }


def _label_pairs(labels: pa.ChunkedArray) -> pa.Table:
    """Columns `turn` (its number) and `label`, where a turn that has a label twice has it once."""
    labels = labels.combine_chunks()
    pairs = pa.table({"turn": pc.list_parent_indices(labels), "label": labels.flatten()})
    return pairs.group_by(["turn", "label"], use_threads=False).aggregate([])


def _counts(values: pa.Array) -> dict[str, int]:
    counted = pc.value_counts(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    return {str(item["values"]): item["counts"] for item in counted.to_pylist()}


def _histogram(values: np.ndarray) -> dict[str, int]:
    numbers, counts = np.unique(values, return_counts=True)
    return {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}


def _moments(columns: pa.Table, scalars: Iterable[str]) -> list[list[float]]:
    """Count, mean and sum of squared deviations of each scalar over the train targets."""
    train = (columns[SPLIT].to_numpy() == TRAIN) & columns[TARGET].to_numpy()
    moments = []
    for values in scalar_values(columns, scalars, np.flatnonzero(train)).T:
        values = values[~np.isnan(values)]
        mean = float(values.mean()) if len(values) else 0.0
        moments.append([len(values), mean, float(((values - mean) ** 2).sum())])
    return moments


def merge_moments(buckets: list[list[list[float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each scalar over all buckets, float32 [F].

    The pairwise update of Chan, Golub and LeVeque (1979), in the order given: the same order gives the same bits. The
    scale is the standard deviation, 1 where that is 0.
    """
    means, scales = [], []
    for moments in zip(*buckets, strict=True):
        count, mean, squares = 0, 0.0, 0.0
        for more, other, other_squares in moments:
            total = count + more
            if more:
                delta = other - mean
                squares += other_squares + delta * delta * count * more / total
                mean += delta * more / total
            count = total
        scale = math.sqrt(squares / count) if count else 0.0
        means.append(mean)
        scales.append(scale if np.float32(scale) > 0 and math.isfinite(scale) else 1.0)
    return np.array(means, np.float32), np.array(scales, np.float32)


def add_counts(facts: Iterable[dict]) -> dict:
    """Adds up nested dicts of numbers, key by key; of texts, which stand in one of them only, nothing is to add."""
    total: dict = {}
    for fact in facts:
        for key, value in fact.items():
            if isinstance(value, dict):
                total[key] = add_counts([total.get(key, {}), value])
            else:
                total[key] = total[key] + value if key in total else value
    return total


def most_common(counts: dict[str, int]) -> list[str]:
    """Names by falling count, equal counts by name."""
    return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
