"""Bootstrap intervals over conversations.

The windows of a conversation resemble each other, so whole conversations are drawn with replacement, never windows
(the cluster bootstrap: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8). Whatever can be
summed over conversations is summed once, and a replicate is then a weighted sum: how often each conversation was drawn.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import sparse

REPLICATES = 1000
SEED = 20240229
CONFIDENCE = 0.95
# Replicates of rankings are dearer than those of sums, and percentiles of so many are steady to the second decimal.
RANKING_REPLICATES = 200
# Numbers at a time of what is computed by replicate: some 32 MB as float64.
_BLOCK = 4_000_000

Interval = tuple[float, float]


class Scores(NamedTuple):
    """Precision, recall and F1, arrays of equal shape; NaN where they are not defined."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


@dataclasses.dataclass(frozen=True)
class ScoreReplicates:
    """Precision, recall and F1 in each of R replicates.

    A label that no window of a replicate bears can't be judged there: its scores are NaN and it is left out of the
    replicate's macro mean. (As 0 it would pull the mean below the figure of the whole sample whenever labels are rare.)
    A label that no window of the whole sample bears counts as 0 in every macro mean, as it does in the figure itself.

    Attributes:
        labels: of each label, float [R, K].
        micro: over all label decisions together, float [R].
        macro: means over the labels, float [R].
        weighted: means over the labels weighted by support, float [R].
    """

    labels: Scores
    micro: Scores
    macro: Scores
    weighted: Scores


def conversation_weights(
    conversation_ids: np.ndarray, replicates: int = REPLICATES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Draws conversations with replacement.

    Args:
        conversation_ids: str [N], the conversation of each window; N is at least 1.
        replicates: R.
        seed: of the random numbers; the same conversations and the same seed give the same draws, whatever the order
            of the windows.

    Returns:
        The number of each window's conversation, int64 [N] from 0 to C - 1, and how often each replicate draws each
        conversation, int32 [R, C]; every row sums to C.
    """
    names, conversations = np.unique(conversation_ids, return_inverse=True)
    count = len(names)
    random = np.random.default_rng(seed)
    drawn = [np.bincount(random.integers(count, size=count), minlength=count) for _ in range(replicates)]
    return conversations.astype(np.int64), np.array(drawn, np.int32)


def sums_by_conversation(values: np.ndarray, conversations: np.ndarray, count: int) -> np.ndarray:
    """Sums [N, ...] over the windows of each conversation, float64 [C, ...].

    Args:
        values: numbers or bool [N, ...].
        conversations: int [N], from `conversation_weights`.
        count: C.
    """
    windows = np.arange(len(conversations))
    membership = sparse.csr_array((np.ones(len(windows)), (conversations, windows)), shape=(count, len(windows)))
    flat = np.asarray(values, np.float64).reshape(len(windows), -1)
    return (membership @ flat).reshape(count, *np.shape(values)[1:])


def counts_by_conversation(
    labels: np.ndarray, predicted: np.ndarray, conversations: np.ndarray, count: int
) -> np.ndarray:
    """True positives, false positives and false negatives of each conversation and label, float64 [C, K, 3].

    Args:
        labels: true, bool [N, K].
        predicted: bool [N, K].
        conversations: int [N], from `conversation_weights`.
        count: C.
    """
    kinds = (labels & predicted, ~labels & predicted, labels & ~predicted)
    return np.stack([sums_by_conversation(kind, conversations, count) for kind in kinds], axis=-1)


def totals(weights: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The sums of each replicate, float64 [R, ...], of int [R, C] and the conversations' sums [C, ...]."""
    flat = np.asarray(sums, np.float64).reshape(len(sums), -1)
    step = max(1, _BLOCK // weights.shape[1])
    parts = [weights[start:start + step].astype(np.float64) @ flat for start in range(0, len(weights), step)]
    return np.concatenate(parts).reshape(len(weights), *sums.shape[1:])


def score_replicates(counts: np.ndarray, weights: np.ndarray) -> ScoreReplicates:
    """Precision, recall and F1 of each replicate.

    Two models on the same windows are compared by their replicates' differences under the same weights.

    Args:
        counts: from `counts_by_conversation`, [C, K, 3].
        weights: from `conversation_weights`, [R, C].
    """
    drawn = totals(weights, counts)
    support = drawn[..., 0] + drawn[..., 2]
    never = int((counts[..., [0, 2]].sum(axis=(0, 2)) == 0).sum())
    scores = precision_recall_f1(drawn)
    labels = Scores(*(np.where(support > 0, values, np.nan) for values in scores))
    return ScoreReplicates(
        labels=labels,
        micro=precision_recall_f1(drawn.sum(axis=1)),
        macro=Scores(*(ratio(np.nansum(values, axis=1), (support > 0).sum(axis=1) + never) for values in labels)),
        weighted=Scores(*(ratio((values * support).sum(axis=1), support.sum(axis=1)) for values in scores)),
    )


def precision_recall_f1(counts: np.ndarray) -> Scores:
    """Scores [...] of counts of true positives, false positives and false negatives [..., 3]; 0 for 0 / 0."""
    true_positives, false_positives, false_negatives = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return Scores(
        precision=ratio(true_positives, true_positives + false_positives),
        recall=ratio(true_positives, true_positives + false_negatives),
        f1=ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives),
    )


def average_precision_replicates(
    labels: np.ndarray, scores: np.ndarray, conversations: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Average precision of each replicate, float [R]; NaN where it draws no positive.

    Only scores that a positive has change the recall, so what lies between two of them is summed first.

    Args:
        labels: bool [N].
        scores: float [N].
        conversations: int [N], from `conversation_weights`.
        weights: int [R, C].
    """
    positives = np.flatnonzero(labels)
    if not len(positives):
        return np.full(len(weights), np.nan)
    steps = np.unique(scores[positives])  # ascending
    counted = np.flatnonzero(scores >= steps[0])
    size = (len(steps), weights.shape[1])
    by_step = [
        sparse.csr_array((np.ones(len(rows)), (_falling_step(scores[rows], steps), conversations[rows])), shape=size)
        for rows in (positives, counted)
    ]
    block = max(1, _BLOCK // len(steps))
    parts = []
    for start in range(0, len(weights), block):
        drawn = np.ascontiguousarray(weights[start:start + block].T, np.float64)
        hits, all_drawn = (matrix @ drawn for matrix in by_step)
        precision = ratio(hits.cumsum(axis=0), all_drawn.cumsum(axis=0))
        total = hits.sum(axis=0)
        parts.append(np.where(total > 0, ratio((hits * precision).sum(axis=0), total), np.nan))
    return np.concatenate(parts)


def interval(replicates: np.ndarray, confidence: float = CONFIDENCE) -> Interval | None:
    """The percentile interval of a measure's replicates float [R], those that are NaN left out; None when all are.

    Errors that the sample has none of can't be drawn: the interval of a share of 1 is (1, 1), however small the sample.
    """
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail))
    return float(low), float(high)


def interval_of_distance(figure: float, replicates: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """An interval for a sum of absolute values.

    Chance adds to it: replicates lie above the figure, as the figure itself lies above the truth. So this is the basic
    bootstrap interval, the percentiles mirrored at the figure (Davison and Hinkley 1997, equation 5.6), cut at 0 and
    widened to the figure where that lies above it.

    Args:
        figure: of the sample.
        replicates: of the figure, float [R].
        confidence: how often the interval ought to hold the truth.
    """
    low, high = interval(replicates, confidence)
    return max(0.0, 2.0 * figure - high), max(figure, 2.0 * figure - low)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Numerator by denominator, arrays of equal shape; 0 where the denominator is 0."""
    numerator = np.asarray(numerator, np.float64)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=np.asarray(denominator) != 0)


def _falling_step(scores: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The highest of the ascending steps that each score reaches, counted from the highest one, int [n]."""
    return len(steps) - np.searchsorted(steps, scores, side="right")
