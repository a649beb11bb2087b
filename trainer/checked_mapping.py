"""Mappings of YAML files as frozen dataclasses, each field of which checks its value."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from schemas.exit_status import UsageError


def checked_by(check: Callable[[Any], Any], default: Any = dataclasses.MISSING):
    """A field whose value in the file `check` converts, or refuses with a ValueError that says what is allowed.

    Without a default the file must give it.
    """
    return dataclasses.field(default=default, metadata={"check": check})


def from_mapping(kind: type, values: Any, where: str = "") -> Any:
    """The dataclass of a mapping; `where` begins the names of its keys in messages, e.g. `floors.`.

    Raises:
        UsageError: naming the key that is unknown, missing or wrong, and what is allowed.
    """
    values = {} if values is None else values
    if not isinstance(values, dict):
        prefix = f"{where.removesuffix('.')}: " if where else ""
        raise UsageError(f"{prefix}expected a mapping, got {values!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = [key for key in values if key not in fields]
    if unknown:
        raise UsageError(f"unknown key {where}{unknown[0]}; known: {', '.join(fields)}")
    for field in fields.values():
        if field.name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}{field.name} is missing")
    return kind(**{key: _checked(f"{where}{key}", value, fields[key].metadata["check"])
                   for key, value in values.items()})


def _checked(key: str, value: Any, check: Callable[[Any], Any]) -> Any:
    """The value as the field has it."""
    try:
        return check(value)
    except ValueError as error:
        raise UsageError(f"{key}: {value!r} is not allowed; allowed: {error}") from error


def number(value: Any, low: float, high: float) -> float:
    """A number from `low` to `high`; YAML 1.1 reads `1e-4` as text."""
    try:
        converted = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        converted = math.nan
    if not low <= converted <= high:
        raise ValueError(f"a number from {low:g} to {high:g}")
    return converted


def whole_number(low: int) -> Callable[[Any], int]:
    """The check of a whole number from `low` on."""

    def check(value: Any) -> int:
        if type(value) is not int or value < low:
            raise ValueError(f"a whole number of at least {low}")
        return value

    return check


def true_or_false(value: Any) -> bool:
    """The check of a truth value."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def share(value: Any) -> float:
    """A number from 0 to 1."""
    return number(value, 0, 1)


def share_or_none(value: Any) -> float | None:
    """A number from 0 to 1; null: not judged."""
    return None if value is None else share(value)


def names(value: Any) -> tuple[str, ...]:
    """Names of labels."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of label names (quote names that YAML reads otherwise)")
    return tuple(value)
