"""The data directory on any Beam filesystem: made ready, completed."""

import contextlib
import dataclasses
import functools
import json
import posixpath
import re
import tempfile
import uuid
from collections.abc import Iterator

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.files import SourceFile
from pipeline.options import PrepareConfig
from pipeline.write import atomic_file
from schemas.data_directory import (
    COMPLETED,
    CONFIG,
    LABELS,
    MANIFEST,
    SPLITS,
    STATISTICS,
    VOCABULARY_ASSET,
    Books,
    InputFile,
    Manifest,
    Shard,
)
from schemas.exit_status import UsageError

SCRATCH_PREFIX = ".job-"
OURS = re.compile(
    r"(config\.json|manifest\.json|COMPLETED|labels\.json|statistics\.json|rejected/.*|transform/.*|\.job-.*"
    rf"|({'|'.join(SPLITS)})-\d{{5,}}-of-\d{{5,}}\.tfrecord\.gz)(\.[0-9a-f]{{32}}\.part)?"
)


def make_ready(directory: str, overwrite: bool) -> None:
    """Makes an output directory that holds nothing.

    What an interrupted job left there is removed; a completed data directory only with `overwrite`.

    Raises:
        UsageError: when it is completed, holds something else, or can't be written.
    """
    try:
        found = [item.path for item in FileSystems.match([FileSystems.join(directory, "**")])[0].metadata_list]
        names = [path.removeprefix(directory).lstrip("/\\") for path in found]
        foreign = sorted(name for name in names if not OURS.fullmatch(name))
        if foreign:
            raise UsageError(f"--output_dir {directory} holds {foreign[0]}, which is no part of a data directory")
        if COMPLETED in names and not overwrite:
            raise UsageError(f"--output_dir {directory} is a completed data directory; choose another or --overwrite")
        for name in sorted(names, key=lambda name: name != COMPLETED):
            FileSystems.delete([FileSystems.join(directory, name)])
        # Where directories are more than parts of names, the emptied ones are still there.
        for part in {name.split("/")[0] for name in names if "/" in name}:
            if FileSystems.exists(FileSystems.join(directory, part)):
                FileSystems.delete([FileSystems.join(directory, part)])
        for path in (directory, FileSystems.join(directory, "rejected")):
            if not FileSystems.exists(path):
                FileSystems.mkdirs(path)
    except (BeamIOError, OSError, ValueError) as error:
        raise UsageError(f"can't write to --output_dir {directory}: {error}") from error


@contextlib.contextmanager
def scratch(directory: str | None) -> Iterator[str]:
    """A directory for intermediate files inside `directory`, or in the system's place for such; removed at the end."""
    if directory is None:
        with tempfile.TemporaryDirectory() as path:
            yield path
        return
    path = FileSystems.join(directory, SCRATCH_PREFIX + uuid.uuid4().hex)
    FileSystems.mkdirs(path)
    try:
        yield path
    finally:
        FileSystems.delete([path])


@functools.lru_cache(maxsize=2)
def read_vocabulary(path: str) -> pa.Array:
    """The tokens of a vocabulary file, one a line, in the order of their ids."""
    with FileSystems.open(path) as file:
        data = file.read()
    return pa.array(data.decode("utf-8").split("\n")[:-1], pa.string())


def complete(
    directory: str,
    config: PrepareConfig,
    scalars: tuple[str, ...],
    files: list[SourceFile],
    result: dict,
    books: Books,
    statistics: dict,
) -> None:
    """Writes config.json, labels.json, statistics.json, manifest.json and, last, COMPLETED."""
    learnt = result["learnt"]
    vocabulary = read_vocabulary(FileSystems.join(directory, *posixpath.split(VOCABULARY_ASSET)))
    manifest = Manifest(
        inputs=tuple(InputFile(file.path, file.size) for file in files),
        shards=tuple(Shard(name, name.split("-")[0], **shard) for name, shard in sorted(result["shards"].items())),
        vocabulary_size=len(vocabulary) + 2,
        max_tokens=config.max_tokens,
        history_turns=config.history_turns,
        history=config.history,
        labels=len(learnt["labels"]),
        speakers=tuple(learnt["speakers"]),
        target_speakers=tuple(learnt["target_speakers"]),
        numeric_features=scalars,
        books=books,
    )
    counts = statistics["splits"]["train"]["labels"]
    contents = {
        CONFIG: _json(dataclasses.asdict(config)),
        LABELS: _json({"labels": learnt["labels"], "train_counts": [counts[label] for label in learnt["labels"]]}),
        STATISTICS: _json(statistics),
        MANIFEST: manifest.to_json(),
        COMPLETED: "",
    }
    for name, text in contents.items():
        with atomic_file(FileSystems.join(directory, name)) as file:
            file.write(text.encode())


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
