"""Predictions as rows: JSON Lines or Parquet, made column by column."""

import contextlib
import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from apache_beam.io.filesystems import FileSystems

from pipeline.score_options import ScoreConfig
from pipeline.scoring import Answers
from pipeline.write import atomic_file
from schemas.model_description import ModelDescription
from schemas.predictions_directory import Shard

# As text, a row takes kilobytes while it is made.
ROWS_AT_ONCE = 8192
COMPRESSIONS = {"jsonl": None, "jsonl.gz": "gzip", "jsonl.zst": "zstd"}
# The fastest of gzip: predictions are numbers, which hardly pack better on higher levels.
GZIP_LEVEL = 1


def predictions_table(
    ids: pa.Table, answers: Answers, description: ModelDescription, config: ScoreConfig
) -> pa.Table:
    """The columns of `schemas.predictions_directory.COLUMNS`.

    Args:
        ids: `conversation_id` and `turn_index` of N windows.
        answers: for them; windows that failed are left out.
        description: of the model.
        config: which scores are written, and whether attention is.

    Returns:
        Rows of the windows with an answer, in order.
    """
    kept = np.setdiff1d(np.arange(len(answers.gate)), list(answers.failures))
    written = _written(answers.scores[kept], config)
    columns = {
        "conversation_id": ids["conversation_id"].take(pa.array(kept)).combine_chunks(),
        "turn_index": ids["turn_index"].take(pa.array(kept)).combine_chunks(),
        "labels": _labels(answers.predicted[kept], description.labels),
        "scores": _scores(answers.scores[kept], written, description.labels),
    }
    if config.attention:
        attention = answers.attention[kept]
        columns["attention"] = pa.ListArray.from_arrays(
            np.arange(len(attention) + 1, dtype=np.int32) * attention.shape[1], attention.ravel()
        )
        columns["gate"] = pa.array(answers.gate[kept])
    version = pa.DictionaryArray.from_arrays(np.zeros(len(kept), np.int32), [description.version])
    return pa.table({**columns, "model_version": version})


def write_predictions(path: str, name: str, table: pa.Table, extension: str) -> Shard:
    """Writes one shard: made aside, then renamed into place.

    Args:
        path: of the directory, on any Beam filesystem.
        name: of the file.
        table: from `predictions_table`.
        extension: of `schemas.predictions_directory.EXTENSIONS`.
    """
    digest = hashlib.sha256()
    with atomic_file(FileSystems.join(path, name)) as target:
        sink = pa.PythonFile(_Digesting(target, digest), "w")
        if extension == "parquet":
            pyarrow.parquet.write_table(table, sink, compression="zstd")
        else:
            with _compressed(sink, COMPRESSIONS[extension]) as stream:
                for start in range(0, len(table), ROWS_AT_ONCE):
                    stream.write(json_lines(table.slice(start, ROWS_AT_ONCE)))
    return Shard(name, len(table), digest.hexdigest())


def json_lines(table: pa.Table) -> bytes:
    """The rows of `predictions_table` as JSON Lines; numbers are the shortest that read back as the same float32."""
    if not len(table):
        return b""
    pieces = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        column = column.combine_chunks()
        pieces += [f"{', ' if pieces else '{'}{json.dumps(name)}: ", _FORMATS[name](column)]
    separator = pa.scalar("", pa.large_string())
    lines = pc.binary_join_element_wise(*map(_text, pieces), pa.scalar("}\n", pa.large_string()), separator)
    return pc.binary_join(pa.LargeListArray.from_arrays([0, len(lines)], lines), separator)[0].as_buffer().to_pybytes()


def _text(piece: str | pa.Array) -> pa.Scalar | pa.Array:
    return pa.scalar(piece, pa.large_string()) if isinstance(piece, str) else piece.cast(pa.large_string())


def _quoted(values: pa.DictionaryArray) -> pa.Array:
    """Each string as a JSON string."""
    # A slice has the dictionary of the whole.
    used = values.indices.unique()
    texts = [json.dumps(value, ensure_ascii=False) for value in values.dictionary.take(used).to_pylist()]
    return pa.array(texts, pa.large_string()).take(pc.index_in(values.indices, used))


def _bracketed(start: str, items: pa.Array, offsets: np.ndarray, end: str) -> pa.Array:
    """Each run of items, joined with commas, between two brackets."""
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items.cast(pa.large_string()))
    joined = pc.binary_join(lists, pa.scalar(", ", pa.large_string()))
    return pc.binary_join_element_wise(
        pa.scalar(start, pa.large_string()), joined, pa.scalar(end, pa.large_string()),
        pa.scalar("", pa.large_string())
    )


def _list_of_strings(values: pa.ListArray) -> pa.Array:
    return _bracketed("[", _quoted(values.flatten().dictionary_encode()), _from_zero(values.offsets), "]")


def _list_of_numbers(values: pa.ListArray) -> pa.Array:
    return _bracketed("[", values.flatten(), _from_zero(values.offsets), "]")


def _object(values: pa.MapArray) -> pa.Array:
    start, end = values.offsets[0].as_py(), values.offsets[-1].as_py()
    keys, items = (part.slice(start, end - start) for part in (values.keys, values.items))
    pairs = pc.binary_join_element_wise(
        _quoted(keys.dictionary_encode()), items.cast(pa.large_string()), pa.scalar(": ", pa.large_string())
    )
    return _bracketed("{", pairs, _from_zero(values.offsets), "}")


def _from_zero(offsets: pa.Array) -> np.ndarray:
    """Offsets into what `flatten` gives: those of a slice begin where it was cut out."""
    return offsets.to_numpy() - offsets[0].as_py()


_FORMATS = {
    "conversation_id": _quoted,
    "turn_index": lambda values: values,
    "labels": _list_of_strings,
    "scores": _object,
    "attention": _list_of_numbers,
    "gate": lambda values: values,
    "model_version": _quoted,
}


def _written(scores: np.ndarray, config: ScoreConfig) -> np.ndarray:
    """Which scores are written, bool [N, K]: of equal ones at the end of the top k, those of the first labels."""
    written = scores >= np.float32(config.min_score)
    if config.top_k is not None and config.top_k < scores.shape[1]:
        best = np.argsort(-scores, axis=1, kind="stable")[:, : config.top_k]
        among = np.zeros(scores.shape, bool)
        np.put_along_axis(among, best, True, axis=1)
        written &= among
    return written


def _labels(predicted: np.ndarray, labels: tuple[str, ...]) -> pa.ListArray:
    """The names of bool [N, K]."""
    offsets = np.concatenate([[0], predicted.sum(axis=1).cumsum()]).astype(np.int32)
    names = pa.array(labels, pa.string()).take(pa.array(np.nonzero(predicted)[1]))
    return pa.ListArray.from_arrays(offsets, names)


def _scores(scores: np.ndarray, written: np.ndarray, labels: tuple[str, ...]) -> pa.MapArray:
    """{label: score} of those that are written, bool [N, K]."""
    offsets = np.concatenate([[0], written.sum(axis=1).cumsum()]).astype(np.int32)
    keys = pa.array(labels, pa.string()).take(pa.array(np.nonzero(written)[1]))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, pa.array(scores[written]))


class _Digesting:
    """A file that is hashed as it is written."""

    def __init__(self, file, digest):
        self._file, self._digest, self.closed = file, digest, False

    def write(self, data) -> int:
        """Writes and hashes."""
        data = bytes(data)
        self._file.write(data)
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """The file is its owner's to close."""

    def writable(self) -> bool:
        """It is."""
        return True


@contextlib.contextmanager
def _compressed(sink: pa.NativeFile, compression: str | None) -> Iterator:
    """What is written to it goes to the sink, packed; equal contents give equal bytes."""
    if compression == "gzip":
        import gzip

        with gzip.GzipFile(fileobj=sink, mode="wb", filename="", mtime=0, compresslevel=GZIP_LEVEL) as stream:
            yield stream
    elif compression:
        with pa.CompressedOutputStream(sink, compression) as stream:
            yield stream
    else:
        yield sink
