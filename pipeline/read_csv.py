"""CSV to turns: RFC 4180 with a header, UTF-8."""

import csv
import io
from collections.abc import Iterator

import pyarrow as pa

from pipeline.files import READ_ERRORS, describe_error
from pipeline.rows import RowRejected, turn_of
from pipeline.turns import Reject, TurnReader, reject_of
from schemas.turn_log import CSV_LABEL_SEPARATOR

BATCH_ROWS = 20_000


class CsvRows(TurnReader):
    """Parses a whole CSV file row by row.

    An empty field is a missing value, except in the required `text`. In `labels` an empty field means history only, and
    a lone separator a target with no intent.
    """

    def parse(self, stream: io.RawIOBase) -> Iterator[tuple[pa.Table, list[Reject]]]:
        """Parses the bytes of a file; yields turns (`turn_schema`) and rejected rows, batch by batch."""
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        rows = self._rows(csv.reader(text))
        _, header, _ = next(rows, (0, [], None))
        turns, rejects = [], []
        for line, fields, problem in rows:
            try:
                turns.append(
                    self._turn(header, fields, problem) | {"source": self._source, "position": line, "nested": 0}
                )
            except RowRejected as reason:
                rejects.append(self._reject(line, fields, str(reason)))
            if len(turns) + len(rejects) >= BATCH_ROWS:
                yield pa.Table.from_pylist(turns, self._schema), rejects
                turns, rejects = [], []
        yield pa.Table.from_pylist(turns, self._schema), rejects

    def _rows(self, reader) -> Iterator[tuple[int, list[str], str | None]]:
        """Line number, fields and what is wrong with the row as such; blank lines are passed over."""
        csv.field_size_limit(self._reading.max_line_bytes)
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, [], "line_too_long" if "limit" in str(error) else "wrong_column_count"
                continue
            except READ_ERRORS as error:
                yield line, [describe_error(error).decode()], "unreadable_file"
                return
            if fields:
                yield line, fields, None

    def _turn(self, header: list[str], fields: list[str], problem: str | None) -> dict:
        if problem:
            raise RowRejected(problem)
        if len(fields) != len(header):
            raise RowRejected("wrong_column_count")
        if sum(map(len, fields)) > self._reading.max_line_bytes:
            raise RowRejected("line_too_long")
        values = dict(zip(header, fields, strict=True))
        row = {name: values.get(raw) or None for name, raw in self._reading.names.items()}
        row["text"] = values.get(self._reading.names["text"])
        for name in ("turn_index", *self._reading.numeric_features):
            row[name] = _number_of(row.get(name))
        row["timestamp"] = _seconds_of(row["timestamp"])
        if row["labels"] is not None:
            row["labels"] = [label for label in row["labels"].split(CSV_LABEL_SEPARATOR) if label]
        return turn_of(row, self._reading.numeric_features)

    def _reject(self, line: int, fields: list[str], reason: str) -> Reject:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(fields)
        return reject_of(self._source, line, 0, reason, buffer.getvalue().encode("utf-8", "surrogateescape"))


def _number_of(field: str | None) -> int | float | str | None:
    """The number of a field; the field itself where it is none, for `turn_of` to reject."""
    for number in (int, float):
        try:
            return None if field is None else number(field)
        except ValueError:
            continue
    return field


def _seconds_of(field: str | None) -> float | str | None:
    try:
        return None if field is None else float(field)
    except ValueError:
        return field
