"""Schema-Guided Dialogue: English dialogues over some twenty domains, as in `train/dialogues_001.json` of
github.com/google-research-datasets/dstc8-schema-guided-dialogue.

A file is a list of `{"dialogue_id": ..., "turns": [{"speaker": "USER", "utterance": ..., "frames": [{"service":
"Hotels_2", "actions": [{"act": "INFORM", ...}, ...], ...}, ...]}, ...]}`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pipeline.convert.dialogues import AGENT, USER, MalformedDialogue, SourceFormat, Turn, checked, member, speaker_of

_SPEAKERS = {"USER": USER, "SYSTEM": AGENT}


def _split(content: Any) -> Iterator[tuple[str, Any]]:
    for place, dialogue in enumerate(checked(content, list, "the file")):
        try:
            dialogue_id = member(dialogue, "dialogue_id", str)
        except MalformedDialogue as error:
            raise MalformedDialogue(f"dialogue number {place}: {error}") from error
        yield dialogue_id, dialogue


def _read_turn(turn: Any, index: int, label_of: Callable[[str, str], str]) -> Turn:
    speaker = speaker_of(turn, "speaker", _SPEAKERS)
    text = member(turn, "utterance", str)
    if speaker == AGENT:
        return Turn(speaker, text, None)
    labels = {
        label_of(member(frame, "service", str), member(action, "act", str))
        for frame in member(turn, "frames", list)
        for action in member(frame, "actions", list)
    }
    return Turn(speaker, text, sorted(labels))


def _family_and_act(service: str, act: str) -> str:
    # A family's services are numbered: "Hotels_2" and "Hotels_4" are both "Hotels".
    return f"{service.split('_')[0]}+{act}"


FORMAT = SourceFormat(
    other_files=("schema.json",),
    label_rules={"act": lambda service, act: act, "domain_act": _family_and_act},
    split=_split,
    turns_key="turns",
    read_turn=_read_turn,
)
