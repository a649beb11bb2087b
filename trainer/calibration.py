"""From a network's scores to probabilities that hold what they promise.

Both methods turn a score s into sigmoid(scale * logit(s) + shift): temperature scaling (Guo et al. 2017) with one scale
for all labels and no shift, Platt's scaling (Platt 1999) with a scale and a shift for each label.
"""

import numpy as np
import tensorflow as tf

# Scores are taken as no smaller and no larger than these: the latter is the largest number below 1 in 32 bits.
LOWEST, HIGHEST = 1e-30, 1.0 - 2.0**-24
MAX_SCALE = 20.0
# What pulls a label's scale towards 1 and its shift towards 0, in units of log loss: a label with few positives stays
# near its raw scores, one with many goes where its scores say.
PLATT_PENALTY = 1.0
NONE = "none"


def calibrated(scores: tf.Tensor, scale: np.ndarray, shift: np.ndarray) -> tf.Tensor:
    """Probabilities float32 [N, K] of scores float32 [N, K], given scale and shift float32 [K]."""
    clipped = tf.clip_by_value(scores, LOWEST, HIGHEST)
    return tf.sigmoid(scale * (tf.math.log(clipped) - tf.math.log1p(-clipped)) + shift)


def fit_none(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale 1 and shift 0 for each label, float32 [K]."""
    return np.ones(scores.shape[1], np.float32), np.zeros(scores.shape[1], np.float32)


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale, 1 / temperature, with the least log loss over all labels together; see `fit_platt`."""
    from scipy.optimize import minimize_scalar

    logits, sign = _logits(scores), np.where(labels, 1.0, -1.0)
    found = minimize_scalar(lambda log_scale: np.logaddexp(0.0, -sign * np.exp(log_scale) * logits).mean(),
                            bounds=(-np.log(MAX_SCALE), np.log(MAX_SCALE)), method="bounded")
    return np.full(scores.shape[1], np.exp(found.x), np.float32), np.zeros(scores.shape[1], np.float32)


def fit_platt(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each label with the least penalised log loss.

    Args:
        scores: of validation windows, float32 [N, K]; N is at least 1.
        labels: the true ones, bool [N, K].

    Returns:
        Scale and shift, float32 [K] each.
    """
    from scipy.optimize import minimize

    logits, sign = _logits(scores), np.where(labels, 1.0, -1.0)
    found = []
    for k in range(scores.shape[1]):
        def loss(parameters, k=k):
            scale, shift = parameters
            penalty = PLATT_PENALTY * ((scale - 1.0) ** 2 + shift**2)
            return np.logaddexp(0.0, -sign[:, k] * (scale * logits[:, k] + shift)).sum() + penalty

        # A scale below 0 would turn the label's order round.
        found.append(minimize(loss, (1.0, 0.0), bounds=((1.0 / MAX_SCALE, MAX_SCALE), (None, None))).x)
    scale, shift = np.array(found, np.float32).reshape(-1, 2).T
    return scale, shift


CALIBRATIONS = {NONE: fit_none, "temperature": fit_temperature, "platt": fit_platt}


def _logits(scores: np.ndarray) -> np.ndarray:
    """float64 [N, K]."""
    clipped = scores.astype(np.float64).clip(LOWEST, HIGHEST)
    return np.log(clipped) - np.log1p(-clipped)
