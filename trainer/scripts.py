"""Which script a text is written in."""

import collections
import functools
import unicodedata

MIXED = "mixed"
NONE = "none"
# A word of Latin letters in a Chinese sentence does not make it a mixed one.
DOMINANT_SHARE = 0.75

_WIDTHS = ("FULLWIDTH", "HALFWIDTH")
_NAMES = {"CJK": "Han", "IDEOGRAPHIC": "Han", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}


def script_of(text: str) -> str:
    """The script of a text's letters: `Latin`, `Han`, `Arabic`, ...; `mixed`, or `none` when it has no letters.

    A script is that of the text when at least `DOMINANT_SHARE` of the letters are of it. Kana are Japanese, and so are
    the Han characters beside them. The script of a letter is the first word of its name in the Unicode database.
    """
    counts = collections.Counter()
    for character, times in collections.Counter(text).items():
        script = _script_of_letter(character)
        if script:
            counts[script] += times
    if not counts:
        return NONE
    if counts["Japanese"]:
        counts["Japanese"] += counts.pop("Han", 0)
    script, letters = max(counts.items(), key=lambda item: (item[1], item[0]))
    return script if letters >= DOMINANT_SHARE * counts.total() else MIXED


@functools.lru_cache(maxsize=100_000)
def _script_of_letter(character: str) -> str | None:
    """The script of a letter; None for what is no letter, or one that belongs to no script alone."""
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    words = [word for word in unicodedata.name(character, "").split() if word not in _WIDTHS]
    return _NAMES.get(words[0], words[0].title()) if words else None
