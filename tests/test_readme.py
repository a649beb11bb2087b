"""The README's tables are the schemas' own."""

import importlib
import pathlib

import pytest

from schemas.examples import EXAMPLE_FEATURES
from schemas.turn_log import COLUMNS, REJECT_REASONS
from trainer.config import FAMILIES

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text("utf-8")


def row(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def shape(feature):
    return "varying" if feature.shape is None else f"[{', '.join(feature.shape)}]"


ROWS = [
    *(row(f"`{column.name}`", column.type, "yes" if column.required else "no", column.meaning) for column in COLUMNS),
    *(row(f"`{reason}`", meaning) for reason, meaning in REJECT_REASONS.items()),
    *(row(f"`{feature.name}`", feature.dtype, shape(feature), feature.meaning) for feature in EXAMPLE_FEATURES),
]


@pytest.mark.parametrize("expected", ROWS)
def test_the_tables_say_what_the_schemas_say(expected):
    assert expected in README.split("\n")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("normalization", "schedule")])
def test_the_table_of_settings_names_every_part(family):
    [line] = [line for line in README.split("\n") if line.startswith(f"| `{family}` |")]
    module, table = FAMILIES[family]
    parts = getattr(importlib.import_module(f"trainer.{module}"), table)
    assert [part for part in parts if f"`{part}`" not in line] == []
