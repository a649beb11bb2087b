"""Whole blocks of rows at a time: takes raw columns as turns if every row is clean."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.rows import seconds_of
from pipeline.turns import NUMERIC_PREFIX
from schemas.turn_log import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP


class NotClean(ValueError):
    """Some row of the block is no turn; which one, and why, is for `rows.turn_of` to say."""


def clean_columns(raw: dict[str, pa.Array], numeric_features: tuple[str, ...]) -> dict[str, pa.Array]:
    """The columns of `turn_schema` (without where they stood) of raw columns.

    Accepts exactly what `rows.turn_of` accepts for each row alone.

    Args:
        raw: a column for each of the turn log's columns that the input has, of the types of `turn_schema`,
            `timestamp` of strings or of float64.
        numeric_features: the user's numeric columns.

    Raises:
        NotClean: when some row is no turn.
    """
    rows = len(next(iter(raw.values())))
    missing = {name for name in ("conversation_id", "speaker", "text") if name not in raw}
    if missing:
        raise NotClean(missing)
    clean = {}
    for name in ("conversation_id", "speaker", "text"):
        _demand(raw[name].null_count == 0)
        _demand(name == "text" or not rows or pc.min(pc.binary_length(raw[name])).as_py() > 0)
        clean[name] = raw[name]
    clean["turn_index"] = raw.get("turn_index", pa.nulls(rows, pa.int64()))
    clean["timestamp"] = _seconds(raw.get("timestamp", pa.nulls(rows, pa.float64())))
    _demand(not pc.any(pc.and_(clean["turn_index"].is_null(), clean["timestamp"].is_null())).as_py())
    clean["labels"] = raw.get("labels", pa.nulls(rows, pa.list_(pa.string())))
    labels = clean["labels"].flatten()
    _demand(labels.null_count == 0 and (not len(labels) or pc.min(pc.binary_length(labels)).as_py() > 0))
    for name in numeric_features:
        values = raw.get(name, pa.nulls(rows, pa.float64()))
        _demand(pc.all(pc.is_finite(values)).as_py() is not False)
        clean[NUMERIC_PREFIX + name] = values
    try:
        for column in (*(clean[name] for name in ("conversation_id", "speaker", "text")), labels):
            column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotClean("invalid UTF-8") from error
    return clean


def _demand(condition: bool) -> None:
    if not condition:
        raise NotClean


def _seconds(timestamps: pa.Array) -> pa.Array:
    if pa.types.is_string(timestamps.type):
        try:
            timestamps = seconds_of(timestamps)
        except pa.ArrowInvalid as error:
            raise NotClean("timestamp") from error
    in_range = pc.and_(pc.greater_equal(timestamps, EARLIEST_TIMESTAMP), pc.less_equal(timestamps, LATEST_TIMESTAMP))
    _demand(pc.all(in_range).as_py() is not False)
    return timestamps
