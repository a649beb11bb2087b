"""Thresholds: from which score on a label is said, chosen on validation windows by a stated policy."""

import dataclasses

import numpy as np

from schemas.exit_status import UsageError

# Scores nearer to 0 or 1 than this make no threshold of their own.
EDGE = 1e-3
DEFAULT = 0.5


@dataclasses.dataclass(frozen=True)
class Policy:
    """How a threshold is chosen.

    Attributes:
        name: of `POLICIES`.
        value: what `fixed` sets and what the others guarantee on validation; None for `max_f1`.
    """

    name: str
    value: float | None


POLICIES = ("max_f1", "precision_at_least", "recall_at_least", "fixed")


def parse_policy(text: str) -> Policy:
    """Reads `max_f1`, `precision_at_least:P`, `recall_at_least:R` or `fixed:T`, with a number from 0 to 1.

    Raises:
        UsageError: for anything else.
    """
    name, _, value = text.partition(":")
    allowed = "max_f1, precision_at_least:P, recall_at_least:R, fixed:T, with a number from 0 to 1"
    if name not in POLICIES or (name == "max_f1") != (not value):
        raise UsageError(f"threshold_policy: {text!r} is unknown; allowed: {allowed}")
    try:
        number = float(value) if value else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number <= 1:
        raise UsageError(f"threshold_policy: {text!r} has no number from 0 to 1; allowed: {allowed}")
    return Policy(name, number)


def choose_thresholds(
    policy: Policy, scores: np.ndarray, labels: np.ndarray, shrinkage: float
) -> tuple[float, np.ndarray]:
    """The common threshold, and one a label.

    A label's threshold is drawn towards the common one, and that towards 1/2, in logits, as if `shrinkage` positives
    more had been seen that want it there: few validation windows say little, and a threshold that follows them
    costs more than it brings.

    Args:
        policy: how.
        scores: probabilities of the validation windows, float [N, K].
        labels: the true ones, bool [N, K].
        shrinkage: in windows that bear the label; 0 for none.

    Returns:
        The common threshold, and those of the labels, float32 [K].
    """
    if policy.name == "fixed" or not labels.any():
        value = policy.value if policy.name == "fixed" else DEFAULT
        return value, np.full(labels.shape[1], value, np.float32)
    common = _shrunk(_best(policy, scores.ravel(), labels.ravel(), DEFAULT), DEFAULT, labels.sum(), shrinkage)
    own = [_shrunk(_best(policy, scores[:, k], labels[:, k], common), common, labels[:, k].sum(), shrinkage)
           for k in range(labels.shape[1])]
    return common, np.array(own, np.float32)


def _best(policy: Policy, scores: np.ndarray, labels: np.ndarray, near: float) -> float:
    """What the policy wants for scores float [N] of one label, bool [N]; of equal thresholds that next to `near`."""
    from sklearn.metrics import precision_recall_curve

    if not labels.any():
        return near
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]
    # Halfway to the score below, a threshold says the same and holds as well for scores that were not seen.
    middles = (thresholds + np.concatenate([[thresholds[0]], thresholds[:-1]])) / 2
    if policy.name == "max_f1":
        merit = 2 * precision * recall / np.maximum(precision + recall, EDGE)
    elif policy.name == "precision_at_least":
        merit = np.where(precision >= policy.value, 1 + recall, precision)
    else:
        merit = np.where(recall >= policy.value, 1 + precision, recall)
    best = np.flatnonzero(merit >= merit.max() - 1e-12)
    return float(middles[best[np.argmin(np.abs(middles[best] - near))]])


def _shrunk(own: float, common: float, positives: int, shrinkage: float) -> float:
    """Between the two, in logits, by the number of positives."""
    share = positives / (positives + shrinkage) if shrinkage else 1.0
    logit = share * _logit(own) + (1 - share) * _logit(common)
    return float(1 / (1 + np.exp(-logit)))


def _logit(probability: float) -> float:
    probability = min(max(probability, EDGE), 1 - EDGE)
    return float(np.log(probability / (1 - probability)))
