"""How far two samples of one quantity lie apart, and how much of it chance may have done."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

PARTS = 10
# Added to every count, lest an empty bin make the index infinite: the prior of Jeffreys for proportions.
SMOOTHING = 0.5


def population_stability_index(reference: Sequence[int], new: Sequence[int]) -> float:
    """PSI = sum over bins of (q - p) ln(q / p), p and q the shares of the reference and of the new sample.

    N. Siddiqi, Credit Risk Scorecards (2006), chapter 10, which reads less than 0.1 as no change and more than 0.25 as
    a major one. It is the symmetrised divergence of Kullback and Leibler (Kullback 1959, Information Theory and
    Statistics). Shares are of counts with `SMOOTHING` added.

    Args:
        reference: counts by bin [B], B at least 1.
        new: counts by bin [B].
    """
    p, q = (_shares(counts, SMOOTHING) for counts in (reference, new))
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon_divergence(reference: Sequence[int], new: Sequence[int]) -> float:
    """The mean divergence of both samples' shares from their mean, in bits: 0 for equal ones, 1 for disjoint ones.

    J. Lin, Divergence measures based on the Shannon entropy (IEEE Transactions on Information Theory 37, 1991),
    equation 4.1. SciPy's function gives its square root, the distance. 0 where a sample is empty.

    Args:
        reference: counts by bin [B].
        new: counts by bin [B].
    """
    if not sum(reference) or not sum(new):
        return 0.0
    return float(jensenshannon(_shares(reference), _shares(new), base=2) ** 2)


def psi_by_chance(bins: int, reference_size: int, new_size: int, confidence: float) -> float:
    """The index that two samples of one population stay below with a probability of `confidence`.

    For samples of n and m independent observations in B bins, PSI / (1/n + 1/m) tends to a chi-squared distribution
    with B - 1 degrees of freedom: B. Yurdakul and J. Naranjo, Statistical properties of the population stability index
    (Journal of Risk Model Validation 14, 2020).

    Args:
        bins: B.
        reference_size: n, at least 1.
        new_size: m, at least 1.
        confidence: below 1.
    """
    return float((1 / reference_size + 1 / new_size) * chi2.ppf(confidence, max(1, bins - 1)))


def upper_edges(values: np.ndarray, counts: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """The ends, included, of bins that each hold about an equal part of a sample; the last bin has no end.

    The first bin ends below the least value, so that what never was so low before has a bin to go to.

    Args:
        values: ascending numbers [V], V at least 1.
        counts: how often each occurs, int [V].
        parts: bins, if the values are different enough.
    """
    reached = np.cumsum(counts) / np.sum(counts)
    ends = values[np.searchsorted(reached, np.arange(1, parts) / parts - 1e-12)]
    return np.unique(np.concatenate([[np.nextafter(float(values[0]), -np.inf)], ends]))


def binned(values: np.ndarray, counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts by bin, int [E + 1], of values [V] that occur so often [V], for `upper_edges` [E]."""
    return np.bincount(np.searchsorted(edges, values), np.asarray(counts, float), len(edges) + 1).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of two sums over conversations, such as a rate or an F1.

    Attributes:
        value: of the sums; 0 where the denominator is 0.
        standard_error: by linearisation, conversations being the sample: W. G. Cochran, Sampling Techniques (1977),
            equation 6.13. None for fewer than two conversations.
    """

    value: float
    standard_error: float | None

    @classmethod
    def of(cls, numerators: np.ndarray, denominators: np.ndarray) -> "Ratio":
        """The ratio of the sums of numerators [C] and denominators [C], one of each a conversation."""
        total = float(np.sum(denominators))
        if not total:
            return cls(0.0, None)
        value, size = float(np.sum(numerators)) / total, len(numerators)
        if size < 2:
            return cls(value, None)
        residuals = numerators - value * denominators
        return cls(value, float(np.sqrt((residuals**2).sum() * size / (size - 1)) / total))


def _shares(counts: Sequence[int], smoothing: float = 0.0) -> np.ndarray:
    """Counts [B] as parts of their sum."""
    smoothed = np.asarray(counts, float) + smoothing
    return smoothed / smoothed.sum()
