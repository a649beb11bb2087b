"""What the pages of all reports are made with: templates that escape what comes from logs, and whole files."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from schemas.visible_text import visible
from trainer.dialogues import shown_labels, shown_turns
from trainer.display import markdown_cell
from trainer.drawing import DARK_COLORS

# In place of a measure that is not defined.
UNDEFINED = "–"
_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """The templates of all pages; those of HTML escape what is put into them."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals["dark_colors"] = DARK_COLORS  # style.html.j2 wants them
    templates.filters.update(figure=figure, interval=interval, signed=signed, count=count, percent=percent,
                             visible=visible, cell=markdown_cell, turns=shown_turns, labels=shown_labels)
    return templates


def figure(value: float | None, decimals: int = 3) -> str:
    """A measure for reading; a dash where it is not defined."""
    return UNDEFINED if value is None else f"{value:.{decimals}f}"


def interval(bounds: Sequence[float] | None, of_difference: bool = False, decimals: int = 3) -> str:
    """An interval [low, high] for reading; a dash where it is not defined."""
    if bounds is None:
        return UNDEFINED
    return " to ".join(signed(bound) if of_difference else figure(bound, decimals) for bound in bounds)


def signed(value: float | None) -> str:
    """A difference for reading: three decimals and its sign, a dash where it is not defined."""
    return UNDEFINED if value is None else f"{value:+.3f}".replace("-", "−")


def count(value: int) -> str:
    """A number of things for reading, its thousands apart."""
    return f"{value:,}"


def percent(value: float | None) -> str:
    """A share for reading; a dash where it is not defined."""
    return UNDEFINED if value is None else f"{value:.1%}"


def json_text(values: Any) -> str:
    """The text of a JSON file."""
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_files(directory: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Writes files that appear under their names only when whole."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        temporary = directory / f".{name}.{os.getpid()}.tmp"
        temporary.write_text(text, "utf-8", newline="")
        os.replace(temporary, directory / name)
