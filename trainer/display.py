"""How names that come from logs are shown: as the text they are, whatever characters they hold."""

import unicodedata

from schemas.visible_text import visible

ELLIPSIS = "…"

_MARKDOWN_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKDOWN_SPECIAL = frozenset("\\`*_[]|~$")
# What spreadsheets take for the start of a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def display_width(text: str) -> float:
    """Roughly the width of a text in ems, CJK characters and emoji being twice as wide as letters."""
    return sum(map(_character_width, text))


def shortened(text: str, width: float) -> str:
    """The text, cut and ended by an ellipsis where it is wider than `width` ems."""
    if display_width(text) <= width:
        return text
    end, used = 0, display_width(ELLIPSIS)
    while used + _character_width(text[end]) <= width:
        used += _character_width(text[end])
        end += 1
    return text[:end] + ELLIPSIS


def markdown_cell(text: str) -> str:
    """The text for a cell of a Markdown table, with nothing in it that Markdown or HTML would interpret."""
    return "".join(
        _MARKDOWN_ENTITIES.get(character) or (f"\\{character}" if character in _MARKDOWN_SPECIAL else character)
        for character in visible(text))


def csv_cell(text: str) -> str:
    """The text for a CSV cell, with an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _character_width(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    return 1.1 if unicodedata.east_asian_width(character) in "WF" else 0.6
