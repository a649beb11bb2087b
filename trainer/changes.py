"""Changes to windows that show what a model makes of its history and its scalars."""

import dataclasses
from collections.abc import Callable

import numpy as np

EMPTY = -1
# Of the order that `_shuffled` gives to a window's history.
SEED = 1


@dataclasses.dataclass(frozen=True)
class Change:
    """What is done to every window.

    Attributes:
        slots: from which slots hold a turn, bool [N, S], and the number of the first window, the slot that each slot is
            filled from, int64 [N, S]; `EMPTY` for none.
        keep_numeric: false takes all scalars as missing.
    """

    slots: Callable[[np.ndarray, int], np.ndarray]
    keep_numeric: bool = True


def _unchanged(present: np.ndarray, first: int) -> np.ndarray:
    """Every turn in its slot."""
    return np.where(present, np.arange(present.shape[1]), EMPTY)


def _without_history(present: np.ndarray, first: int) -> np.ndarray:
    """The current turn alone."""
    return _kept(present, 1)


def _last_turn(present: np.ndarray, first: int) -> np.ndarray:
    """The current turn and the one before it."""
    return _kept(present, 2)


def _kept(present: np.ndarray, slots: int) -> np.ndarray:
    """The first so many slots."""
    return np.where(np.arange(present.shape[1]) < slots, _unchanged(present, 0), EMPTY)


def _shuffled(present: np.ndarray, first: int) -> np.ndarray:
    """The turns of the history in another order, each window's by itself."""
    random = np.random.default_rng([SEED, first]).random(present.shape)
    random[:, 0] = -1.0  # the current turn stays where it is
    order = np.argsort(np.where(present, random, np.inf), axis=1, kind="stable")
    places = np.argsort(np.where(present, np.arange(present.shape[1]), np.inf), axis=1, kind="stable")
    source = np.empty(present.shape, np.int64)
    np.put_along_axis(source, places, order, axis=1)
    return np.where(present, source, EMPTY)


CHANGES = {
    "history dropped": Change(_without_history),
    "history shuffled": Change(_shuffled),
    "only the last turn": Change(_last_turn),
    "scalars zeroed": Change(_unchanged, keep_numeric=False),
}


def rearranged(values: np.ndarray, source: np.ndarray, blank) -> np.ndarray:
    """Values [N, S, ...] with each slot filled from `source` int64 [N, S], or with `blank`."""
    taken = values[np.arange(len(values))[:, None], source]
    return np.where((source == EMPTY).reshape(*source.shape, *[1] * (values.ndim - 2)), blank, taken)
