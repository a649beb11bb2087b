"""Runs the command of a stage: its output into the log, what it said last, and no longer than its run lives."""

import collections
import contextlib
import ctypes
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import BinaryIO

from schemas.exit_status import TurnwiseError
from schemas.visible_text import visible

# Lines of output in which the reason of a failure is looked for.
TAIL_LINES = 200
# A disk with less room than this is taken for full.
FULL_BYTES = 1 << 20
SECONDS_FOR_OUTPUT = 5
SECONDS_TO_END = 30
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        exit_status: negative for the number of a signal.
        reason: why it failed, in one line; empty when it did not.
        disk_full: whether it failed and there is no room for its files.
    """

    exit_status: int
    reason: str = ""
    disk_full: bool = False


def run_logged(arguments: Sequence[str], log: pathlib.Path) -> Ended:
    """Runs Python with arguments; appends the output to the log.

    The command is killed when this process dies, however that happens: else, a run that is begun again would meet it.
    When this is interrupted, the command is ended first.

    Raises:
        TurnwiseError: when there can be no log.
    """
    try:
        file = open(log, "ab", buffering=0)
    except OSError as error:
        raise TurnwiseError(f"can't write {log}: {error.strerror}") from error
    command, parent = [sys.executable, *arguments], os.getpid()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=lambda: _die_with(parent))
    tail: collections.deque[bytes] = collections.deque(maxlen=TAIL_LINES)
    # A process that the command has left behind would keep its output open.
    reader = threading.Thread(target=_copy_output, args=(process.stdout, file, tail), daemon=True)
    reader.start()
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    reader.join(SECONDS_FOR_OUTPUT)
    return _failed(status, tuple(tail), log) if status else Ended(status)


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _copy_output(output: BinaryIO, file: BinaryIO, tail: collections.deque) -> None:
    """Appends the output to the log and keeps its last lines; a full disk stops neither the command nor this."""
    with output, file:
        for line in output:
            tail.append(line)
            with contextlib.suppress(OSError):
                file.write(line)


def _failed(status: int, tail: Sequence[bytes], log: pathlib.Path) -> Ended:
    """Why a command failed: its last error, the signal that ended it, and what disk is full."""
    # A progress bar may stand before it, ended by a carriage return.
    lines = b"".join(tail).decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if status < 0:
        reason = f"ended by {signal.Signals(-status).name}"
    else:
        reason = errors[-1].removeprefix("error: ").strip() if errors else f"ended with status {status}; see {log}"
    full = [path for path in (log.parent, tempfile.gettempdir()) if shutil.disk_usage(path).free < FULL_BYTES]
    if full:
        reason += f" (the disk that {full[0]} is on is full)"
    return Ended(status, visible(reason), bool(full))
