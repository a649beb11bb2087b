"""Precision-recall curves of few enough points to be drawn."""

import dataclasses

import numpy as np

MAX_POINTS = 100
# Decimals of the curves: no plot shows more, and the report stays small.
_DECIMALS = 4


@dataclasses.dataclass(frozen=True)
class PrecisionRecallCurve:
    """One curve, by rising recall.

    Attributes:
        label: its name; None for all label decisions together (micro).
        precision: of each point, at most `MAX_POINTS`.
        recall: of each point.
    """

    label: str | None
    precision: list[float]
    recall: list[float]


def precision_recall_curves(
    label_names: list[str], labels: np.ndarray, scores: np.ndarray
) -> list[PrecisionRecallCurve]:
    """The curve of all label decisions, then those of the labels that some window bears.

    Args:
        label_names: K names.
        labels: true, bool [N, K].
        scores: float [N, K].

    Returns:
        Nothing when no window bears a label.
    """
    if not labels.any():
        return []
    columns = [(None, labels.ravel(), scores.ravel())]
    columns += [(name, labels[:, k], scores[:, k]) for k, name in enumerate(label_names) if labels[:, k].any()]
    return [_curve(*column) for column in columns]


def _curve(name: str | None, labels: np.ndarray, scores: np.ndarray) -> PrecisionRecallCurve:
    """The curve of bool [n] and float [n] thinned to recalls at about equal distances."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, scores, drop_intermediate=True)
    precision, recall = precision[::-1], recall[::-1]  # scikit-learn's recall falls
    wanted = np.searchsorted(recall, np.linspace(0.0, 1.0, MAX_POINTS))
    kept = np.unique(np.minimum(wanted, len(recall) - 1))
    return PrecisionRecallCurve(name, precision[kept].round(_DECIMALS).tolist(), recall[kept].round(_DECIMALS).tolist())
