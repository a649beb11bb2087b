"""What a model says of every window of a split."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Bulk predictions, one row a window in the shards' order.

    Attributes:
        label_names: K names, the order of the columns below.
        labels: true multi-hot labels, bool [N, K].
        scores: probabilities, float32 [N, K].
        attention: weight of each history slot (newest first), float32 [N, H].
        gate: how much of the memory is let through, float32 [N].
        turn_lengths: tokens of each slot, slot 0 the current turn, int64 [N, 1 + H]; 0 is an empty slot.
        turn_keys: equal for equal turns, int64 [N, 1 + H].
        conversation_ids: str [N].
        turn_indices: int64 [N].
    """

    label_names: list[str]
    labels: np.ndarray
    scores: np.ndarray
    attention: np.ndarray
    gate: np.ndarray
    turn_lengths: np.ndarray
    turn_keys: np.ndarray
    conversation_ids: np.ndarray
    turn_indices: np.ndarray
