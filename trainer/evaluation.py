"""Measures of a model's predictions."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from schemas.exit_status import DataRefused, TurnwiseError
from trainer.bootstrap import Interval
from trainer.calibration_measures import Calibration, reliability
from trainer.coverage import coverage_error
from trainer.evaluation_intervals import evaluation_intervals
from trainer.finite import not_finite
from trainer.input_ablations import InputAblation
from trainer.label_confusions import Confusion, label_confusions
from trainer.label_scores import (
    Average,
    LabelScores,
    Smoothed,
    average_of,
    average_precision,
    decisions_of,
    exact_match,
    label_scores,
    smoothed_micro,
)
from trainer.memory import Attention, Gate, attention_by_slot, gate_distribution, mean_or_none
from trainer.precision_recall import PrecisionRecallCurve, precision_recall_curves
from trainer.predictions import Predictions
from trainer.related_history import history_windows, related_to_history
from trainer.slices import Slice, slices
from trainer.split_summaries import SplitSummary


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
        micro_at_half: micro figures of the scores before calibration with every threshold at 1/2: what calibration and
            thresholds of their own are to be measured by.
        macro_at_half: macro figures, likewise.
        exact_match: share of windows whose labels are all right.
        hamming_loss: share of wrong label decisions.
        binary_accuracy: share of right label decisions, the metric that the weekly report trains by.
        average_precision_micro: over all label decisions together; None when no window bears a label.
        average_precision_macro: mean over the labels with support; None when there are none.
        coverage_error: how many of the highest scored labels hold all true ones, in the mean; None for a single label.
        calibration_error: expected calibration error of the scores, see `calibration_measures.Reliability`.
        brier_score: mean square of (score - truth).
        intervals: {measure: 95 % bootstrap interval over conversations}, see `evaluation_intervals.MEASURES`.
        missing_labels: labels of the data that the model does not know; it never says them.
        extra_labels: labels of the model that the data do not have; what it says of them is left out.
        labels_without_support: labels that no window bears.
        labels_per_turn: how many labels turns bear.
        splits: the main figures of each split.
        per_label: one entry a label, in the order of labels.json.
        curves: precision against recall of all label decisions together and of each label that has any.
        calibration: how far scores can be taken at their word, before and after calibration.
        slices: how parts of the windows fare.
        confusions: which label is predicted instead of which, the most frequent.
        attention: where the memory looks.
        gate: how far the gate lets it through.
        ablations: what the model makes of its inputs.
    """

    windows: int
    conversations: int
    micro: Average
    macro: Average
    weighted: Average
    smoothed_micro: Smoothed
    micro_at_half: Average
    macro_at_half: Average
    exact_match: float
    hamming_loss: float
    binary_accuracy: float
    average_precision_micro: float | None
    average_precision_macro: float | None
    coverage_error: float | None
    calibration_error: float
    brier_score: float
    intervals: dict[str, Interval | None]
    missing_labels: list[str]
    extra_labels: list[str]
    labels_without_support: list[str]
    labels_per_turn: LabelsPerTurn
    splits: list[SplitSummary]
    per_label: list[LabelScores]
    curves: list[PrecisionRecallCurve]
    calibration: Calibration
    slices: list[Slice]
    confusions: list[Confusion]
    attention: Attention
    gate: Gate
    ablations: list[InputAblation]


def evaluate_predictions(
    predictions: Predictions,
    speakers: Sequence[str],
    splits: Sequence[SplitSummary] = (),
    ablations: Sequence[InputAblation] = (),
) -> Evaluation:
    """Measures predictions.

    Args:
        predictions: of N windows and K labels.
        speakers: the name of each speaker id, see `windows.speaker_names`.
        splits: what is known of how the model fares on each split.
        ablations: what is known of what it makes of its inputs.

    Raises:
        DataRefused: when there are no windows, or no labels.
        TurnwiseError: when the model gave a value that is no finite number.
    """
    _check(predictions)
    labels, scores, predicted = predictions.labels, predictions.scores, predictions.predicted
    decisions = decisions_of(labels, predicted)
    at_half = decisions_of(labels, predictions.raw_scores >= 0.5)
    intervals, of_labels = evaluation_intervals(predictions)
    per_label = label_scores(predictions.label_names, predictions.thresholds, labels, scores, decisions, of_labels)
    supported = [label.average_precision for label in per_label if label.average_precision is not None]
    hamming_loss = float(metrics.hamming_loss(decisions.true, decisions.predicted))
    history = history_windows(predictions)
    related = related_to_history(predictions, history)
    calibration = Calibration(before=reliability(labels, predictions.raw_scores), after=reliability(labels, scores))
    return Evaluation(
        windows=len(scores),
        conversations=len(np.unique(predictions.conversation_ids)),
        micro=average_of(decisions, "micro"),
        macro=average_of(decisions, "macro"),
        weighted=average_of(decisions, "weighted"),
        smoothed_micro=smoothed_micro(decisions),
        micro_at_half=average_of(at_half, "micro"),
        macro_at_half=average_of(at_half, "macro"),
        exact_match=exact_match(decisions),
        hamming_loss=hamming_loss,
        binary_accuracy=1.0 - hamming_loss,
        average_precision_micro=average_precision(labels.ravel(), scores.ravel()),
        average_precision_macro=mean_or_none(np.array(supported)),
        coverage_error=coverage_error(labels, scores),
        calibration_error=calibration.after.calibration_error,
        brier_score=calibration.after.brier_score,
        intervals=intervals,
        missing_labels=list(predictions.missing_labels),
        extra_labels=list(predictions.extra_labels),
        labels_without_support=[label.label for label in per_label if label.support == 0],
        labels_per_turn=_labels_per_turn(labels, predicted),
        splits=list(splits),
        per_label=per_label,
        curves=precision_recall_curves(predictions.label_names, labels, scores),
        calibration=calibration,
        slices=slices(predictions, speakers),
        confusions=label_confusions(predictions.label_names, labels, predicted),
        attention=attention_by_slot(predictions, history, speakers),
        gate=gate_distribution(predictions.gate, predictions.turn_lengths, related),
        ablations=list(ablations),
    )


def _check(predictions: Predictions) -> None:
    """Raises where there is nothing to measure, or a value that can't be measured."""
    if not len(predictions.scores):
        raise DataRefused("there are no windows to evaluate")
    if not predictions.label_names:
        raise DataRefused("there are no labels to evaluate")
    problem = not_finite(predictions)
    if problem:
        raise TurnwiseError(f"the model must give finite numbers, but {problem}")


def _labels_per_turn(true: np.ndarray, predicted: np.ndarray) -> LabelsPerTurn:
    """Counts of windows by their number of labels, both lists as long as the longer one needs."""
    true_counts, predicted_counts = true.sum(axis=1), predicted.sum(axis=1)
    length = int(max(true_counts.max(), predicted_counts.max())) + 1
    return LabelsPerTurn(
        true=np.bincount(true_counts, minlength=length).tolist(),
        predicted=np.bincount(predicted_counts, minlength=length).tolist(),
    )
