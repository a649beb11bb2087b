"""Reads the YAML files that users write."""

import pathlib
from collections.abc import Iterator
from typing import Any

import yaml

from schemas.exit_status import UsageError


def read_yaml(file: str | pathlib.Path) -> Any:
    """The value that a YAML file holds; None for an empty one.

    Raises:
        UsageError: when it can't be read, is no YAML, or has a mapping with a key twice: YAML would keep the last one
            without a word.
    """
    try:
        text = pathlib.Path(file).read_text("utf-8")
        repeated = next(_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader)), None)
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A ValueError: something like a date that is none; recursion without end: a mapping that holds itself.
        raise UsageError(f"not valid YAML: {error}") from error
    if repeated is not None:
        raise UsageError(f"{repeated!r} is there twice")
    return values


def _repeated_keys(node: yaml.Node | None) -> Iterator[str]:
    """Keys that a mapping has twice, at any depth."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        yield from (key for number, key in enumerate(keys) if key in keys[:number])
        for _, value in node.value:
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)
