"""Measures of a model's predictions."""

import dataclasses

import numpy as np
from sklearn import metrics

from schemas.exit_status import DataRefused, TurnwiseError
from trainer.memory import Attention, Gate, attention_by_slot, gate_distribution, mean_or_none
from trainer.predictions import Predictions
from trainer.related_history import related_to_history

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


@dataclasses.dataclass(frozen=True)
class LabelsPerTurn:
    """How many labels turns bear: entry n counts the windows with n labels, true and predicted."""

    true: list[int]
    predicted: list[int]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything that report.json says about the predictions.

    Attributes:
        windows: number of windows N.
        conversations: number of conversations.
        micro: over all label decisions together.
        macro: plain mean over the labels, those without support counting as 0.
        weighted: mean over the labels weighted by support.
        smoothed_micro: the micro figures as in the weekly report.
        exact_match: share of windows whose labels are all right.
        hamming_loss: share of wrong label decisions.
        binary_accuracy: share of right label decisions, the metric that the weekly report trains by.
        average_precision_micro: over all label decisions together; None when no window bears a label.
        average_precision_macro: mean over the labels with support; None when there are none.
        labels_without_support: labels that no window bears.
        labels_per_turn: how many labels turns bear.
        per_label: one entry a label, in the order of labels.json.
        attention: where the memory looks.
        gate: how far the gate lets it through.
    """

    windows: int
    conversations: int
    micro: Average
    macro: Average
    weighted: Average
    smoothed_micro: Smoothed
    exact_match: float
    hamming_loss: float
    binary_accuracy: float
    average_precision_micro: float | None
    average_precision_macro: float | None
    labels_without_support: list[str]
    labels_per_turn: LabelsPerTurn
    per_label: list[LabelScores]
    attention: Attention
    gate: Gate


@dataclasses.dataclass(frozen=True)
class _Decisions:
    """True and predicted labels in the form that scikit-learn wants.

    It takes one column for a binary problem, whose negative class it would report as a second label. So a single label
    goes in as int [N] with `labels` = [1], several as int [N, K] with `labels` = None.
    """

    true: np.ndarray
    predicted: np.ndarray
    labels: list[int] | None


def predicted_labels(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The labels that scores float [N, K] predict: those that reach their threshold float [K], as bool [N, K].

    Thresholds are compared in the scores' own precision, which is that of the exported model.
    """
    return scores >= np.asarray(thresholds, dtype=scores.dtype)


def evaluate_predictions(predictions: Predictions, thresholds: np.ndarray) -> Evaluation:
    """Measures predictions.

    Args:
        predictions: of N windows and K labels.
        thresholds: float [K], one a label.

    Raises:
        DataRefused: when there are no windows, or no labels.
        TurnwiseError: when the model gave a value that is no finite number.
    """
    _check(predictions)
    predicted = predicted_labels(predictions.scores, thresholds)
    decisions = _decisions(predictions.labels, predicted)
    per_label = _per_label(predictions, predicted, decisions, thresholds)
    supported = [label.average_precision for label in per_label if label.average_precision is not None]
    hamming_loss = float(metrics.hamming_loss(decisions.true, decisions.predicted))
    return Evaluation(
        windows=len(predictions.scores),
        conversations=len(np.unique(predictions.conversation_ids)),
        micro=_average(decisions, "micro"),
        macro=_average(decisions, "macro"),
        weighted=_average(decisions, "weighted"),
        smoothed_micro=_smoothed(_confusions(decisions).sum(axis=0)),
        exact_match=float(metrics.accuracy_score(decisions.true, decisions.predicted)),
        hamming_loss=hamming_loss,
        binary_accuracy=1.0 - hamming_loss,
        average_precision_micro=_average_precision(predictions.labels.ravel(), predictions.scores.ravel()),
        average_precision_macro=mean_or_none(np.array(supported)),
        labels_without_support=[label.label for label in per_label if label.support == 0],
        labels_per_turn=_labels_per_turn(predictions.labels, predicted),
        per_label=per_label,
        attention=attention_by_slot(predictions.attention, predictions.turn_lengths),
        gate=gate_distribution(predictions.gate, predictions.turn_lengths, related_to_history(predictions)),
    )


def _check(predictions: Predictions) -> None:
    """Raises where there is nothing to measure, or a value that can't be measured."""
    if not len(predictions.scores):
        raise DataRefused("there are no windows to evaluate")
    if not predictions.label_names:
        raise DataRefused("there are no labels to evaluate")
    for name in ("scores", "attention", "gate"):
        finite = np.isfinite(getattr(predictions, name)).reshape(len(predictions.scores), -1).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            raise TurnwiseError(
                f"the model's {name} must be finite numbers, but {np.count_nonzero(~finite)} of {len(finite)} windows"
                f" hold NaN or infinity, first conversation {str(predictions.conversation_ids[first])!r},"
                f" turn {predictions.turn_indices[first]}")


def _decisions(true: np.ndarray, predicted: np.ndarray) -> _Decisions:
    """bool [N, K] twice, as scikit-learn wants them."""
    true, predicted = true.astype(np.int8), predicted.astype(np.int8)
    if true.shape[1] == 1:
        return _Decisions(true[:, 0], predicted[:, 0], [1])
    return _Decisions(true, predicted, None)


def _average(decisions: _Decisions, average: str) -> Average:
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        decisions.true, decisions.predicted, labels=decisions.labels, average=average, zero_division=0)
    return Average(float(precision), float(recall), float(f1))


def _confusions(decisions: _Decisions) -> np.ndarray:
    """Counts [K, 2, 2], of each label [[TN, FP], [FN, TP]]."""
    return metrics.multilabel_confusion_matrix(decisions.true, decisions.predicted, labels=decisions.labels)


def _smoothed(confusion: np.ndarray) -> Smoothed:
    """The weekly report's formulas, from counts [[TN, FP], [FN, TP]]."""
    (_, false_positives), (false_negatives, true_positives) = confusion
    return Smoothed(
        precision=float(true_positives / (true_positives + false_positives + SMOOTHING)),
        recall=float(true_positives / (true_positives + false_negatives + SMOOTHING)),
    )


def _average_precision(true: np.ndarray, scores: np.ndarray) -> float | None:
    """Of bool [N] and float [N]; None without positives, where it is not defined."""
    return float(metrics.average_precision_score(true, scores)) if true.any() else None


def _per_label(
    predictions: Predictions, predicted: np.ndarray, decisions: _Decisions, thresholds: np.ndarray
) -> list[LabelScores]:
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        decisions.true, decisions.predicted, labels=decisions.labels, average=None, zero_division=0)
    confusions = _confusions(decisions)
    return [
        LabelScores(
            label=label,
            threshold=float(thresholds[k]),
            support=int(support[k]),
            predicted=int(predicted[:, k].sum()),
            precision=float(precision[k]),
            recall=float(recall[k]),
            f1=float(f1[k]),
            average_precision=_average_precision(predictions.labels[:, k], predictions.scores[:, k]),
            smoothed=_smoothed(confusions[k]),
        )
        for k, label in enumerate(predictions.label_names)
    ]


def _labels_per_turn(true: np.ndarray, predicted: np.ndarray) -> LabelsPerTurn:
    """Counts of windows by their number of labels, both lists as long as the longer one needs."""
    true_counts, predicted_counts = true.sum(axis=1), predicted.sum(axis=1)
    length = int(max(true_counts.max(), predicted_counts.max())) + 1
    return LabelsPerTurn(
        true=np.bincount(true_counts, minlength=length).tolist(),
        predicted=np.bincount(predicted_counts, minlength=length).tolist(),
    )
