"""Files that appear under their names only when whole, and stay after a power cut."""

import os
import pathlib

from schemas.exit_status import TurnwiseError


def write_whole(path: str | pathlib.Path, text: str) -> None:
    """Writes a file aside, brings it to the disk, and renames it into place.

    Raises:
        TurnwiseError: when it can't be written; what was there before still is.
    """
    path = pathlib.Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise TurnwiseError(f"can't write {path}: {error.strerror}") from error


def sync_tree(directory: pathlib.Path) -> None:
    """Brings every file of a directory, and the directories themselves, to the disk.

    Raises:
        OSError: when the disk can't take them.
    """
    for folder, _, files in os.walk(directory):
        for name in (*files, "."):
            sync(pathlib.Path(folder) / name)


def sync(path: pathlib.Path) -> None:
    """Brings one file or directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
