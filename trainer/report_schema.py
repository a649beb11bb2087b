"""The JSON schema of report.json, made from the dataclasses of which an evaluation consists and their docstrings."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluation import Evaluation
from trainer.report_sections import Subject
from trainer.windows import Window
from trainer.worst_errors import WorstError

SCHEMA_VERSION = 2
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Of a window, as no reader of a report asks for its scalars.
LEFT_OUT = ("numeric",)

_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", types.NoneType: "null"}


def report_schema() -> dict[str, Any]:
    """The JSON schema of report.json, draft 2020-12."""
    definitions: dict[str, Any] = {}
    curve = {"type": "array", "items": {"type": ["number", "null"]}}
    properties = {
        "schema_version": {"const": SCHEMA_VERSION},
        **_properties(Subject, definitions),
        **_properties(Evaluation, definitions),
        "history": {"type": "object", "additionalProperties": curve,
                    "description": "{metric: one value an epoch, null where there is none} of the training."},
        "worst_errors": {"type": "array", "items": _schema(WorstError, definitions),
                         "description": "The windows of the largest loss, the worst first."},
    }
    return {"$schema": DIALECT, "title": "report.json of an evaluation", **_object(properties), "$defs": definitions}


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of values of a type; those of dataclasses go into `definitions`, by their names."""
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if dataclasses.is_dataclass(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # so that it is there for itself
            definitions[kind.__name__] = {"description": _summary(kind), **_object(_properties(kind, definitions))}
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if all(argument in _PLAIN for argument in arguments):
            return {"type": [_PLAIN[argument] for argument in arguments]}
        return {"anyOf": [_schema(argument, definitions) for argument in arguments]}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if origin is tuple and arguments[-1] is not Ellipsis:
        return {"type": "array", "prefixItems": [_schema(argument, definitions) for argument in arguments],
                "items": False, "minItems": len(arguments)}
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    raise TypeError(f"no JSON schema for {kind}")


def _properties(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schemas of a dataclass's fields by their names, described as its docstring does."""
    described = _attributes(kind)
    return {
        name: {**_schema(field, definitions), **({"description": described[name]} if name in described else {})}
        for name, field in typing.get_type_hints(kind).items() if not (kind is Window and name in LEFT_OUT)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of objects that have just these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _summary(kind: type) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(kind.__doc__.split("\n\n")[0].split())


def _attributes(kind: type) -> dict[str, str]:
    """What a docstring says under `Attributes:`, {name: text in one line}."""
    _, _, text = kind.__doc__.partition("Attributes:\n")
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", text, re.MULTILINE)
    return {name: re.sub(r"\bNone\b", "null", " ".join(description.split())) for name, description in entries}
