"""Input files: which there are, how they are cut into parts, and their lines."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.exit_status import UsageError

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
# Read at a time: of a damaged file, less than this is lost before the place where it can't be read on.
READ_BYTES = 1 << 16
READ_ERRORS = (OSError, EOFError, pa.ArrowException)
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """One input file.

    Attributes:
        number: its place among all input files, ordered by path.
        path: any path that Beam's filesystems know.
        size: bytes, as stored.
        changed: seconds since 1970; 0 where the filesystem doesn't say.
        format: `jsonl`, `csv` or `parquet`.
        compression: `gzip`, `zstd`, `bz2`, or None.
    """

    number: int
    path: str
    size: int
    changed: float
    format: str
    compression: str | None


@dataclasses.dataclass(frozen=True)
class FilePart:
    """A part of a file that is read on its own.

    Attributes:
        file: the file.
        start: first byte (lines) or first row group (Parquet).
        end: byte or row group after the last one; None is the end of the file.
    """

    file: SourceFile
    start: int
    end: int | None


def match_files(patterns: list[str]) -> list[SourceFile]:
    """The files of the patterns, ordered by path; each once.

    Raises:
        UsageError: when a pattern matches nothing, or a file has a suffix that tells no format.
    """
    files = {}
    for pattern in patterns:
        try:
            found = FileSystems.match([pattern])[0].metadata_list
        except (BeamIOError, ValueError, OSError) as error:
            raise UsageError(f"can't list --input {pattern}: {error}") from error
        if not found:
            raise UsageError(f"--input {pattern} matches no file")
        files |= {item.path: (item.size_in_bytes, item.last_updated_in_seconds or 0.0) for item in found}
    return [SourceFile(n, path, *files[path], *format_of(path)) for n, path in enumerate(sorted(files))]


def format_of(path: str) -> tuple[str, str | None]:
    """Format and compression by the suffix of a path.

    Raises:
        UsageError: when the suffix tells no format.
    """
    stem, compression = path.lower(), None
    for suffix, name in COMPRESSIONS.items():
        if stem.endswith(suffix):
            stem, compression = stem.removesuffix(suffix), name
    for suffix, name in FORMATS.items():
        if stem.endswith(suffix) and not (name == "parquet" and compression):
            return name, compression
    allowed = f"{', '.join(FORMATS)}, all but .parquet also with {', '.join(COMPRESSIONS)}"
    raise UsageError(f"can't tell the format of {path} by its suffix; allowed are {allowed}")


def cut(file: SourceFile, part_bytes: int) -> list[FilePart]:
    """Cuts a file into parts of about `part_bytes`: plain JSON Lines by bytes, Parquet by row groups.

    Compressed files and CSV (a quoted field may hold line ends) stay whole, and so does what can't be opened: reading
    it then says why.
    """
    if file.format == "jsonl" and not file.compression:
        starts = range(0, max(file.size, 1), part_bytes)
        return [FilePart(file, start, min(start + part_bytes, file.size)) for start in starts]
    if file.format == "parquet":
        try:
            with open_parquet(file) as parquet:
                groups = parquet.metadata.num_row_groups
        except (OSError, pa.ArrowException):
            return [FilePart(file, 0, None)]
        return [FilePart(file, group, group + 1) for group in range(groups)]
    return [FilePart(file, 0, None)]


@contextlib.contextmanager
def open_parquet(file: SourceFile) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Opens a Parquet file on any of Beam's filesystems."""
    with open_raw(file) as raw:
        yield pyarrow.parquet.ParquetFile(pa.PythonFile(raw))


def open_raw(file: SourceFile) -> io.BufferedIOBase:
    """Opens the stored bytes of a file."""
    return FileSystems.open(file.path, compression_type=CompressionTypes.UNCOMPRESSED)


def open_bytes(file: SourceFile) -> pa.NativeFile:
    """Opens the uncompressed bytes of a file; a cut-off compressed file raises OSError when read."""
    raw = pa.PythonFile(open_raw(file), "r")
    return pa.CompressedInputStream(raw, file.compression) if file.compression else raw


@dataclasses.dataclass(frozen=True)
class Lines:
    """A run of whole lines, or what is no line.

    Attributes:
        offset: byte of the uncompressed file they start at.
        block: the bytes; of a line that is too long only the first ones; where the file can't be read on, the error.
        problem: a reason code of `REJECT_REASONS`, or None for lines.
    """

    offset: int
    block: bytes
    problem: str | None = None


def read_lines(part: FilePart, block_bytes: int, max_line_bytes: int) -> Iterator[Lines]:
    """The lines that start inside a part, in blocks.

    A line belongs to the part in which its first byte lies. No more than `block_bytes` + `max_line_bytes` are held.
    What could be read of a damaged file comes before the word of where it can't be read on.

    Raises:
        OSError: when the file can't be opened.
    """
    with open_bytes(part.file) as stream:
        position, held, skipping = part.start, b"", part.start > 0
        if skipping:  # The line that runs into the part, if only by its line end, is the previous part's.
            position -= 1
            stream.seek(position)
        while part.end is None or position < part.end:
            ahead = block_bytes if part.end is None else part.end - position - len(held)
            chunk, error = _read_up_to(stream, min(block_bytes, ahead) if ahead > 0 else READ_BYTES)
            held += chunk
            if skipping:
                newline = held.find(b"\n")
                stop = newline + 1 or len(held)
                skipping = newline < 0
            else:
                stop = _end_of_lines(held, None if part.end is None else part.end - position)
                if stop:
                    yield Lines(position, held[:stop])
                elif not chunk and held and not error:
                    yield Lines(position, held)
                elif len(held) > max_line_bytes:
                    yield Lines(position, held, "line_too_long")
                    stop, skipping = len(held), True
            position, held = position + stop, held[stop:]
            if error:
                yield Lines(position, describe_error(error), "unreadable_file")
            if error or not (chunk or stop):
                return


def _read_up_to(stream: pa.NativeFile, size: int) -> tuple[bytes, Exception | None]:
    """So many bytes, fewer at the end of the file or before an error, and the error."""
    pieces = []
    try:
        while size > 0 and (piece := stream.read(min(size, READ_BYTES))):
            pieces.append(piece)
            size -= len(piece)
    except READ_ERRORS as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


def describe_error(error: Exception) -> bytes:
    """An error as the content of a reject."""
    return f"{type(error).__name__}: {error}".encode()


def _end_of_lines(held: bytes, owned: int | None) -> int:
    """Where the last whole line ends that starts within the first `owned` bytes; 0 if no line is whole."""
    if owned is not None and len(held) >= owned:
        beyond = held.find(b"\n", owned - 1)
        if beyond >= 0:
            return beyond + 1
    return held.rfind(b"\n") + 1
