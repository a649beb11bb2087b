"""Parquet to turns, row group by row group."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from pipeline.columns import NotClean, clean_columns
from pipeline.rows import RowRejected, turn_of
from pipeline.turns import Reading, Reject, TurnReader, reject_of

BATCH_ROWS = 65_536


class ParquetRows(TurnReader):
    """Parses row groups.

    Strings may be dictionaries, large or binary; `turn_index` any integer; `timestamp` a string, a number of seconds or
    a timestamp (without a zone: UTC).
    """

    def __init__(self, source: int, reading: Reading):
        super().__init__(source, reading)
        self._types = {field.name: field.type for field in self._schema}

    def parse(self, file: pyarrow.parquet.ParquetFile, group: int) -> Iterator[tuple[pa.Table, list[Reject]]]:
        """Parses one row group; yields turns (`turn_schema`) and rejected rows, batch by batch."""
        position = sum(file.metadata.row_group(n).num_rows for n in range(group))
        there = set(file.schema_arrow.names)
        columns = [raw for raw in self._reading.names.values() if raw in there]
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
            positions = np.arange(position, position + batch.num_rows)
            position += batch.num_rows
            raw = {name: _readable(batch.column(raw)) for name, raw in self._reading.names.items() if raw in columns}
            try:
                yield self._table(clean_columns(self._cast(raw), self._reading.numeric_features), positions), []
            except (NotClean, pa.ArrowException):
                yield self._row_by_row(raw, positions)

    def _cast(self, raw: dict[str, pa.Array]) -> dict[str, pa.Array]:
        if not raw:
            raise NotClean("no column")
        cast = {}
        for name, column in raw.items():
            kind = _kind(column.type)
            wanted = self._types.get(name, pa.float64())
            if name == "timestamp" and kind == "string":
                wanted = pa.string()
            if kind not in (_kind(wanted), None):
                raise NotClean(f"{name} is {column.type}")
            cast[name] = column.cast(wanted)
        return cast

    def _row_by_row(self, raw: dict[str, pa.Array], positions: np.ndarray) -> tuple[pa.Table, list[Reject]]:
        turns, rejects = [], []
        names, columns = list(raw), list(raw.values())
        for n, position in enumerate(positions.tolist()):
            row = {}
            try:
                row = {name: _python_value(column[n].as_py()) for name, column in zip(names, columns, strict=True)}
                turns.append(turn_of(row, self._reading.numeric_features) | {"position": position})
            except UnicodeDecodeError:
                rejects.append(reject_of(self._source, position, 0, "invalid_utf8", repr(row).encode()))
            except RowRejected as reason:
                content = repr(row).encode("utf-8", "backslashreplace")
                rejects.append(reject_of(self._source, position, 0, str(reason), content))
        columns = pa.Table.from_pylist(turns, self._schema)
        table = {name: columns[name].combine_chunks() for name in self._schema.names}
        return self._table(table, columns["position"].to_numpy()), rejects

    def _table(self, columns: dict[str, pa.Array], positions: np.ndarray) -> pa.Table:
        rows = len(positions)
        columns = columns | {
            "source": np.full(rows, self._source, np.int32),
            "position": positions,
            "nested": np.zeros(rows, np.int32),
        }
        return pa.table([columns[name] for name in self._schema.names], schema=self._schema)


def _readable(column: pa.Array) -> pa.Array:
    """Without dictionary; timestamps as seconds (without a zone: UTC), decimals as float64."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        microseconds = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
        return pc.divide(microseconds.cast(pa.float64()), 1e6)
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _kind(column_type: pa.DataType) -> str | None:
    """What a type holds, whatever its width; None where all is null."""
    types = pa.types
    if types.is_null(column_type):
        return None
    if types.is_string(column_type) or types.is_large_string(column_type) or types.is_string_view(column_type):
        return "string"
    if types.is_binary(column_type) or types.is_large_binary(column_type):
        return "string"
    if types.is_integer(column_type) or types.is_floating(column_type):
        return "number"
    if types.is_list(column_type) or types.is_large_list(column_type):
        value_type = column_type.value_type
        return f"list of {_kind(value_type.value_type if types.is_dictionary(value_type) else value_type) or 'string'}"
    return str(column_type)


def _python_value(value: object) -> object:
    """As JSON would have it: bytes are text."""
    if isinstance(value, list):
        return [_python_value(item) for item in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value
