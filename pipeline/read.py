"""File parts to turns, whatever the format."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.files import READ_ERRORS, FilePart, describe_error, open_bytes, open_parquet, read_lines
from pipeline.read_csv import CsvRows
from pipeline.read_jsonl import JsonLines
from pipeline.read_parquet import ParquetRows
from pipeline.turns import Reading, Reject, reject_of

BLOCK_BYTES = 16 << 20


def read_turns(part: FilePart, reading: Reading) -> Iterator[tuple[pa.Table, list[Reject]]]:
    """The turns of a part, block by block.

    Args:
        part: what to read.
        reading: how.

    Yields:
        Turns (`turn_schema`) and rejected rows. A file that can't be read on gives a reject `unreadable_file` that says
        where.
    """
    readers = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}
    try:
        yield from readers[part.file.format](part, reading)
    except READ_ERRORS as error:
        yield pa.table({}), [reject_of(part.file.number, part.start, 0, "unreadable_file", describe_error(error))]


def _read_jsonl(part, reading) -> Iterator[tuple[pa.Table, list[Reject]]]:
    lines = JsonLines(part.file.number, reading)
    for run in read_lines(part, BLOCK_BYTES, reading.max_line_bytes):
        if run.problem:
            yield pa.table({}), [reject_of(part.file.number, run.offset, 0, run.problem, run.block)]
        else:
            yield lines.parse(run.block, run.offset)


def _read_csv(part, reading) -> Iterator[tuple[pa.Table, list[Reject]]]:
    rows = CsvRows(part.file.number, reading)
    with open_bytes(part.file) as stream:
        yield from rows.parse(stream)


def _read_parquet(part, reading) -> Iterator[tuple[pa.Table, list[Reject]]]:
    rows = ParquetRows(part.file.number, reading)
    with open_parquet(part.file) as file:
        groups = range(part.start, file.metadata.num_row_groups if part.end is None else part.end)
        for group in groups:
            yield from rows.parse(file, group)
