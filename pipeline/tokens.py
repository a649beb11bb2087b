"""Tokens of whole buckets as Arrow columns: split, counted, looked up."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.examples import EMPTY_SLOT_KEY

TOKENS = "tokens"
# A private-use character: no tokenizer changes it, or looks beyond it.
SEPARATOR = "\ue000"
JOINED_TEXTS = 8000


def tokenize_column(texts: pa.DictionaryArray, space: Callable, max_tokens: int) -> tuple[pa.ListArray, np.ndarray]:
    """The tokens of each text; equal texts are taken apart once.

    Args:
        texts: dictionary-encoded strings [T].
        space: from `text.compile_spacer`.
        max_tokens: the most tokens of a text.

    Returns:
        List of dictionary-encoded tokens [T], and how many each text has before it is cut, int64 [T].
    """
    spaced = space_column(texts.dictionary, space)
    lists = pc.split_pattern(spaced, " ")
    # Splitting nothing gives one empty token.
    lengths = np.where(pc.equal(spaced, "").to_numpy(zero_copy_only=False), 0, lists.value_lengths().to_numpy())
    values = lists.values.dictionary_encode()
    indices = texts.indices.to_numpy()
    starts, kept = lists.offsets.to_numpy()[:-1][indices], np.minimum(lengths, max_tokens)[indices]
    ends = np.cumsum(kept)
    positions = np.repeat(starts - (ends - kept), kept) + np.arange(ends[-1] if len(ends) else 0)
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(positions))), lengths[indices]


def space_column(texts: pa.Array, space: Callable) -> pa.Array:
    """The spacing of each text.

    TensorFlow takes longer to hand a short text over than to space it: so they go joined, many at a time.
    """
    if pc.any(pc.match_substring(texts, SEPARATOR)).as_py():
        return pa.array(space(np.array(texts.cast(pa.binary()).to_pylist(), object)).numpy(), pa.string())
    joined = [_joined(texts.slice(start, JOINED_TEXTS)) for start in range(0, len(texts), JOINED_TEXTS)]
    spaced = [
        pc.split_pattern(pa.array([some], pa.string()), SEPARATOR).values
        for some in space(np.array(joined, object)).numpy()
    ]
    # A separator stands as a token of its own, between blanks, or is left as it is.
    return pc.ascii_trim(pa.chunked_array(spaced, pa.string()).combine_chunks(), " ")


def _joined(texts: pa.Array) -> bytes:
    together = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    return pc.binary_join(together, SEPARATOR)[0].as_py().encode()


def count_tokens(tokens: pa.ListArray) -> pa.Table:
    """How often each token occurs: columns `token` (string) and `count` (int64)."""
    values = tokens.flatten()
    counts = np.bincount(values.indices.to_numpy(), minlength=len(values.dictionary))
    there = counts > 0
    return pa.table([values.dictionary.filter(pa.array(there)), counts[there]], schema=count_tokens_schema())


def count_tokens_schema() -> pa.Schema:
    """The columns of `count_tokens`."""
    return pa.schema([("token", pa.string()), ("count", pa.int64())])


def merge_counts(tables: list[pa.Table]) -> pa.Table:
    """Adds up tables of `count_tokens`."""
    grouped = pa.concat_tables(tables).group_by("token").aggregate([("count", "sum")])
    return grouped.rename_columns({"count_sum": "count"}).select(["token", "count"])


def most_frequent(counts: pa.Table, size: int, min_count: int) -> pa.Table:
    """The `size` most frequent tokens that occur at least `min_count` times, in tf.Transform's order.

    That is by falling count, equal counts by falling token.
    """
    counts = counts.filter(pc.greater_equal(counts["count"], min_count))
    return counts.sort_by([("count", "descending"), ("token", "descending")]).slice(0, size)


def look_up(tokens: pa.Array, vocabulary: pa.Array) -> np.ndarray:
    """The id of each token: 1 + its place in the vocabulary, or 1 + the vocabulary's size; int64."""
    return pc.index_in(tokens, vocabulary).fill_null(len(vocabulary)).to_numpy().astype(np.int64) + 1


def sequence_keys(ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A 64-bit key of each sequence of ids: the sum of hashes of (id, place), hashed with the length.

    Args:
        ids: flat, positive, int64.
        offsets: sequence t is ids[offsets[t]:offsets[t + 1]], int64 [T + 1].

    Returns:
        int64 [T], equal for equal sequences; `EMPTY_SLOT_KEY` for the empty one alone.
    """
    lengths = np.diff(offsets)
    places = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
    hashes = mix((ids.astype(np.uint64) << np.uint64(32)) ^ places.astype(np.uint64))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(hashes)])
    keys = mix(sums[offsets[1:]] - sums[offsets[:-1]] + lengths.astype(np.uint64)).astype(np.int64)
    keys[keys == EMPTY_SLOT_KEY] = 1
    keys[lengths == 0] = EMPTY_SLOT_KEY
    return keys


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), uint64 to uint64, one to one."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
