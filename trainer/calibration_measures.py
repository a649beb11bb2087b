"""How far probabilities can be taken at their word."""

import dataclasses

import numpy as np

from trainer.bootstrap import ratio

BINS = 15


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """The label decisions whose score lies in one bin.

    Attributes:
        low: the bin's lower edge.
        high: the upper edge; a score of 1 lies in the last bin.
        count: decisions.
        mean_score: what the model says of them; None when there are none.
        share_true: what came true of them; None when there are none.
    """

    low: float
    high: float
    count: int
    mean_score: float | None
    share_true: float | None


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How well scores agree with what comes true, over all label decisions.

    Attributes:
        calibration_error: expected calibration error, the mean over the decisions of their bin's |mean score - share
            true|, `BINS` bins of equal width (Guo et al. 2017, On Calibration of Modern Neural Networks, equation 5).
        brier_score: mean of (score - truth)^2.
        bins: the reliability diagram.
    """

    calibration_error: float
    brier_score: float
    bins: list[ReliabilityBin]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Reliability of the network's own scores and of the calibrated ones, which are equal where nothing calibrates."""

    before: Reliability
    after: Reliability


def reliability(labels: np.ndarray, scores: np.ndarray) -> Reliability:
    """Reliability of scores float [N, K] for labels bool [N, K], neither empty."""
    from sklearn.metrics import brier_score_loss

    truth, values = labels.ravel(), scores.ravel().astype(np.float64)
    bins = score_bins(values)
    counts, said, came_true = (np.bincount(bins, weights, minlength=BINS) for weights in (None, values, truth))
    edges = np.linspace(0.0, 1.0, BINS + 1).tolist()
    return Reliability(
        calibration_error=float(np.abs(said - came_true).sum() / len(values)),
        brier_score=float(brier_score_loss(truth, values, pos_label=True)),
        bins=[ReliabilityBin(low, high, int(count), float(mean) if count else None, float(share) if count else None)
              for low, high, count, mean, share in
              zip(edges[:-1], edges[1:], counts, ratio(said, counts), ratio(came_true, counts), strict=True)],
    )


def score_bins(scores: np.ndarray) -> np.ndarray:
    """The number of each score's bin, int [...] from 0 to `BINS` - 1."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)


def bin_gaps(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each window and bin the sum of (score - truth), float64 [N, BINS], for labels bool and scores float [N, K].

    Summed over windows, their absolute values are `calibration_error` times the number of decisions.
    """
    windows, (_, label_count) = len(labels), labels.shape
    cells = np.repeat(np.arange(windows), label_count) * BINS + score_bins(scores.astype(np.float64)).ravel()
    gaps = scores.astype(np.float64).ravel() - labels.ravel()
    return np.bincount(cells, gaps, minlength=windows * BINS).reshape(windows, BINS)
