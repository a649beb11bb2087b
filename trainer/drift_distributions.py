"""The quantities of drift as distributions, of the reference beside the new data."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.divergence import binned, jensen_shannon_divergence, population_stability_index, psi_by_chance, upper_edges
from trainer.drift_facts import NO_LABEL, Facts
from trainer.drift_model import Answers

SPOKEN = {
    "labels": "labels", "labels_per_turn": "labels a turn", "speakers": "speakers",
    "turns_per_conversation": "turns a conversation", "tokens_per_turn": "tokens a turn",
    "predicted_labels": "predicted labels", "top_score": "highest score",
}


@dataclasses.dataclass(frozen=True)
class Distribution:
    """One quantity in both data directories, by bins.

    Attributes:
        name: a key of `SPOKEN`.
        bins: what each bin holds, in words; `NO_LABEL` for turns without labels.
        reference: counts by bin.
        new: counts by bin.
        psi: population stability index.
        js_divergence: Jensen-Shannon divergence in bits.
        psi_by_chance: what the index stays below by chance alone, conversations being the sample: the turns of one
            resemble each other.
    """

    name: str
    bins: list[str]
    reference: list[int]
    new: list[int]
    psi: float
    js_divergence: float
    psi_by_chance: float


@dataclasses.dataclass(frozen=True)
class LabelShare:
    """How many of the labelled turns bear a label.

    Attributes:
        label: its name.
        reference: share in the reference.
        new: share in the new data.
        psi: of bearing it or not.
    """

    label: str
    reference: float
    new: float
    psi: float


def distributions(reference: Facts, new: Facts, confidence: float) -> list[Distribution]:
    """Those of the counts."""
    sizes = (reference.conversations, new.conversations)
    return [
        *(_by_name(name, getattr(reference, name), getattr(new, name), sizes, confidence)
          for name in ("labels", "speakers")),
        *(_by_value(name, *(_values(getattr(facts, name)) for facts in (reference, new)), sizes, confidence)
          for name in ("labels_per_turn", "turns_per_conversation", "tokens_per_turn")),
    ]


def answer_distributions(answers: tuple[Answers, Answers], confidence: float) -> list[Distribution]:
    """Those of what the model says."""
    sizes = tuple(len(np.unique(one.conversation_ids)) for one in answers)
    said = (dict(zip([*one.label_names, NO_LABEL],
                     [*one.predicted.sum(axis=0).tolist(), int((~one.predicted.any(axis=1)).sum())], strict=True))
            for one in answers)
    scores = (np.unique(one.top_scores, return_counts=True) for one in answers)
    return [_by_name("predicted_labels", *said, sizes, confidence), _by_value("top_score", *scores, sizes, confidence)]


def label_shares(reference: Facts, new: Facts) -> list[LabelShare]:
    """Those of all labels of either, the largest index first."""
    shares = []
    for label in sorted((set(reference.labels) | set(new.labels)) - {NO_LABEL}):
        # Merged labels may count a turn twice.
        counts = [(min(facts.labels.get(label, 0), facts.targets), facts.targets) for facts in (reference, new)]
        psi = population_stability_index(*([there, targets - there] for there, targets in counts))
        shares.append(LabelShare(label, *(there / max(1, targets) for there, targets in counts), psi))
    return sorted(shares, key=lambda share: (-share.psi, share.label))


def _by_name(
    name: str, reference: Mapping[str, int], new: Mapping[str, int], sizes: tuple[int, int], confidence: float
) -> Distribution:
    """A bin a name, those that the reference has most first."""
    total = Counter(reference) + Counter(new)
    bins = sorted(total, key=lambda one: (-reference.get(one, 0), -new.get(one, 0), one))
    return _compared(name, bins, *([counts.get(one, 0) for one in bins] for counts in (reference, new)), sizes,
                     confidence)


def _by_value(
    name: str, reference: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray], sizes: tuple[int, int],
    confidence: float
) -> Distribution:
    """Bins that each hold a tenth of the reference's values, as far as these are different enough.

    Args:
        name: of the quantity.
        reference: ascending values and how often each occurs.
        new: likewise.
        sizes: conversations of both.
        confidence: for what chance does.
    """
    edges = upper_edges(*(reference if len(reference[0]) else new)) if len(reference[0]) or len(new[0]) else np.empty(0)
    counts = [binned(*sample, edges) for sample in (reference, new)]
    filled = np.flatnonzero(counts[0] + counts[1])
    values = np.unique(np.concatenate([reference[0], new[0]]))
    places = np.searchsorted(edges, values)
    bins = [_range(values[places == place]) for place in filled]
    return _compared(name, bins, *(one[filled].tolist() for one in counts), sizes, confidence)


def _range(values: np.ndarray) -> str:
    """From the least to the greatest value of a bin."""
    low, high = (f"{value:.5f}" if values.dtype.kind == "f" else str(value) for value in (values[0], values[-1]))
    return low if low == high else f"{low} to {high}"


def _compared(
    name: str, bins: list[str], reference: Sequence[int], new: Sequence[int], sizes: tuple[int, int], confidence: float
) -> Distribution:
    """A distribution of counts by bin."""
    if not bins:
        return Distribution(name, [], [], [], 0.0, 0.0, 0.0)
    return Distribution(name, bins, list(reference), list(new), population_stability_index(reference, new),
                        jensen_shannon_divergence(reference, new),
                        psi_by_chance(len(bins), *(max(1, size) for size in sizes), confidence))


def _values(histogram: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Values and how often each occurs of a histogram, in order."""
    values = sorted(histogram)
    return np.array(values, np.int64), np.array([histogram[value] for value in values], np.int64)
