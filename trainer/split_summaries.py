"""The main figures of each split, side by side: a model that learnt its training windows by heart shows here."""

import dataclasses

from trainer.label_scores import Average, average_of, decisions_of, exact_match
from trainer.predictions import Predictions


@dataclasses.dataclass(frozen=True)
class SplitSummary:
    """How a model fares on one split.

    Attributes:
        split: its name.
        windows: how many were scored, the first ones.
        of: how many the split has.
        micro: over all label decisions together.
        macro: plain mean over the labels, those without support counting as 0.
        exact_match: share of windows whose labels are all right.
    """

    split: str
    windows: int
    of: int
    micro: Average
    macro: Average
    exact_match: float


def split_summary(split: str, predictions: Predictions, of: int) -> SplitSummary:
    """The main figures of predictions of the first windows of a split that has `of` windows."""
    decisions = decisions_of(predictions.labels, predictions.predicted)
    return SplitSummary(split, len(predictions.labels), of, average_of(decisions, "micro"),
                        average_of(decisions, "macro"), exact_match(decisions))
