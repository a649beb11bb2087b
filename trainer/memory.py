"""What the memory does in a model's predictions: where its attention goes, and how far the gate lets it through."""

import dataclasses

import numpy as np

GATE_BINS = 20
# The weekly report found more than 90 % of its gates above this value, related history or not.
WIDE_OPEN_GATE = 0.9


@dataclasses.dataclass(frozen=True)
class Attention:
    """Where the memory looks; lists have one entry a history slot, newest first.

    Attributes:
        mean: mean weight over all windows.
        windows_filled: windows in which the slot holds a turn.
        mean_filled: mean weight over those; None where there are none.
        windows_without_history: windows in which every history slot is empty.
        mean_without_history: mean weight over those; None where there are none.
        uniform: 1 / slots, the weight of each slot when none stands out; None when there are no slots.
        max_deviation_without_history: the farthest that a weight lies from `uniform` in windows without history; None
            when there are none.
    """

    mean: list[float]
    windows_filled: list[int]
    mean_filled: list[float | None]
    windows_without_history: int
    mean_without_history: list[float | None]
    uniform: float | None
    max_deviation_without_history: float | None


@dataclasses.dataclass(frozen=True)
class Gate:
    """How far the gate lets the memory through.

    Attributes:
        bin_edges: `GATE_BINS` + 1 edges from 0 to 1.
        counts: windows in each bin.
        mean: over all windows.
        share_wide_open: share of windows above `WIDE_OPEN_GATE`.
        mean_with_history: over windows with at least one history turn; None when there are none.
        mean_without_history: over the others; None when there are none.
        mean_related: over windows whose history ought to matter, see `related_history`; None when there are none.
        mean_unrelated: over the other windows with history; None when there are none.
        related_auc: area under the ROC curve of telling the former from the latter by the gate: the chance that a
            window whose history ought to matter has the wider gate; None without both kinds.
    """

    bin_edges: list[float]
    counts: list[int]
    mean: float
    share_wide_open: float
    mean_with_history: float | None
    mean_without_history: float | None
    mean_related: float | None
    mean_unrelated: float | None
    related_auc: float | None


def attention_by_slot(attention: np.ndarray, turn_lengths: np.ndarray) -> Attention:
    """Means of attention float [N, H], given turn_lengths int [N, 1 + H] with 0 for an empty slot; N is at least 1."""
    attention = attention.astype(np.float64)
    filled = turn_lengths[:, 1:] > 0
    empty = attention[~filled.any(axis=1)]
    slots = attention.shape[1]
    uniform = 1.0 / slots if slots else None
    deviation = float(np.abs(empty - uniform).max()) if empty.size else None
    return Attention(
        mean=attention.mean(axis=0).tolist(),
        windows_filled=filled.sum(axis=0).tolist(),
        mean_filled=[mean_or_none(attention[filled[:, slot], slot]) for slot in range(slots)],
        windows_without_history=len(empty),
        mean_without_history=[mean_or_none(column) for column in empty.T],
        uniform=uniform,
        max_deviation_without_history=deviation,
    )


def gate_distribution(gate: np.ndarray, turn_lengths: np.ndarray, related: np.ndarray) -> Gate:
    """Histogram and means of the gate.

    Args:
        gate: float [N], in 0 to 1.
        turn_lengths: int [N, 1 + H], 0 for an empty slot.
        related: bool [N], whether the window's history ought to matter.
    """
    from sklearn.metrics import roc_auc_score

    gate = gate.astype(np.float64)
    has_history = (turn_lengths[:, 1:] > 0).any(axis=1)
    both = len(np.unique(related[has_history])) == 2
    # Clipped, because rounding may take a wide open gate a little over 1, out of the last bin.
    counts, edges = np.histogram(gate.clip(0.0, 1.0), bins=GATE_BINS, range=(0.0, 1.0))
    return Gate(
        bin_edges=edges.tolist(),
        counts=counts.tolist(),
        mean=float(gate.mean()),
        share_wide_open=float((gate > WIDE_OPEN_GATE).mean()),
        mean_with_history=mean_or_none(gate[has_history]),
        mean_without_history=mean_or_none(gate[~has_history]),
        mean_related=mean_or_none(gate[has_history & related]),
        mean_unrelated=mean_or_none(gate[has_history & ~related]),
        related_auc=float(roc_auc_score(related[has_history], gate[has_history])) if both else None,
    )


def mean_or_none(values: np.ndarray) -> float | None:
    """The mean of float [n]; None when it is empty."""
    return float(values.mean()) if values.size else None
