"""One row at a time: decides why a row is no turn.

The readers take whole blocks of clean rows at once; only what such a block can't take comes here.
"""

import math

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.turns import NUMERIC_PREFIX
from schemas.turn_log import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP

INT64 = range(-(2**63), 2**63)


class RowRejected(ValueError):
    """A row that is no turn; the message is the reason code."""


def turn_of(row: dict, numeric_features: tuple[str, ...]) -> dict:
    """The columns of `turn_schema` (without where it stood) of one decoded row.

    Args:
        row: {column of the turn log: value}, other keys are passed over.
        numeric_features: the user's numeric columns.

    Raises:
        RowRejected: with the reason code.
    """
    turn = {name: _required_string(row.get(name), name != "text") for name in ("conversation_id", "speaker", "text")}
    turn["turn_index"] = _turn_index(row.get("turn_index"))
    turn["timestamp"] = _timestamp(row.get("timestamp"))
    if turn["turn_index"] is None and turn["timestamp"] is None:
        raise RowRejected("no_order")
    turn["labels"] = _labels(row.get("labels"))
    for name in numeric_features:
        turn[NUMERIC_PREFIX + name] = _number(row.get(name))
    return turn


def _required_string(value: object, must_have_text: bool) -> str:
    if value is None:
        raise RowRejected("missing_value")
    if not isinstance(value, str):
        raise RowRejected("wrong_type")
    if must_have_text and not value:
        raise RowRejected("missing_value")
    return _valid_utf8(value)


def _valid_utf8(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise RowRejected("invalid_utf8") from None
    return value


def _turn_index(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in INT64:
        raise RowRejected("bad_turn_index")
    return value


def _timestamp(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = seconds_of(pa.array([value])).to_pylist()[0]
        except (pa.ArrowInvalid, UnicodeEncodeError):
            raise RowRejected("bad_timestamp") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowRejected("bad_timestamp")
    if not EARLIEST_TIMESTAMP <= value <= LATEST_TIMESTAMP:
        raise RowRejected("bad_timestamp")
    return float(value)


def seconds_of(texts: pa.Array) -> pa.Array:
    """RFC 3339 texts with a zone, to the microsecond, as seconds since 1970 (float64).

    Raises:
        pa.ArrowInvalid: when one of them is something else.
    """
    return pc.divide(texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).cast(pa.float64()), 1e6)


def _labels(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise RowRejected("bad_labels")
    return [_valid_utf8(label) for label in value]


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowRejected("bad_number")
    try:
        value = float(value)
    except OverflowError:
        raise RowRejected("bad_number") from None
    if not math.isfinite(value):
        raise RowRejected("bad_number")
    return value
