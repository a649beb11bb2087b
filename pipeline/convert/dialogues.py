"""What the readers of the public datasets have in common."""

import dataclasses
import reprlib
from collections.abc import Callable, Iterator
from typing import Any

USER = "user"
AGENT = "agent"


class MalformedDialogue(Exception):
    """A dialogue isn't as its format says; the message says what is wrong, the caller adds where."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """One turn: speaker (`USER` or `AGENT`), text, and sorted labels, None where the turn isn't annotated."""

    speaker: str
    text: str
    labels: list[str] | None


@dataclasses.dataclass(frozen=True)
class SourceFormat:
    """How one dataset is read.

    Attributes:
        other_files: patterns of the names of JSON files beside the dialogues, which are passed over.
        label_rules: {value of --labels: the rule, as `read_turn` takes it}; the first is the default.
        split: takes a file's content and yields (id, dialogue).
        turns_key: the dialogue's key with the list of its turns.
        read_turn: takes a turn in the dataset's form, its index and the label rule.
    """

    other_files: tuple[str, ...]
    label_rules: dict[str, Callable[..., str]]
    split: Callable[[Any], Iterator[tuple[str, Any]]]
    turns_key: str
    read_turn: Callable[[Any, int, Callable[..., str]], Turn]


_JSON_NAMES = {dict: "a JSON object", list: "a JSON list", str: "a string"}


def checked(value: Any, kind: type, name: str) -> Any:
    """Gives the value back when it is of the kind (dict, list or str).

    Raises:
        MalformedDialogue: when it isn't; `name` says what the value is.
    """
    if not isinstance(value, kind):
        raise MalformedDialogue(f"{name} must be {_JSON_NAMES[kind]}, not {reprlib.repr(value)}")
    return value


def member(mapping: Any, key: str, kind: type) -> Any:
    """The value of a key that must be there and of the kind (dict, list or str).

    Raises:
        MalformedDialogue: when it isn't.
    """
    if key not in checked(mapping, dict, f"what holds {key!r}"):
        raise MalformedDialogue(f"{key!r} is missing")
    return checked(mapping[key], kind, repr(key))


def by_id(content: Any) -> Iterator[tuple[str, Any]]:
    """The `split` of the formats whose files map ids to dialogues."""
    yield from checked(content, dict, "the file").items()


def speaker_of(turn: Any, key: str, speakers: dict[str, str]) -> str:
    """Our name of the speaker that a turn names under a key.

    Args:
        turn: in the dataset's form.
        key: where the speaker is.
        speakers: {name in the dataset: our name}.

    Raises:
        MalformedDialogue: when the dataset has no such speaker.
    """
    name = member(turn, key, str)
    if name not in speakers:
        raise MalformedDialogue(f"{key!r} is {name!r}; allowed are {', '.join(speakers)}")
    return speakers[name]
