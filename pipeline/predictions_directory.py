"""The predictions directory on any Beam filesystem: made ready, gone on with, completed."""

import dataclasses
import hashlib
import json
import re

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.files import SourceFile
from pipeline.write import atomic_file
from schemas.data_directory import InputFile
from schemas.exit_status import UsageError
from schemas.model_description import ModelDescription
from schemas.predictions_directory import (
    COMPLETED,
    CONFIG,
    EXTENSIONS,
    MANIFEST,
    METRICS,
    PREFIX,
    PROGRESS,
    REJECTED,
    Books,
    Manifest,
    Shard,
)

OURS = re.compile(
    rf"(config\.json|manifest\.json|metrics\.json|COMPLETED|rejected/.*|{re.escape(PROGRESS)}/.*"
    rf"|{PREFIX}-\d{{5,}}-of-\d{{5,}}\.({'|'.join(map(re.escape, EXTENSIONS))}))"
    r"(\.[0-9a-f]{32}\.part)?"
)
FINISHED = re.compile(r"shard-(\d{5,})\.json")
# What an interrupted job leaves for the next run.
KEPT = re.compile(rf"{re.escape(CONFIG)}|{re.escape(PROGRESS)}/{FINISHED.pattern}|{PREFIX}-.*(?<!\.part)")


def make_ready(directory: str, config: dict, overwrite: bool) -> None:
    """Makes an output directory ready for a job: empty, or with the finished shards of the same job, interrupted.

    Args:
        directory: of the predictions.
        config: what shapes them, JSON values; the same configuration means the same job. It is written to config.json.
        overwrite: whether to begin anew whatever is there.

    Raises:
        UsageError: when it is completed, holds another job or something else, or can't be written.
    """
    try:
        names = _names(directory)
        foreign = sorted(name for name in names if not OURS.fullmatch(name))
        if foreign:
            raise UsageError(f"--output_dir {directory} holds {foreign[0]}, which is no part of predictions")
        if COMPLETED in names and not overwrite:
            raise UsageError(f"--output_dir {directory} holds completed predictions; choose another or --overwrite")
        kept = CONFIG in names and not overwrite
        if kept and _read(directory, CONFIG) != _json(config):
            raise UsageError(
                f"--output_dir {directory} holds an interrupted job with other input, model or flags; choose another, "
                "or --overwrite"
            )
        for name in sorted(names, key=lambda name: name != COMPLETED):
            if not (kept and KEPT.fullmatch(name)):
                FileSystems.delete([FileSystems.join(directory, name)])
        for path in (directory, *(FileSystems.join(directory, part) for part in (REJECTED, PROGRESS))):
            if not FileSystems.exists(path):
                FileSystems.mkdirs(path)
        if not kept:
            _write(directory, CONFIG, _json(config))
    except (BeamIOError, OSError, ValueError) as error:
        raise UsageError(f"can't write to --output_dir {directory}: {error}") from error


def finished(directory: str) -> dict[int, str]:
    """{bucket: file with what is known of it} of the shards that an earlier run has finished."""
    [found] = FileSystems.match([FileSystems.join(directory, PROGRESS, "*.json")])
    paths = {FINISHED.fullmatch(FileSystems.split(item.path)[1]): item.path for item in found.metadata_list}
    return {int(name[1]): path for name, path in paths.items() if name}


def read_finished(directory: str, path: str) -> dict | None:
    """What is known of a finished shard; None when that, or the shard, is missing or not as it was written.

    Args:
        directory: of the predictions.
        path: from `finished`.
    """
    try:
        with FileSystems.open(path) as file:
            facts = json.loads(file.read())
        [(name, shard)] = facts["shards"].items()
        with FileSystems.open(
            FileSystems.join(directory, name), compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (BeamIOError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return facts if digest == shard["sha256"] else None


def progress_file(directory: str, bucket: int) -> str:
    """Where the facts of a finished shard are kept until the job is done."""
    return FileSystems.join(directory, PROGRESS, f"shard-{bucket:05d}.json")


def result_file(directory: str) -> str:
    """Where the job leaves its counts for the command."""
    return FileSystems.join(directory, PROGRESS, "result.json")


def complete(
    directory: str,
    description: ModelDescription,
    target_speakers: tuple[str, ...],
    files: list[SourceFile],
    shards: dict[str, dict],
    books: Books,
    metrics: dict | None,
) -> None:
    """Writes metrics.json, manifest.json and, last, COMPLETED; removes what only an interrupted job needs."""
    manifest = Manifest(
        model_version=description.version,
        labels=description.labels,
        target_speakers=target_speakers,
        inputs=tuple(InputFile(file.path, file.size) for file in files),
        shards=tuple(Shard(name, **shard) for name, shard in sorted(shards.items())),
        books=books,
    )
    if metrics is not None:
        _write(directory, METRICS, _json({"model_version": description.version, **metrics}))
    _write(directory, MANIFEST, manifest.to_json())
    _write(directory, COMPLETED, "")
    FileSystems.delete([FileSystems.join(directory, PROGRESS)])


def describe_input(files: list[SourceFile]) -> list[dict]:
    """What tells an input from others: path, size and time of the last change of each file."""
    return [{"path": file.path, "bytes": file.size, "changed": file.changed} for file in files]


def _names(directory: str) -> list[str]:
    """The files below a directory, by their names in it."""
    found = [item.path for item in FileSystems.match([FileSystems.join(directory, "**")])[0].metadata_list]
    return [path.removeprefix(directory).lstrip("/\\") for path in found]


def _read(directory: str, name: str) -> str:
    with FileSystems.open(FileSystems.join(directory, name)) as file:
        return file.read().decode("utf-8")


def _write(directory: str, name: str, text: str) -> None:
    with atomic_file(FileSystems.join(directory, name)) as file:
        file.write(text.encode())


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=dataclasses.asdict) + "\n"
