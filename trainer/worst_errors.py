"""The windows that a model gets most wrong."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from trainer.predictions import Predictions
from trainer.windows import Window

MOST = 50
# Scores shown of a window beside those of its true and its predicted labels: so many of the highest.
HIGHEST_SCORES = 5
# What a probability of 0 or 1 is taken for, so that a loss is finite: about the step of float32 below 1.
_SMALLEST = 1e-7


@dataclasses.dataclass(frozen=True)
class WorstError:
    """A window whose labels are not all right.

    Attributes:
        window: as the log has it.
        predicted: the labels that the model says.
        scores: {label: probability} of the true, the predicted and the highest scored labels, highest first.
        attention: the weight of each history slot, the newest first.
        gate: how much of the memory is let through.
        loss: the log loss, -log of the probability of what is true, summed over the labels; natural logarithm.
    """

    window: Window
    predicted: tuple[str, ...]
    scores: dict[str, float]
    attention: tuple[float, ...]
    gate: float
    loss: float


def worst_errors(
    predictions: Predictions, read: Callable[[Sequence[int]], list[Window]], most: int = MOST
) -> list[WorstError]:
    """The windows of the largest loss among those with a wrong label, the worst first, equal ones by row.

    Args:
        predictions: of N windows.
        read: gives the windows of some rows, see `windows.read_windows`.
        most: how many at most.
    """
    losses = log_losses(predictions.labels, predictions.scores)
    wrong = np.flatnonzero((predictions.predicted != predictions.labels).any(axis=1))
    rows = wrong[np.argsort(-losses[wrong], kind="stable")][:most].tolist()
    predicted = predictions.predicted[rows]
    return [
        WorstError(
            window=window,
            predicted=tuple(name for name, said in zip(predictions.label_names, predicted[place], strict=True) if said),
            scores=_shown_scores(predictions, row, predicted[place]),
            attention=tuple(predictions.attention[row].tolist()),
            gate=float(predictions.gate[row]),
            loss=float(losses[row]),
        )
        for place, (row, window) in enumerate(zip(rows, read(rows) if rows else [], strict=True))
    ]


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of labels bool [N, K] and probabilities float [N, K] the log loss of each window, float64 [N]."""
    of_truth = np.where(labels, scores, 1.0 - scores.astype(np.float64))
    return -np.log(np.maximum(of_truth, _SMALLEST)).sum(axis=1)


def _shown_scores(predictions: Predictions, row: int, predicted: np.ndarray) -> dict[str, float]:
    """The scores of a window that are worth a look."""
    scores = predictions.scores[row]
    order = np.argsort(-scores, kind="stable")
    shown = predictions.labels[row] | predicted
    shown[order[:HIGHEST_SCORES]] = True
    return {predictions.label_names[k]: float(scores[k]) for k in order if shown[k]}
