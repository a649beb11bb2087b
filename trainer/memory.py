"""What the memory does in a model's predictions: where its attention goes, and how far the gate lets it through."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainer.predictions import Predictions
from trainer.related_history import shares_label

GATE_BINS = 20
# The weekly report found more than 90 % of its gates above this value, related history or not.
WIDE_OPEN_GATE = 0.9
SHARING = "shares a label"
NOT_SHARING = "shares none"
NO_TARGET = "no target"
UNKNOWN_SPEAKER = "(unseen in training)"


@dataclasses.dataclass(frozen=True)
class HistoryTurns:
    """Where the memory looks among history turns of one kind; lists have one entry a history slot, newest first.

    Attributes:
        name: the kind.
        turns: windows whose slot holds such a turn.
        mean: mean weight of those; None where there are none.
        mean_all_slots: mean weight over all such turns, whatever their slot; None when there are none.
    """

    name: str
    turns: list[int]
    mean: list[float | None]
    mean_all_slots: float | None


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
        by_speaker: history turns of each speaker that has any.
        by_relation: of windows whose current turn bears a label, the history turns that share one with it (`SHARING`),
            the other targets (`NOT_SHARING`), and the turns that were no targets, of whose labels nothing is known
            (`NO_TARGET`).
        shared_auc: how often, of a turn that shares a label and a target of the same window that shares none,
            the former has the greater weight; equal weights count half, pairs of all windows together; None without.
    """

    mean: list[float]
    windows_filled: list[int]
    mean_filled: list[float | None]
    windows_without_history: int
    mean_without_history: list[float | None]
    uniform: float | None
    max_deviation_without_history: float | None
    by_speaker: list[HistoryTurns]
    by_relation: list[HistoryTurns]
    shared_auc: float | None


@dataclasses.dataclass(frozen=True)
class Gate:
    """How far the gate lets the memory through.

    Attributes:
        bin_edges: `GATE_BINS` + 1 edges from 0 to 1.
        counts: windows in each bin.
        counts_related: those of them whose history ought to matter, see `related_history`.
        counts_unrelated: the others with history.
        mean: over all windows.
        share_wide_open: share of windows above `WIDE_OPEN_GATE`.
        mean_with_history: over windows with at least one history turn; None when there are none.
        mean_without_history: over the others; None when there are none.
        mean_related: over windows whose history ought to matter; None when there are none.
        mean_unrelated: over the other windows with history; None when there are none.
        related_auc: area under the ROC curve of telling the former from the latter by the gate: the chance that a
            window whose history ought to matter has the wider gate; None without both kinds.
    """

    bin_edges: list[float]
    counts: list[int]
    counts_related: list[int]
    counts_unrelated: list[int]
    mean: float
    share_wide_open: float
    mean_with_history: float | None
    mean_without_history: float | None
    mean_related: float | None
    mean_unrelated: float | None
    related_auc: float | None


def attention_by_slot(predictions: Predictions, history: np.ndarray, speakers: Sequence[str]) -> Attention:
    """Where the memory looks.

    Args:
        predictions: of N windows, at least one.
        history: int [N, H], from `related_history.history_windows`.
        speakers: the name of each speaker id, see `windows.speaker_names`.
    """
    attention = predictions.attention.astype(np.float64)
    filled = predictions.turn_lengths[:, 1:] > 0
    empty = attention[~filled.any(axis=1)]
    slots = attention.shape[1]
    uniform = 1.0 / slots if slots else None
    deviation = float(np.abs(empty - uniform).max()) if empty.size else None
    shares = shares_label(predictions, history)
    labelled = filled & predictions.labels.any(axis=1, keepdims=True)
    others = labelled & (history >= 0) & ~shares
    relations = {SHARING: labelled & shares, NOT_SHARING: others, NO_TARGET: labelled & (history < 0)}
    return Attention(
        mean=attention.mean(axis=0).tolist(),
        windows_filled=filled.sum(axis=0).tolist(),
        mean_filled=_means(attention, filled),
        windows_without_history=len(empty),
        mean_without_history=[mean_or_none(column) for column in empty.T],
        uniform=uniform,
        max_deviation_without_history=deviation,
        by_speaker=_by_speaker(attention, filled, predictions.speakers[:, 1:], speakers),
        by_relation=[_history_turns(name, attention, kind) for name, kind in relations.items()],
        shared_auc=_preferred(attention, relations[SHARING], others),
    )


def _by_speaker(attention, filled, speaker_ids, names: Sequence[str]) -> list[HistoryTurns]:
    """The history turns of each speaker that has any; attention float, filled bool and speaker_ids int [N, H]."""
    return [_history_turns(names[speaker] or UNKNOWN_SPEAKER, attention, filled & (speaker_ids == speaker))
            for speaker in np.unique(speaker_ids[filled]).tolist()]


def _history_turns(name: str, attention: np.ndarray, kind: np.ndarray) -> HistoryTurns:
    """Means of attention float [N, H] where a turn is of a kind, bool [N, H]."""
    return HistoryTurns(name, kind.sum(axis=0).tolist(), _means(attention, kind), mean_or_none(attention[kind]))


def _means(attention: np.ndarray, chosen: np.ndarray) -> list[float | None]:
    """The mean of each slot's chosen weights; both [N, H]."""
    return [mean_or_none(weights[rows]) for weights, rows in zip(attention.T, chosen.T, strict=True)]


def _preferred(attention: np.ndarray, some: np.ndarray, others: np.ndarray) -> float | None:
    """How often one of some turns has a greater weight than one of the others in its window; all [N, H]."""
    pairs = some[:, :, None] & others[:, None, :]
    differences = (attention[:, :, None] - attention[:, None, :])[pairs]
    return mean_or_none((np.sign(differences) + 1.0) / 2.0)


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
    edges = np.linspace(0.0, 1.0, GATE_BINS + 1)
    counts, counts_related, counts_unrelated = (
        np.histogram(gate[chosen].clip(0.0, 1.0), edges)[0].tolist()
        for chosen in (slice(None), has_history & related, has_history & ~related))
    return Gate(
        bin_edges=edges.tolist(),
        counts=counts,
        counts_related=counts_related,
        counts_unrelated=counts_unrelated,
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
