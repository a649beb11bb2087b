"""The backup of a training: all that a killed run needs to end as if nothing had happened, in one file."""

import contextlib
import json
import os
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np
from keras import ops

from schemas.exit_status import TurnwiseError

FILE = "training.npz"
STATE = "state"


def write_backup(directory: str | pathlib.Path, variables: Sequence, state: dict) -> None:
    """Replaces the backup in one step.

    Args:
        directory: holds the backup; made where missing.
        variables: Keras variables, whose values are kept in their order.
        state: JSON values.
    """
    path = pathlib.Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    values = {_key(index): ops.convert_to_numpy(variable) for index, variable in enumerate(variables)}
    temporary = path / f"{FILE}.tmp"
    with open(temporary, "wb") as file:
        np.savez(file, **values, **{STATE: np.array(json.dumps(state))})
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path / FILE)


def read_state(directory: str | pathlib.Path) -> dict | None:
    """The state of the backup, or None when there is none.

    Raises:
        TurnwiseError: when the backup is damaged.
    """
    path = pathlib.Path(directory) / FILE
    if not path.exists():
        return None
    with _opened(path) as arrays:
        return json.loads(arrays[STATE].item())


def restore_variables(directory: str | pathlib.Path, variables: Sequence) -> None:
    """Gives the variables the values that `write_backup` kept, in the same order.

    Raises:
        TurnwiseError: when the backup is damaged or is one of another network.
    """
    path = pathlib.Path(directory) / FILE
    with _opened(path) as arrays:
        if len(arrays.files) != len(variables) + 1:
            raise TurnwiseError(f"{path} holds {len(arrays.files) - 1} variables; the network has {len(variables)}")
        for index, variable in enumerate(variables):
            variable.assign(arrays[_key(index)])


def _key(index: int) -> str:
    """The name of a variable's value in the file."""
    return f"variable_{index:05d}"


@contextlib.contextmanager
def _opened(path: pathlib.Path):
    """The arrays of a backup."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TurnwiseError(f"the backup {path} is damaged ({error}); train again with --overwrite") from error
