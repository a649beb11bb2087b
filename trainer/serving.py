"""The serving directory: numbered versions of a model as TensorFlow Serving has them, and which one is in service.

`serving/<version>/` is a SavedModel; `serving/current` is a symbolic link to the one in service. A version appears when
it is whole, and the link moves in one step: a reader that follows the link once, and then loads, gets a whole model.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

import filelock

from schemas.exit_status import TurnwiseError, UsageError
from schemas.model_directory import SAVED_MODEL_FILE
from trainer.whole_files import sync, sync_tree, write_whole

CURRENT = "current"
# TensorFlow leaves this directory of a SavedModel to its makers.
PROVENANCE = "assets.extra/turnwise.json"
LOCK = ".lock"
ASIDE = ".aside-"
SECONDS_FOR_LOCK = 60
# TensorFlow Serving reads versions as 64-bit integers.
MAX_VERSION = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a version came from.

    Attributes:
        run_id: the run that made it; None for one that was promoted by hand.
        model: the path of its SavedModel then.
        promoted: when, RFC 3339 in UTC.
    """

    run_id: str | None
    model: str
    promoted: str


def versions(serving_dir: str | pathlib.Path) -> list[int]:
    """The versions that are there, in order."""
    path = pathlib.Path(serving_dir)
    return sorted(int(entry.name) for entry in path.iterdir() if _is_version(entry)) if path.is_dir() else []


def _is_version(path: pathlib.Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and (path / SAVED_MODEL_FILE).is_file()


def current(serving_dir: str | pathlib.Path) -> int | None:
    """The version in service; None for none.

    Raises:
        UsageError: when `current` leads to no version.
    """
    link = pathlib.Path(serving_dir) / CURRENT
    try:
        target = os.readlink(link)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{link} is no symbolic link: {error.strerror}") from error
    if os.path.dirname(target) or not _is_version(link.parent / target):
        raise UsageError(f"{link} leads to {target}, which is no version; there are "
                         f"{', '.join(map(str, versions(serving_dir))) or 'none'}")
    return int(target)


def next_version(serving_dir: str | pathlib.Path, now: datetime.datetime) -> int:
    """A version above all that are there: the time as YYYYMMDDhhmmss, if nothing is above that."""
    return max([int(now.strftime("%Y%m%d%H%M%S")), *(version + 1 for version in versions(serving_dir))])


def provenance(serving_dir: str | pathlib.Path, version: int) -> Provenance | None:
    """Where a version came from; None where that is not known."""
    path = pathlib.Path(serving_dir) / str(version) / PROVENANCE
    try:
        return Provenance(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def promote(saved_model: str | pathlib.Path, serving_dir: str | pathlib.Path, version: int, origin: Provenance) -> None:
    """Puts a SavedModel into service as a version; one of that number that is there is taken as it is.

    Raises:
        UsageError: when there is no such SavedModel.
        TurnwiseError: when it can't be copied; what was in service still is.
    """
    source, serving = pathlib.Path(saved_model), pathlib.Path(serving_dir)
    if not (source / SAVED_MODEL_FILE).is_file():
        raise UsageError(f"{source} is no SavedModel: it has no {SAVED_MODEL_FILE}")
    target, aside = serving / str(version), serving / f"{ASIDE}{version}"
    try:
        serving.mkdir(parents=True, exist_ok=True)
        _clear_aside(serving)
        if not target.exists():
            shutil.copytree(source, aside)
            (aside / PROVENANCE).parent.mkdir(exist_ok=True)
            write_whole(aside / PROVENANCE, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
            sync_tree(aside)
            os.rename(aside, target)
        set_current(serving, version)
    except (OSError, shutil.Error, TurnwiseError) as error:
        with contextlib.suppress(OSError):
            _clear_aside(serving)
        raise TurnwiseError(f"can't put {source} into service as {target}: {error}") from error


def set_current(serving_dir: str | pathlib.Path, version: int) -> None:
    """Makes a version the one in service, in one step.

    Raises:
        UsageError: when there is no such version.
        OSError: when the link can't be made.
    """
    serving = pathlib.Path(serving_dir)
    if not _is_version(serving / str(version)):
        raise UsageError(f"{serving} has no version {version}; there are "
                         f"{', '.join(map(str, versions(serving))) or 'none'}")
    aside = serving / f"{ASIDE}{CURRENT}"
    aside.unlink(missing_ok=True)
    os.symlink(str(version), aside)
    os.replace(aside, serving / CURRENT)
    sync(serving)


def retire(serving_dir: str | pathlib.Path, keep: int) -> list[int]:
    """Deletes all but the newest `keep` versions; never the one in service, nor the one that was promoted last.

    Returns:
        The versions that were deleted.
    """
    serving, there = pathlib.Path(serving_dir), versions(serving_dir)
    kept = {*there[-max(keep, 1):], current(serving)}
    retired = [version for version in there if version not in kept]
    for version in retired:
        # Under its own name it would be seen half deleted.
        aside = serving / f"{ASIDE}{version}"
        os.rename(serving / str(version), aside)
        shutil.rmtree(aside)
    return retired


@contextlib.contextmanager
def serving_lock(serving_dir: str | pathlib.Path) -> Iterator[None]:
    """Holds off others that change the serving directory.

    Raises:
        TurnwiseError: when another has it for longer than a minute, or there is no such place.
    """
    path = pathlib.Path(serving_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path / LOCK, timeout=SECONDS_FOR_LOCK):
            yield
    except filelock.Timeout as error:
        raise TurnwiseError(f"{path} has been locked by another process for {SECONDS_FOR_LOCK} seconds") from error


def _clear_aside(serving: pathlib.Path) -> None:
    """Removes what promotions and deletions that were cut short have left."""
    for path in serving.glob(f"{ASIDE}*"):
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
