"""Tells the windows whose history ought to matter, by their labels and their length, for judging gates."""

import numpy as np

from trainer.predictions import Predictions

# A turn of so few tokens ("the second one", "no, cheaper") hardly means anything by itself.
ELLIPTICAL_TOKENS = 4


def related_to_history(predictions: Predictions) -> np.ndarray:
    """Windows with history whose current turn shares a label with a turn of it, or is elliptical, bool [N].

    The labels of a history turn are those of the window in which it is the current turn; a turn that was no target has
    none to share.
    """
    lengths = predictions.turn_lengths
    has_history = (lengths[:, 1:] > 0).any(axis=1)
    elliptical = lengths[:, 0] <= ELLIPTICAL_TOKENS
    return has_history & (elliptical | _shares_labels(predictions))


def _shares_labels(predictions: Predictions) -> np.ndarray:
    """Windows of which a history turn bears one of their labels, bool [N]."""
    keys, labels = predictions.turn_keys, predictions.labels
    order = np.lexsort((predictions.turn_indices, predictions.conversation_ids))
    ids = predictions.conversation_ids[order]
    shares = np.zeros(len(labels), bool)
    for place, window in enumerate(order):
        age = 0
        for earlier in range(place - 1, -1, -1):
            if ids[earlier] != ids[place]:
                break
            age += _turns_between(keys[order[earlier]], keys[order[earlier + 1]])
            if age >= keys.shape[1]:
                break
            if (labels[window] & labels[order[earlier]]).any():
                shares[window] = True
                break
    return shares


def _turns_between(earlier: np.ndarray, later: np.ndarray) -> int:
    """How many turns after the window with keys `earlier` [S] that with keys `later` [S] is; S when out of sight."""
    slots = len(later)
    return next((age for age in range(1, slots) if np.array_equal(later[age:], earlier[:slots - age])), slots)
