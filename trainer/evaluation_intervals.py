"""Bootstrap intervals of an evaluation's figures."""

import numpy as np

from trainer.bootstrap import (
    RANKING_REPLICATES,
    Interval,
    Scores,
    average_precision_replicates,
    conversation_weights,
    counts_by_conversation,
    interval,
    interval_of_distance,
    score_replicates,
    sums_by_conversation,
    totals,
)
from trainer.calibration_measures import bin_gaps
from trainer.coverage import coverages
from trainer.predictions import Predictions

AVERAGES = ("micro", "macro", "weighted")
MEASURES = (
    *(f"{average}_{score}" for average in AVERAGES for score in Scores._fields),
    "exact_match", "hamming_loss", "average_precision_micro", "average_precision_macro", "coverage_error",
    "calibration_error",
)
LABEL_MEASURES = (*Scores._fields, "average_precision")


def evaluation_intervals(
    predictions: Predictions,
) -> tuple[dict[str, Interval | None], list[dict[str, Interval | None]]]:
    """95 % bootstrap intervals over conversations, by percentiles, that of the calibration error mirrored.

    Returns:
        {measure: interval} for `MEASURES`, and for each label {measure: interval} for `LABEL_MEASURES`; None where the
        measure is not defined, and everywhere when all windows are of one conversation, which says nothing of others.
    """
    conversations, weights = conversation_weights(predictions.conversation_ids)
    if weights.shape[1] < 2:
        return dict.fromkeys(MEASURES), [dict.fromkeys(LABEL_MEASURES) for _ in predictions.label_names]
    measures, of_labels = _score_intervals(predictions, conversations, weights)
    measures |= _mean_intervals(predictions, conversations, weights)
    rankings = weights[:RANKING_REPLICATES]
    areas = [average_precision_replicates(labels, scores, conversations, rankings)
             for labels, scores in zip(predictions.labels.T, predictions.scores.T, strict=True)]
    measures["average_precision_micro"] = interval(average_precision_replicates(
        predictions.labels.ravel(), predictions.scores.ravel(), np.repeat(conversations, len(areas)), rankings))
    measures["average_precision_macro"] = interval(_defined_mean(np.array(areas)))
    return ({name: measures[name] for name in MEASURES},
            [{**scores, "average_precision": interval(area)} for scores, area in zip(of_labels, areas, strict=True)])


def _score_intervals(predictions: Predictions, conversations: np.ndarray, weights: np.ndarray) -> tuple[dict, list]:
    """The intervals of precision, recall and F1, together and of each label."""
    counts = counts_by_conversation(predictions.labels, predictions.predicted, conversations, weights.shape[1])
    replicates = score_replicates(counts, weights)
    measures = {f"{average}_{score}": interval(values) for average in AVERAGES
                for score, values in getattr(replicates, average)._asdict().items()}
    of_labels = [{score: interval(values[:, k]) for score, values in replicates.labels._asdict().items()}
                 for k in range(len(predictions.label_names))]
    return measures, of_labels


def _mean_intervals(predictions: Predictions, conversations: np.ndarray, weights: np.ndarray) -> dict:
    """The intervals of what is a mean over windows."""
    wrong = predictions.predicted != predictions.labels
    labels = len(predictions.label_names)
    sums = {
        "exact_match": ~wrong.any(axis=1),
        "hamming_loss": wrong.sum(axis=1) / labels,
        "calibration_error": bin_gaps(predictions.labels, predictions.scores) / labels,
    }
    if labels > 1:
        sums["coverage_error"] = coverages(predictions.labels, predictions.scores)
    windows = totals(weights, np.bincount(conversations, minlength=weights.shape[1]))
    drawn = {name: totals(weights, sums_by_conversation(values, conversations, weights.shape[1]))
             for name, values in sums.items()}
    gaps = drawn.pop("calibration_error")
    error = float(np.abs(sums["calibration_error"].sum(axis=0)).sum() / len(wrong))
    return {
        "coverage_error": None,
        **{name: interval(values / windows) for name, values in drawn.items()},
        "calibration_error": interval_of_distance(error, np.abs(gaps).sum(axis=1) / windows),
    }


def _defined_mean(values: np.ndarray) -> np.ndarray:
    """The mean over labels of float [K, R] without NaN, float [R]; NaN where all are."""
    defined = ~np.isnan(values)
    counts = defined.sum(axis=0)
    return np.divide(np.nansum(values, axis=0), counts, out=np.full(values.shape[1], np.nan), where=counts > 0)
