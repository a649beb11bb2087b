"""What a candidate must reach to be blessed: the policy file.

A YAML mapping of the fields of `Policy`, each of which may be left out; an empty file is the default policy.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from schemas.exit_status import UsageError
from trainer.checked_mapping import (
    checked_by,
    from_mapping,
    names,
    number,
    share,
    share_or_none,
    true_or_false,
    whole_number,
)
from trainer.yaml_file import read_yaml


def _confidence(value: Any) -> float:
    return number(value, 0.5, 0.999)


def _shares_by_label(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("a mapping from label names to numbers from 0 to 1 (quote names that YAML reads otherwise)")
    return {name: share(floor) for name, floor in value.items()}


@dataclasses.dataclass(frozen=True)
class Floors:
    """The least that a candidate must reach, whatever the baseline does; None for no floor.

    Attributes:
        micro_f1: over all label decisions.
        macro_f1: mean over the data's labels.
        exact_match: share of windows whose labels are all right.
        labels: {label: F1}.
    """

    micro_f1: float | None = checked_by(share_or_none, None)
    macro_f1: float | None = checked_by(share_or_none, None)
    exact_match: float | None = checked_by(share_or_none, None)
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict, metadata={"check": _shares_by_label})


@dataclasses.dataclass(frozen=True)
class AllowedDrops:
    """How far a candidate may lie below the baseline; None for any distance.

    Attributes:
        micro_f1: over the labels that both know.
        macro_f1: mean over the labels that both know.
        exact_match: share of windows in which the labels that both know are all right.
        label_f1: of each label that both know and that enough windows bear.
    """

    micro_f1: float | None = checked_by(share_or_none, 0.01)
    macro_f1: float | None = checked_by(share_or_none, 0.02)
    exact_match: float | None = checked_by(share_or_none, None)
    label_f1: float | None = checked_by(share_or_none, 0.05)


def _floors(value: Any) -> Floors:
    return from_mapping(Floors, value, "floors.")


def _allowed_drops(value: Any) -> AllowedDrops:
    return from_mapping(AllowedDrops, value, "allowed_drops.")


@dataclasses.dataclass(frozen=True)
class Policy:
    """What makes a candidate's verdict.

    Attributes:
        floors: the least that it must reach.
        allowed_drops: how far it may lie below the baseline.
        min_support: a label that fewer windows truly bear is too rare to be judged by itself.
        confidence: of the intervals around the differences.
        significant_label_drops_only: a label's drop refuses only when, besides, its whole interval lies below 0: of
            many labels with few windows each, some drop by chance alone. Drops over all labels refuse in any case.
        retired_labels: labels that the candidate may lack though the data or the baseline have them.
        signature_tolerance: how far a score from raw texts may lie from the same window's in the evaluation.
    """

    floors: Floors = checked_by(_floors, Floors())
    allowed_drops: AllowedDrops = checked_by(_allowed_drops, AllowedDrops())
    min_support: int = checked_by(whole_number(1), 20)
    confidence: float = checked_by(_confidence, 0.95)
    significant_label_drops_only: bool = checked_by(true_or_false, True)
    retired_labels: tuple[str, ...] = checked_by(names, ())
    signature_tolerance: float = checked_by(share, 1e-4)


def read_policy(file: str | pathlib.Path) -> Policy:
    """Reads a policy file.

    Raises:
        UsageError: naming the key that is wrong, and what is allowed.
    """
    try:
        return policy_of(read_yaml(file))
    except UsageError as error:
        raise UsageError(f"--policy {file}: {error}") from error


def policy_of(values: Any) -> Policy:
    """The policy of a policy file's mapping.

    Raises:
        UsageError: naming the key that is wrong, and what is allowed.
    """
    return from_mapping(Policy, values)
