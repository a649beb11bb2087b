"""The turn logs of a run: files of the days of its window, as they are when it begins."""

import datetime
import glob
import os
import re
import statistics
from collections.abc import Iterable, Sequence

from schemas.exit_status import UsageError
from trainer.run_record import InputFile, RunRecord

_DATE = re.compile(r"\{date(?::([^{}]+))?\}")


def days_of(date: datetime.date, window_days: int, lag_days: int) -> list[datetime.date]:
    """The days of a window, the first one first; it ends `lag_days` before the date."""
    last = date - datetime.timedelta(days=lag_days)
    return [last - datetime.timedelta(days=back) for back in reversed(range(window_days))]


def list_files(patterns: Iterable[str], days: Sequence[datetime.date]) -> tuple[InputFile, ...]:
    """The files that the patterns find, ordered by path, each once.

    Raises:
        UsageError: when a file can't be looked at.
    """
    found: dict[str, InputFile] = {}
    for pattern in patterns:
        for day in days if _DATE.search(pattern) else [None]:
            for path in glob.iglob(_dated(pattern, day), recursive=True):
                if os.path.isfile(path):
                    found.setdefault(path, _look_at(path, day))
    return tuple(found[path] for path in sorted(found))


def _dated(pattern: str, day: datetime.date | None) -> str:
    """The pattern with its `{date}` filled in."""
    return _DATE.sub(lambda match: day.strftime(match[1]) if match[1] else day.isoformat(), pattern)


def _look_at(path: str, day: datetime.date | None) -> InputFile:
    try:
        status = os.stat(path)
    except OSError as error:
        raise UsageError(f"can't look at the input {path}: {error}") from error
    return InputFile(path, status.st_size, status.st_mtime_ns, day.isoformat() if day else None)


def changed(files: Iterable[InputFile]) -> list[str]:
    """The paths of the files that are no longer as they were."""
    return [file.path for file in files if not _unchanged(file)]


def _unchanged(file: InputFile) -> bool:
    try:
        status = os.stat(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.modified)


def new_files(files: Iterable[InputFile], learnt: Iterable[InputFile]) -> list[InputFile]:
    """The files with something in them that were not learnt from as they are now."""
    known = {(file.path, file.size, file.modified) for file in learnt}
    return [file for file in files if file.size and (file.path, file.size, file.modified) not in known]


def thin_days(files: Sequence[InputFile], new: Sequence[InputFile], earlier: Iterable[RunRecord],
              min_volume: float) -> list[str]:
    """In words, which new days are too small: their bytes are fewer than a share of a usual day's.

    A usual day is the median of the other days that this run and earlier ones know of; without any, none is too small.

    Args:
        files: all files of the run.
        new: those of them that were not learnt from.
        earlier: runs that have learnt from their files.
        min_volume: the share, 0 to 1.
    """
    volumes: dict[str, int] = {}
    for record in earlier:
        volumes |= _volumes(record.inputs)
    volumes |= _volumes(files)
    new_days = sorted({file.date for file in new if file.date})
    usual = [size for day, size in volumes.items() if day not in new_days]
    # A first run has no day but new ones.
    usual = statistics.median(usual or [volumes[day] for day in new_days] or [0])
    return [f"{day} has {volumes[day]:,} bytes of logs, a usual day {usual:,.0f}; at least {min_volume:.0%} of that is"
            " wanted" for day in new_days if volumes[day] < min_volume * usual]


def _volumes(files: Iterable[InputFile]) -> dict[str, int]:
    """{day: bytes}."""
    sizes: dict[str, int] = {}
    for file in files:
        if file.date:
            sizes[file.date] = sizes.get(file.date, 0) + file.size
    return sizes
