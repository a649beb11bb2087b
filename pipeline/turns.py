"""Turns as Arrow columns: the one layout between the stages of the data job."""

import dataclasses

import pyarrow as pa

NUMERIC_PREFIX = "numeric."


def turn_schema(numeric_features: tuple[str, ...]) -> pa.Schema:
    """The columns of parsed turns.

    Args:
        numeric_features: the user's numeric columns; each becomes `numeric.<name>`, null where a value is missing.

    Returns:
        The turn log's columns with `timestamp` in seconds, and where the row stood: `source` (number of the input
        file), `position` (byte of the line, or number of the row) and `nested` (place inside a conversation's line,
        else 0).
    """
    return pa.schema(
        [
            ("conversation_id", pa.string()),
            ("turn_index", pa.int64()),
            ("timestamp", pa.float64()),
            ("speaker", pa.string()),
            ("text", pa.string()),
            ("labels", pa.list_(pa.string())),
            *((NUMERIC_PREFIX + name, pa.float64()) for name in numeric_features),
            ("source", pa.int32()),
            ("position", pa.int64()),
            ("nested", pa.int32()),
        ]
    )


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        names: {column of the turn log or numeric feature: its name in the file}.
        numeric_features: the user's numeric columns.
        max_line_bytes: a longer line or row is rejected.
    """

    names: dict[str, str]
    numeric_features: tuple[str, ...]
    max_line_bytes: int


class TurnReader:
    """What the readers of all formats are made with.

    Args:
        source: number of the input file.
        reading: how files are read.
    """

    def __init__(self, source: int, reading: Reading):
        self._source = source
        self._reading = reading
        self._schema = turn_schema(reading.numeric_features)


@dataclasses.dataclass(frozen=True)
class Reject:
    """One rejected row.

    Attributes:
        source: number of the input file.
        position: byte of the line (JSON Lines), line number (CSV) or row number (Parquet) it starts at.
        nested: its place inside a conversation's line, else 0.
        reason: a key of `REJECT_REASONS`.
        content: what stood there.
        size: bytes that stood there, where `content` is cut; else None.
    """

    source: int
    position: int
    nested: int
    reason: str
    content: str
    size: int | None = None


MAX_REJECT_CONTENT = 100_000


def reject_of(source: int, position: int, nested: int, reason: str, content: bytes, size: int | None = None) -> Reject:
    """Makes a reject of raw bytes, cut to `MAX_REJECT_CONTENT`; bytes that are no UTF-8 become `\\xNN`."""
    size = len(content) if size is None else size
    text = content[:MAX_REJECT_CONTENT].decode("utf-8", "backslashreplace")
    return Reject(source, position, nested, reason, text, size if size > MAX_REJECT_CONTENT else None)


def to_ipc(data: pa.RecordBatch | pa.Table) -> bytes:
    """Serialises columns for Beam: bytes need no pickling, and a runner copies them often, so they are packed."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write(data)
    return sink.getvalue().to_pybytes()


def from_ipc(data: bytes) -> pa.Table:
    """The columns of `to_ipc`."""
    return pa.ipc.open_stream(data).read_all()
