"""JSON Lines to turns: a turn a line, or a conversation a line."""

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pipeline.columns import NotClean, clean_columns
from pipeline.rows import RowRejected, turn_of
from pipeline.turns import Reading, Reject, TurnReader, reject_of

TURNS = "turns"
# A block with a bad line is cut into this many; so a line is parsed about four times before its reason is looked for.
PIECES = 16
NEWLINE, CARRIAGE_RETURN, OPENING, CLOSING = b"\n\r{}"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines(TurnReader):
    """Parses blocks of lines."""

    def __init__(self, source: int, reading: Reading):
        super().__init__(source, reading)
        self._raw_schemas = [self._raw_schema(pa.float64()), self._raw_schema(pa.string())]

    def parse(self, block: bytes, offset: int) -> tuple[pa.Table, list[Reject]]:
        """Parses whole lines.

        Args:
            block: lines, the last one with or without its line end.
            offset: byte at which the block starts in the (uncompressed) file.

        Returns:
            The turns, in `turn_schema`, and the rejected rows. Blank lines are neither.
        """
        if offset == 0 and block.startswith(BYTE_ORDER_MARK):
            block = b" " * len(BYTE_ORDER_MARK) + block[len(BYTE_ORDER_MARK) :]
        starts, ends = line_bounds(block)
        tables, rejects = [self._schema.empty_table()], []
        whole = self._may_be_clean(block, starts, ends)
        for start, end in zip(starts[~whole].tolist(), ends[~whole].tolist(), strict=True):
            self._parse_line(block[start:end], offset + start, tables, rejects)
        lines = [block[start:end] for start, end in zip(starts[whole].tolist(), ends[whole].tolist(), strict=True)]
        self._parse_lines(lines, offset + starts[whole], tables, rejects)
        return pa.concat_tables(tables), rejects

    def _may_be_clean(self, block: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Which lines are no longer than allowed and start and end as an object, bool.

        Only these are parsed together: otherwise an object on two lines, beside two on one, would go unnoticed.
        """
        characters = np.frombuffer(block, np.uint8)
        framed = (characters[starts] == OPENING) & (characters[ends - 1] == CLOSING)
        return framed & (ends - starts <= self._reading.max_line_bytes)

    def _parse_lines(
        self, lines: list[bytes], positions: np.ndarray, tables: list[pa.Table], rejects: list[Reject]
    ) -> None:
        if not lines:
            return
        try:
            tables.append(self._clean_lines(lines, positions))
        except (NotClean, pa.ArrowInvalid):
            if len(lines) == 1:
                self._parse_line(lines[0], int(positions[0]), tables, rejects)
                return
            size = -(-len(lines) // PIECES)
            for start in range(0, len(lines), size):
                piece = slice(start, start + size)
                self._parse_lines(lines[piece], positions[piece], tables, rejects)

    def _clean_lines(self, lines: list[bytes], positions: np.ndarray) -> pa.Table:
        """All lines at once; NotClean or ArrowInvalid where a line needs a closer look."""
        block = pa.py_buffer(b"\n".join(lines))
        error = None
        for schema in self._raw_schemas:
            try:
                rows = self._read(block, schema)
                if rows.num_rows != len(lines):
                    raise NotClean("rows are not lines")
                return self._turns(rows, positions)
            except (NotClean, pa.ArrowInvalid) as raised:
                error = raised
        raise error

    def _read(self, lines: pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
        table = pyarrow.json.read_json(
            pa.BufferReader(lines),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=lines.size + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        return table.combine_chunks().to_batches()[0]

    def _turns(self, rows: pa.RecordBatch, positions: np.ndarray) -> pa.Table:
        """Turns of raw rows; a row with `turns` gives as many as it lists."""
        conversations = rows.column(TURNS).is_valid()
        if not conversations.true_count:
            return self._clean({name: rows.column(raw) for name, raw in self._reading.names.items()}, positions, 0)
        flat = rows.filter(pc.invert(conversations))
        conversations = conversations.to_numpy(zero_copy_only=False)
        tables = [
            self._clean(
                {name: flat.column(raw) for name, raw in self._reading.names.items()}, positions[~conversations], 0
            )
        ]
        nested = rows.filter(pa.array(conversations))
        turns = nested.column(TURNS)
        counts = turns.value_lengths().to_numpy()
        parents = np.repeat(np.arange(len(counts)), counts)
        places = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
        items = turns.flatten()
        if items.null_count:
            raise NotClean("a turn is null")
        fields = dict(zip([field.name for field in items.type], items.flatten(), strict=True))
        raw = {name: fields[file_name] for name, file_name in self._reading.names.items() if file_name in fields}
        raw["conversation_id"] = nested.column(self._reading.names["conversation_id"]).take(pa.array(parents))
        if raw["turn_index"].null_count == len(items) and raw["timestamp"].null_count == len(items):
            raw["turn_index"] = pa.array(places)
        elif pc.any(pc.and_(raw["turn_index"].is_null(), raw["timestamp"].is_null())).as_py():
            raise NotClean("only some turns say their order")
        tables.append(self._clean(raw, positions[conversations][parents], places.astype(np.int32)))
        return pa.concat_tables(tables)

    def _clean(self, raw: dict[str, pa.Array], positions: np.ndarray, nested: np.ndarray | int) -> pa.Table:
        columns = clean_columns(raw, self._reading.numeric_features)
        rows = len(positions)
        columns |= {
            "source": np.full(rows, self._source, np.int32),
            "position": positions,
            "nested": np.broadcast_to(np.int32(nested), rows),
        }
        return pa.table([columns[name] for name in self._schema.names], schema=self._schema)

    def _parse_line(self, line: bytes, position: int, tables: list[pa.Table], rejects: list[Reject]) -> None:
        turns = []
        for nested, row in self._rows_of(line, position, rejects):
            try:
                turn = turn_of(row, self._reading.numeric_features)
            except RowRejected as reason:
                content = json.dumps(row, ensure_ascii=True).encode() if TURNS in row or nested else line
                rejects.append(reject_of(self._source, position, nested, str(reason), content))
            else:
                turns.append(turn | {"source": self._source, "position": position, "nested": nested})
        tables.append(pa.Table.from_pylist(turns, self._schema))

    def _rows_of(self, line: bytes, position: int, rejects: list[Reject]) -> Iterator[tuple[int, dict]]:
        """The decoded rows of a line under the turn log's names, with their places; a reject if it has none."""
        try:
            row = self._decode(line)
        except RowRejected as reason:
            rejects.append(reject_of(self._source, position, 0, str(reason), line))
            return
        if row is None:
            return
        turns = row.get(TURNS)
        if turns is None:
            yield 0, {name: row.get(raw) for name, raw in self._reading.names.items()}
            return
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            rejects.append(reject_of(self._source, position, 0, "wrong_type", line))
            return
        ordered = any(
            turn.get(self._reading.names[name]) is not None for turn in turns for name in ("turn_index", "timestamp")
        )
        for place, turn in enumerate(turns):
            values = {name: turn.get(raw) for name, raw in self._reading.names.items()}
            values["conversation_id"] = row.get(self._reading.names["conversation_id"])
            yield place, values if ordered else values | {"turn_index": place}

    def _decode(self, line: bytes) -> dict | None:
        """The object on a line; None where it is blank."""
        if len(line) > self._reading.max_line_bytes:
            raise RowRejected("line_too_long")
        try:
            text = line.decode("utf-8").strip(" \t\r\n")
        except UnicodeDecodeError:
            raise RowRejected("invalid_utf8") from None
        if not text:
            return None
        try:
            row = json.loads(text, object_pairs_hook=_Object)
        except (ValueError, RecursionError):
            raise RowRejected("invalid_json") from None
        if not isinstance(row, dict):
            raise RowRejected("not_an_object")
        turns = row.get(TURNS)
        objects = [row, *(turn for turn in turns if isinstance(turn, _Object))] if isinstance(turns, list) else [row]
        known = {*self._reading.names.values(), TURNS}
        if any(item.twice & known for item in objects):
            raise RowRejected("duplicate_key")
        return row

    def _raw_schema(self, timestamp: pa.DataType) -> pa.Schema:
        types = {field.name: field.type for field in self._schema}
        fields = [
            pa.field(raw, timestamp if name == "timestamp" else types.get(name, pa.float64()))
            for name, raw in self._reading.names.items()
        ]
        turn = pa.struct([field for field in fields if field.name != self._reading.names["conversation_id"]])
        return pa.schema([*fields, pa.field(TURNS, pa.list_(turn))])


class _Object(dict):
    """A JSON object that remembers which keys it had twice."""

    def __init__(self, pairs: list[tuple[str, object]]):
        super().__init__(pairs)
        self.twice = set()
        if len(self) < len(pairs):
            self.twice = {key for key, count in Counter(key for key, _ in pairs).items() if count > 1}


def line_bounds(block: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each line of a block starts and ends (int64, without its line end), empty lines left out."""
    newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE)
    starts = np.concatenate([[0], newlines + 1])
    ends = np.concatenate([newlines, [len(block)]])
    characters = np.frombuffer(block + b"\n", np.uint8)
    ends = ends - ((ends > starts) & (characters[ends - 1] == CARRIAGE_RETURN))
    filled = ends > starts
    return starts[filled], ends[filled]
