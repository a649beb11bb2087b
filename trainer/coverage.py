"""How far down the ranking of labels one has to go to have all the true ones."""

import numpy as np


def coverage_error(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """scikit-learn's coverage error of labels bool and scores float [N, K], 0 for a window without labels.

    None for a single label, which needs no ranking.
    """
    from sklearn import metrics

    return float(metrics.coverage_error(labels, scores)) if labels.shape[1] > 1 else None


def coverages(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many labels of each window score no lower than its lowest true one, int [N]; the error is their mean."""
    lowest = np.where(labels, scores, np.inf).min(axis=1, keepdims=True)
    return (scores >= lowest).sum(axis=1)
