"""Precision, recall and F1 of all labels together and of each, by scikit-learn."""

import dataclasses

import numpy as np
from sklearn import metrics

from trainer.bootstrap import Interval

# The weekly report adds this to both denominators: precision = TP / (TP + FP + 0.1), recall = TP / (TP + FN + 0.1).
SMOOTHING = 0.1


@dataclasses.dataclass(frozen=True)
class Average:
    """Precision, recall and F1 of all labels together, averaged one way."""

    precision: float
    recall: float
    f1: float


@dataclasses.dataclass(frozen=True)
class Smoothed:
    """Precision and recall with the weekly report's `SMOOTHING` in the denominators."""

    precision: float
    recall: float


@dataclasses.dataclass(frozen=True)
class LabelScores:
    """How one label fares.

    Attributes:
        label: its name.
        threshold: scores from it on are predictions.
        support: windows that truly bear the label.
        predicted: windows for which it is predicted.
        precision: 0 when the label is never predicted.
        recall: 0 when no window bears the label.
        f1: 0 when both are 0.
        average_precision: area under the precision-recall steps; None when no window bears the label.
        smoothed: precision and recall as in the weekly report.
        intervals: 95 % bootstrap intervals of `precision`, `recall`, `f1` and `average_precision`; None where no window
            bears the label or there is but one conversation.
    """

    label: str
    threshold: float
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float
    average_precision: float | None
    smoothed: Smoothed
    intervals: dict[str, Interval | None]


@dataclasses.dataclass(frozen=True)
class Decisions:
    """True and predicted labels in the form that scikit-learn wants.

    It takes one column for a binary problem, whose negative class it would report as a second label. So a single label
    goes in as int [N] with `labels` = [1], several as int [N, K] with `labels` = None.
    """

    true: np.ndarray
    predicted: np.ndarray
    labels: list[int] | None


def decisions_of(true: np.ndarray, predicted: np.ndarray) -> Decisions:
    """bool [N, K] twice, as scikit-learn wants them."""
    true, predicted = true.astype(np.int8), predicted.astype(np.int8)
    if true.shape[1] == 1:
        return Decisions(true[:, 0], predicted[:, 0], [1])
    return Decisions(true, predicted, None)


def average_of(decisions: Decisions, average: str) -> Average:
    """The `micro`, `macro` or `weighted` figures; labels without support count as 0 in the macro mean."""
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        decisions.true, decisions.predicted, labels=decisions.labels, average=average, zero_division=0)
    return Average(float(precision), float(recall), float(f1))


def exact_match(decisions: Decisions) -> float:
    """The share of windows whose labels are all right."""
    return float(metrics.accuracy_score(decisions.true, decisions.predicted))


def label_f1(decisions: Decisions) -> np.ndarray:
    """F1 of each label, float64 [K], 0 where it is not defined."""
    return metrics.f1_score(decisions.true, decisions.predicted, labels=decisions.labels, average=None, zero_division=0)


def smoothed_micro(decisions: Decisions) -> Smoothed:
    """The micro figures as in the weekly report."""
    return _smoothed(_confusions(decisions).sum(axis=0))


def average_precision(true: np.ndarray, scores: np.ndarray) -> float | None:
    """Of bool [N] and float [N]; None without positives, where it is not defined."""
    return float(metrics.average_precision_score(true, scores)) if true.any() else None


def label_scores(
    label_names: list[str],
    thresholds: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    decisions: Decisions,
    intervals: list[dict[str, Interval | None]],
) -> list[LabelScores]:
    """How each label fares.

    Args:
        label_names: K names.
        thresholds: float [K].
        labels: true, bool [N, K].
        scores: float [N, K].
        decisions: true and predicted labels.
        intervals: of each label.
    """
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        decisions.true, decisions.predicted, labels=decisions.labels, average=None, zero_division=0)
    confusions = _confusions(decisions)
    return [
        LabelScores(
            label=label,
            threshold=float(thresholds[k]),
            support=int(support[k]),
            predicted=int(confusions[k][:, 1].sum()),
            precision=float(precision[k]),
            recall=float(recall[k]),
            f1=float(f1[k]),
            average_precision=average_precision(labels[:, k], scores[:, k]),
            smoothed=_smoothed(confusions[k]),
            intervals=intervals[k],
        )
        for k, label in enumerate(label_names)
    ]


def _confusions(decisions: Decisions) -> np.ndarray:
    """Counts [K, 2, 2], of each label [[TN, FP], [FN, TP]]."""
    return metrics.multilabel_confusion_matrix(decisions.true, decisions.predicted, labels=decisions.labels)


def _smoothed(confusion: np.ndarray) -> Smoothed:
    """The weekly report's formulas, from counts [[TN, FP], [FN, TP]]."""
    (_, false_positives), (false_negatives, true_positives) = confusion
    return Smoothed(
        precision=float(true_positives / (true_positives + false_positives + SMOOTHING)),
        recall=float(true_positives / (true_positives + false_negatives + SMOOTHING)),
    )
