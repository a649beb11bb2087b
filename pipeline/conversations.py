"""Turns of a bucket to ordered conversations without duplicates."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.buckets import CONVERSATION_HASH
from pipeline.turns import NUMERIC_PREFIX, Reject, reject_of

SECONDS_SINCE_PREVIOUS_TURN = "seconds_since_previous_turn"
CONVERSATION = "conversation"


@dataclasses.dataclass(frozen=True)
class Conversations:
    """The ordered turns of a bucket.

    Attributes:
        turns: conversation by conversation (by hash, then id), each in order; the columns of `turn_schema` and
            `conversation` (its number in the bucket, int64) and `seconds_since_previous_turn` (float64 or null).
        rejects: turns that are no part of it.
        ids: id of each conversation.
    """

    turns: pa.Table
    rejects: list[Reject]
    ids: pa.Array


def order_conversations(turns: pa.Table) -> Conversations:
    """Orders the turns of a bucket, whatever order they come in.

    A conversation whose turns all have a `turn_index` is ordered by it; else, if all have a `timestamp`, by that, and
    its turns are numbered from 0; else the turns without `turn_index` are rejected (`mixed_order`). Of several rows for
    one turn (same index; without index: same timestamp, speaker and text) the one with labels is kept, then the latest,
    then the greatest speaker, text and labels; the others are rejected (`duplicate_turn`).

    Args:
        turns: in `turn_schema` with `conversation_hash`.
    """
    turns, ids = _number_conversations(turns.combine_chunks())
    turns, by_index, mixed = _reject_mixed(turns)
    indices = np.where(by_index, _filled(turns["turn_index"], 0), 0)
    timestamps = np.where(by_index, 0.0, _filled(turns["timestamp"], 0.0))
    turns, duplicates = _sort_and_deduplicate(turns, by_index, indices, timestamps)
    turns = _number_turns(turns)
    turns = turns.append_column(SECONDS_SINCE_PREVIOUS_TURN, _seconds_since_previous(turns))
    return Conversations(turns, mixed + duplicates, ids)


def _number_conversations(turns: pa.Table) -> tuple[pa.Table, pa.Array]:
    """Adds `conversation`, the rank of (hash, id) in the bucket."""
    encoded = turns["conversation_id"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    hashes = np.zeros(len(encoded.dictionary), np.uint64)
    hashes[codes] = turns[CONVERSATION_HASH].to_numpy()
    known = pa.table({"hash": hashes, "id": encoded.dictionary})
    order = pc.sort_indices(known, [("hash", "ascending"), ("id", "ascending")])
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    turns = turns.drop_columns([CONVERSATION_HASH]).append_column(CONVERSATION, pa.array(rank[codes]))
    return turns, encoded.dictionary.take(order)


def _reject_mixed(turns: pa.Table) -> tuple[pa.Table, np.ndarray, list[Reject]]:
    """The turns that can be ordered, which of them by index, and the others as rejects."""
    conversation = turns[CONVERSATION].to_numpy()
    without_index = turns["turn_index"].is_null().to_numpy()
    if not without_index.any():
        return turns, ~without_index, []
    lacks_index = np.isin(conversation, conversation[without_index])
    lacks_time = np.isin(conversation, conversation[turns["timestamp"].is_null().to_numpy()])
    mixed = lacks_index & lacks_time & without_index
    rejects = _rejects(turns, np.flatnonzero(mixed), "mixed_order")
    by_index = ~lacks_index | lacks_time
    return turns.filter(pa.array(~mixed)), by_index[~mixed], rejects


def _sort_and_deduplicate(
    turns: pa.Table, by_index: np.ndarray, indices: np.ndarray, timestamps: np.ndarray
) -> tuple[pa.Table, list[Reject]]:
    conversation = turns[CONVERSATION].to_numpy()
    order = np.lexsort((timestamps, indices, conversation))
    same = np.ones(max(len(order) - 1, 0), bool)
    for key in (conversation, indices, timestamps):
        same &= key[order[1:]] == key[order[:-1]]
    if same.any():
        order, lost = _settle_ties(turns, by_index, order, same)
    else:
        lost = np.array([], np.int64)
    return turns.take(pa.array(order)), _rejects(turns, lost, "duplicate_turn")


def _settle_ties(
    turns: pa.Table, by_index: np.ndarray, order: np.ndarray, same: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Settles runs of turns that stand at one place of their conversation: the order that is left, and what is lost."""
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    lengths = np.diff(np.append(starts, len(order)))
    rows = iter(turns.take(pa.array(order[np.repeat(lengths > 1, lengths)])).to_pylist())
    settled, keep, lost = order.copy(), np.ones(len(order), bool), []
    for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
        run = [(row, next(rows)) for row in order[start : start + length]]
        winners, losers = _settle(run, bool(by_index[run[0][0]]))
        settled[start : start + len(winners)] = winners
        keep[start + len(winners) : start + length] = False
        lost += losers
    return settled[keep], np.array(lost, np.int64)


def _settle(run: list[tuple[int, dict]], by_index: bool) -> tuple[list[int], list[int]]:
    """What is kept and what is lost of the rows at one place."""

    def content(item):
        row = item[1]
        labels = row["labels"]
        time = row["timestamp"]
        numbers = [(value is not None, value or 0.0) for name, value in row.items() if name.startswith(NUMERIC_PREFIX)]
        return (
            labels is not None,
            time is not None,
            time or 0.0,
            row["speaker"],
            row["text"],
            sorted(labels or []),
            numbers,
        )

    def place(item):
        return -item[1]["source"], -item[1]["position"], -item[1]["nested"]

    run = sorted(run, key=lambda item: (content(item), place(item)), reverse=True)
    if by_index:
        return [run[0][0]], [row for row, _ in run[1:]]
    seen, winners, losers = set(), [], []
    for row, values in run:
        turn = values["speaker"], values["text"]
        (losers if turn in seen else winners).append((turn, row))
        seen.add(turn)
    return [row for _, row in sorted(winners)], [row for _, row in losers]


def _number_turns(turns: pa.Table) -> pa.Table:
    """Numbers the turns of conversations that are not ordered by `turn_index` from 0."""
    without_index = turns["turn_index"].is_null().to_numpy()
    if not without_index.any():
        return turns
    conversation = turns[CONVERSATION].to_numpy()
    places = np.arange(len(conversation)) - np.searchsorted(conversation, conversation)
    by_time = pa.array(np.isin(conversation, conversation[without_index]))
    indices = pc.if_else(by_time, pa.array(places), turns["turn_index"])
    return turns.set_column(turns.schema.get_field_index("turn_index"), "turn_index", indices)


def _seconds_since_previous(turns: pa.Table) -> pa.Array:
    """Seconds between each turn and the one before it; 0 for the first; null where a timestamp is missing."""
    conversation, timestamps = turns[CONVERSATION].to_numpy(), _filled(turns["timestamp"], np.nan)
    seconds = np.diff(timestamps, prepend=np.nan)
    first = np.diff(conversation, prepend=-1) != 0
    seconds[first] = np.where(np.isnan(timestamps[first]), np.nan, 0.0)
    return pa.array(seconds, from_pandas=True)


def _filled(column: pa.ChunkedArray, value: float) -> np.ndarray:
    return column.fill_null(value).to_numpy()


def _rejects(turns: pa.Table, rows: np.ndarray, reason: str) -> list[Reject]:
    rejects = []
    for row in turns.take(pa.array(rows, pa.int64())).drop_columns([CONVERSATION]).to_pylist():
        source, position, nested = row.pop("source"), row.pop("position"), row.pop("nested")
        content = json.dumps(
            {name.removeprefix(NUMERIC_PREFIX): value for name, value in row.items()}, ensure_ascii=False
        )
        rejects.append(reject_of(source, position, nested, reason, content.encode()))
    return rejects
