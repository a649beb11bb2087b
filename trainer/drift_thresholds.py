"""How far new data may lie from the reference: the file of thresholds.

A YAML mapping of the fields of `Thresholds`, each of which may be left out; an empty file is the default.
"""

import dataclasses
import pathlib
from typing import Any

from schemas.exit_status import UsageError
from trainer.checked_mapping import checked_by, from_mapping, names, number, share_or_none
from trainer.yaml_file import read_yaml


def _index_or_none(value: Any) -> float | None:
    """null: not judged."""
    return None if value is None else number(value, 0, 1000)


def _confidence(value: Any) -> float:
    return number(value, 0.5, 0.999999)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The farthest that a distribution may lie from the reference's; None for any distance.

    Attributes:
        psi: population stability index.
        js_divergence: Jensen-Shannon divergence in bits.
    """

    psi: float | None = checked_by(_index_or_none, 0.25)
    js_divergence: float | None = checked_by(share_or_none, None)


def _limits(name: str):
    """A field of limits; null: not judged."""
    return checked_by(lambda value: Limits(None, None) if value is None else from_mapping(Limits, value, f"{name}."),
                      Limits())


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What refuses new data.

    Attributes:
        labels: of the labels that turns bear, with the absence of any.
        labels_per_turn: of how many they bear.
        speakers: of who speaks.
        turns_per_conversation: of the lengths of conversations.
        tokens_per_turn: of the lengths of turns.
        predicted_labels: of the labels that the model says.
        top_score: of the highest probability of each window.
        new_label_share: the largest part of the labelled turns that may bear labels that the reference lacks.
        new_labels: names that do not count there.
        least_volume: the fewest conversations, as a multiple of the reference's.
        most_volume: the most conversations, likewise.
        out_of_vocabulary_increase: how far the share of unknown tokens may rise.
        agreement_drop: how far the micro F1 of the model against the new labels may fall.
        confidence: a difference counts only beyond what two samples of one population stay within with this
            probability.
    """

    labels: Limits = _limits("labels")
    labels_per_turn: Limits = _limits("labels_per_turn")
    speakers: Limits = _limits("speakers")
    turns_per_conversation: Limits = _limits("turns_per_conversation")
    tokens_per_turn: Limits = _limits("tokens_per_turn")
    predicted_labels: Limits = _limits("predicted_labels")
    top_score: Limits = _limits("top_score")
    new_label_share: float | None = checked_by(share_or_none, 0.0)
    new_labels: tuple[str, ...] = checked_by(names, ())
    least_volume: float | None = checked_by(_index_or_none, 0.25)
    most_volume: float | None = checked_by(_index_or_none, None)
    out_of_vocabulary_increase: float | None = checked_by(share_or_none, 0.05)
    agreement_drop: float | None = checked_by(share_or_none, 0.1)
    confidence: float = checked_by(_confidence, 0.999)


def read_thresholds(file: str | pathlib.Path | None) -> Thresholds:
    """Reads a file of thresholds; None is the default.

    Raises:
        UsageError: naming the key that is wrong, and what is allowed.
    """
    if file is None:
        return Thresholds()
    try:
        return from_mapping(Thresholds, read_yaml(file))
    except UsageError as error:
        raise UsageError(f"--thresholds {file}: {error}") from error
