"""Opens datasets as their authors publish them: JSON files, plain or in zip archives, in directories or by pattern."""

import dataclasses
import glob
import io
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from schemas.exit_status import DataRefused, UsageError

_KINDS = (".json", ".zip")


@dataclasses.dataclass(frozen=True)
class JsonFile:
    """A JSON file that can be read while `json_files` is at it.

    Attributes:
        name: as it is shown to users, `archive.zip/folder/file.json` inside an archive.
        read: gives its bytes.
    """

    name: str
    read: Callable[[], bytes]

    def content(self) -> Any:
        """The parsed content.

        Raises:
            UsageError: when it can't be read.
            DataRefused: when it is no JSON text, or damaged.
        """
        data = self.read()
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataRefused(f"{self.name} is no JSON text: {error}") from error


def find_paths(pattern: str) -> list[str]:
    """The .json and .zip files that --input names, each once.

    Args:
        pattern: a file, a directory (its files are taken, those of directories inside it aren't), or a pattern of
            either.

    Raises:
        UsageError: when there are none.
    """
    matches = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
    paths = []
    for match in matches:
        names = [os.path.join(match, name) for name in sorted(os.listdir(match))] if os.path.isdir(match) else [match]
        paths += filter(_is_source, names)
    if not paths:
        raise UsageError(f"--input {pattern}: no .json or .zip file there")
    return list(dict.fromkeys(paths))


def json_files(path: str) -> Iterator[JsonFile]:
    """Yields a .json file itself, or every JSON file in a .zip archive and in the archives inside it.

    Nothing is unpacked to disk.

    Args:
        path: one of `find_paths`.

    Raises:
        UsageError: when the archive can't be read.
        DataRefused: when it is none, or damaged.
    """
    if path.endswith(".json"):
        yield JsonFile(path, lambda: _read_file(path))
        return
    try:
        file = open(path, "rb")
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error
    with file:
        yield from _members(file, path)


def _members(file: Any, name: str) -> Iterator[JsonFile]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataRefused(f"{name} is no zip archive: {error}") from error
    with archive:
        for member in filter(_is_source, sorted(archive.namelist())):
            member_name = f"{name}/{member}"
            if member.endswith(".json"):
                yield JsonFile(member_name, lambda member=member: _read_member(archive, member, name))
            else:
                yield from _members(io.BytesIO(_read_member(archive, member, name)), member_name)


def _read_file(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error


def _read_member(archive: zipfile.ZipFile, member: str, archive_name: str) -> bytes:
    try:
        return archive.read(member)
    # zipfile says RuntimeError for an encrypted member, NotImplementedError for an unknown compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise DataRefused(f"{archive_name}/{member} can't be unpacked: {error}") from error


def _is_source(path: str) -> bool:
    """Whether a name is of a JSON file or an archive; macOS archives hold namesakes with other content."""
    base = os.path.basename(path)
    return base.endswith(_KINDS) and not base.startswith(".") and "__MACOSX/" not in path
