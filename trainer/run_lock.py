"""The lock of a directory of runs: one run at a time."""

import contextlib
import datetime
import os
import pathlib
import platform
from collections.abc import Iterator

import filelock

from schemas.exit_status import LOCKED, TurnwiseError, UsageError
from schemas.visible_text import visible
from trainer.whole_files import write_whole

LOCK = "LOCK"
# Who has the lock, for those who don't get it.
HOLDER = "LOCK.holder"


class Locked(TurnwiseError):
    """Another run is under way."""

    exit_status = LOCKED


@contextlib.contextmanager
def exclusive(runs_dir: str, run_id: str) -> Iterator[None]:
    """Holds the lock of a directory of runs; the kernel gives it back when the process ends, however it does.

    Raises:
        Locked: at once, when another process has it.
        UsageError: when there can be no such directory.
    """
    path = pathlib.Path(runs_dir)
    lock = filelock.FileLock(path / LOCK, timeout=0)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise Locked(visible(f"{path} is locked: {_holder(path)}")) from error
    except OSError as error:
        raise UsageError(f"can't use runs_dir {path}: {error.strerror}") from error
    since = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        write_whole(path / HOLDER, f"run {run_id}, process {os.getpid()} on {platform.node()}, since {since}\n")
        yield
    finally:
        lock.release()


def _holder(runs_dir: pathlib.Path) -> str:
    """Who has the lock, in words."""
    try:
        return (runs_dir / HOLDER).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "another process has it"
