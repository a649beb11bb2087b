"""Text that comes from logs, made safe to print."""

import unicodedata

# Embeddings, overrides and isolates reorder all the text that follows them.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    r"""The text with its control characters written out, e.g. a line feed as `\u000a`.

    Such characters, bidirectional overrides among them, would disturb the text around, or break a plot, as some are no
    XML characters.
    """
    return "".join(f"\\u{ord(character):04x}" if _is_control(character) else character for character in text)


def _is_control(character: str) -> bool:
    nonstandard = ord(character) & 0xFFFE == 0xFFFE  # U+FFFE, U+FFFF and their like on other planes
    return nonstandard or character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
