"""Windows as people read them: the turns in the order of the dialogue, and the labels by whether they are right."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from trainer.windows import Window

# A page shows no more characters of a turn than this.
MAX_CHARACTERS = 600
UNKNOWN_SPEAKER = "(unknown)"


@dataclasses.dataclass(frozen=True)
class ShownTurn:
    """A turn of a window.

    Attributes:
        age: how many turns before the current one it is, 0 for the current one.
        speaker: who speaks.
        text: its first `MAX_CHARACTERS` characters.
        left_out: how many more there are.
        attention: its weight in the memory; None for the current turn, and where the weight is not known.
    """

    age: int
    speaker: str
    text: str
    left_out: int
    attention: float | None


@dataclasses.dataclass(frozen=True)
class ShownLabel:
    """A label of a window.

    Attributes:
        name: of the label.
        kind: `right`, `missed` (true, but not predicted), `wrong` (predicted, but not true) or `other`.
        score: its probability; None where it is not known.
    """

    name: str
    kind: str
    score: float | None


def shown_turns(window: Window, attention: Sequence[float]) -> list[ShownTurn]:
    """The turns of a window, the oldest first; slots without text and speaker hold none.

    Args:
        window: the window.
        attention: the weight of each history slot, the newest first.
    """
    weights = [None, *attention]
    turns = []
    for age, (text, speaker) in enumerate(zip(window.texts, window.speakers, strict=True)):
        if text or speaker or not age:
            weight = weights[age] if age < len(weights) else None
            turns.append(ShownTurn(age, speaker or UNKNOWN_SPEAKER, text[:MAX_CHARACTERS],
                                   max(0, len(text) - MAX_CHARACTERS), weight))
    return turns[::-1]


def shown_labels(true: Collection[str], predicted: Collection[str], scores: Mapping[str, float]) -> list[ShownLabel]:
    """The labels of a window: those that are right, missed and wrong, then others of which the score is known."""
    said = [("right", [name for name in true if name in predicted]),
            ("missed", [name for name in true if name not in predicted]),
            ("wrong", [name for name in predicted if name not in true]),
            ("other", [name for name in scores if name not in true and name not in predicted])]
    return [ShownLabel(name, kind, scores.get(name)) for kind, names in said for name in names]
