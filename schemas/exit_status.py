"""Exit statuses of every command, and the errors that lead to them."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

DONE = 0
FAILED = 1
USAGE = 2
DATA_REFUSED = 3
MODEL_REFUSED = 4
LOCKED = 75
INTERRUPTED = 130


class TurnwiseError(Exception):
    """An error whose message is one clear line for the user: what, where, what is allowed."""

    exit_status = FAILED


class UsageError(TurnwiseError):
    """A flag, a configuration value or a path is wrong."""

    exit_status = USAGE


class DataRefused(TurnwiseError):
    """The input data as a whole can't be used."""

    exit_status = DATA_REFUSED


def run_command(command: Callable[[], None], verbose: bool) -> int:
    """Runs a command and gives its exit status; errors become one line on standard error.

    Args:
        command: does the whole work; raises a `TurnwiseError` for what the user can mend.
        verbose: print the traceback too.
    """
    try:
        command()
    except TurnwiseError as error:
        return _report(str(error), error.exit_status, verbose)
    except KeyboardInterrupt:
        return _report("interrupted", INTERRUPTED, verbose)
    except Exception as error:
        return _report(f"{type(error).__name__}: {error}", FAILED, verbose)
    return DONE


def _report(message: str, status: int, verbose: bool) -> int:
    """Prints the error at hand."""
    if verbose:
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def leave(status: int) -> NoReturn:
    """Ends the process at once, when a command is through and has closed its files.

    Taking TensorFlow's and tf.Transform's modules down one by one takes a second, and may crash.
    """
    with contextlib.suppress(BrokenPipeError):  # Whoever read the output has left first.
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
