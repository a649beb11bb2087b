"""Tells the windows whose history ought to matter, by their labels and their length, for judging gates."""

import numpy as np

from trainer.predictions import Predictions

# A turn of so few tokens ("the second one", "no, cheaper") hardly means anything by itself.
ELLIPTICAL_TOKENS = 4


def related_to_history(predictions: Predictions, history: np.ndarray) -> np.ndarray:
    """Windows with history whose current turn shares a label with a turn of it, or is elliptical, bool [N].

    The labels of a history turn are those of the window in which it is the current turn; a turn that was no target has
    none to share.

    Args:
        predictions: of N windows.
        history: from `history_windows`.
    """
    lengths = predictions.turn_lengths
    has_history = (lengths[:, 1:] > 0).any(axis=1)
    elliptical = lengths[:, 0] <= ELLIPTICAL_TOKENS
    return has_history & (elliptical | shares_label(predictions, history).any(axis=1))


def history_windows(predictions: Predictions) -> np.ndarray:
    """The window in which each turn of a window's history is the current one, int64 [N, H], newest first.

    It is -1 for an empty slot and for a turn that is the current one of no window here, as it was no target. Turns are
    recognised by their keys: the history of a later window is that of an earlier one, moved on.
    """
    order = np.lexsort((predictions.turn_indices, predictions.conversation_ids))
    same = predictions.conversation_ids[order][1:] == predictions.conversation_ids[order][:-1]
    keys = predictions.turn_keys[order]
    windows, slots = keys.shape
    steps = np.full(windows, slots)
    steps[1:][same] = _turns_between(keys[:-1][same], keys[1:][same])
    found = np.full((windows, slots), -1)
    place, age = np.arange(windows), np.zeros(windows, np.int64)
    for _ in range(1, slots):
        # One window further back, where the conversation has one and it is still in sight.
        age = np.minimum(age + steps[place], slots)
        place = np.maximum(place - 1, 0)
        seen = np.flatnonzero(age < slots)
        found[seen, age[seen]] = order[place[seen]]
    rows = np.empty_like(found)
    rows[order] = found
    return rows[:, 1:]


def shares_label(predictions: Predictions, history: np.ndarray) -> np.ndarray:
    """The history slots whose turn bears a label of the current turn, bool [N, H].

    Args:
        predictions: of N windows.
        history: from `history_windows`.
    """
    labels = predictions.labels
    shares = [(labels & labels[column]).any(axis=1) & (column >= 0) for column in history.T]
    return np.stack(shares, axis=1) if shares else np.zeros(history.shape, bool)


def _turns_between(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """How many turns windows with keys `later` [n, S] come after those with `earlier`, int [n]; S when out of sight."""
    slots = later.shape[1]
    steps = np.full(len(later), slots)
    for age in range(slots - 1, 0, -1):
        steps[(later[:, age:] == earlier[:, :slots - age]).all(axis=1)] = age
    return steps
