"""Reads the YAML files that users write."""

import pathlib
from collections.abc import Iterator

import yaml

from schemas.exit_status import UsageError


def read_mapping(file: str | pathlib.Path) -> dict:
    """The mapping that a YAML file holds; an empty file is an empty mapping.

    Raises:
        UsageError: when it can't be read, is no YAML or no mapping, or has a key twice: YAML would keep the last one
            without a word.
    """
    try:
        text = pathlib.Path(file).read_text("utf-8")
        repeated = next(_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader)), None)
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't be read: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        # A ValueError: something like a date that is none.
        raise UsageError(f"not valid YAML: {error}") from error
    if repeated is not None:
        raise UsageError(f"{repeated!r} is there twice")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"expected a mapping, got {type(values).__name__}")
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
