"""What a candidate must reach to be blessed: the policy file.

A YAML mapping of the fields of `Policy`, each of which may be left out; an empty file is the default policy.
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from schemas.exit_status import UsageError
from trainer.yaml_file import read_yaml


def _checked_by(check: Callable[[Any], Any], default: Any):
    """A field whose value in the file `check` converts, or refuses with a ValueError that says what is allowed."""
    return dataclasses.field(default=default, metadata={"check": check})


def _number(value: Any, low: float, high: float) -> float:
    """A number from `low` to `high`; YAML 1.1 reads `1e-4` as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise ValueError(f"a number from {low:g} to {high:g}")
    return number


def _share(value: Any) -> float:
    return _number(value, 0, 1)


def _share_or_none(value: Any) -> float | None:
    """null: not judged."""
    return None if value is None else _share(value)


def _confidence(value: Any) -> float:
    return _number(value, 0.5, 0.999)


def _shares_by_label(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("a mapping from label names to numbers from 0 to 1 (quote names that YAML reads otherwise)")
    return {name: _share(floor) for name, floor in value.items()}


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of label names (quote names that YAML reads otherwise)")
    return tuple(value)


def _whole_number(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a whole number of at least 1")
    return value


def _true_or_false(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


@dataclasses.dataclass(frozen=True)
class Floors:
    """The least that a candidate must reach, whatever the baseline does; None for no floor.

    Attributes:
        micro_f1: over all label decisions.
        macro_f1: mean over the data's labels.
        exact_match: share of windows whose labels are all right.
        labels: {label: F1}.
    """

    micro_f1: float | None = _checked_by(_share_or_none, None)
    macro_f1: float | None = _checked_by(_share_or_none, None)
    exact_match: float | None = _checked_by(_share_or_none, None)
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

    micro_f1: float | None = _checked_by(_share_or_none, 0.01)
    macro_f1: float | None = _checked_by(_share_or_none, 0.02)
    exact_match: float | None = _checked_by(_share_or_none, None)
    label_f1: float | None = _checked_by(_share_or_none, 0.05)


def _floors(value: Any) -> Floors:
    return _from_mapping(Floors, value, "floors.")


def _allowed_drops(value: Any) -> AllowedDrops:
    return _from_mapping(AllowedDrops, value, "allowed_drops.")


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

    floors: Floors = _checked_by(_floors, Floors())
    allowed_drops: AllowedDrops = _checked_by(_allowed_drops, AllowedDrops())
    min_support: int = _checked_by(_whole_number, 20)
    confidence: float = _checked_by(_confidence, 0.95)
    significant_label_drops_only: bool = _checked_by(_true_or_false, True)
    retired_labels: tuple[str, ...] = _checked_by(_names, ())
    signature_tolerance: float = _checked_by(_share, 1e-4)


def read_policy(file: str | pathlib.Path) -> Policy:
    """Reads a policy file.

    Raises:
        UsageError: naming the key that is wrong, and what is allowed.
    """
    try:
        return _from_mapping(Policy, read_yaml(file), "")
    except UsageError as error:
        raise UsageError(f"--policy {file}: {error}") from error


def _from_mapping(kind: type, values: Any, where: str) -> Any:
    """The dataclass of a mapping; `where` begins the names of its keys in messages."""
    if values is None:
        return kind()
    if not isinstance(values, dict):
        prefix = f"{where.removesuffix('.')}: " if where else ""
        raise UsageError(f"{prefix}expected a mapping, got {values!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = [key for key in values if key not in fields]
    if unknown:
        raise UsageError(f"unknown key {where}{unknown[0]}; known: {', '.join(fields)}")
    return kind(**{key: _checked(f"{where}{key}", value, fields[key].metadata["check"])
                   for key, value in values.items()})


def _checked(key: str, value: Any, check: Callable[[Any], Any]) -> Any:
    """The value as the field has it."""
    try:
        return check(value)
    except ValueError as error:
        raise UsageError(f"{key}: {value!r} is not allowed; allowed: {error}") from error
