"""CrossWOZ: Chinese dialogues over five domains, as in `train.json.zip` of github.com/thu-coai/CrossWOZ.

A file maps dialogue ids to `{"messages": [{"role": "usr", "content": ..., "dialog_act": [[act, domain, slot, value],
...]}, ...], ...}`.
"""

import reprlib
from collections.abc import Callable
from typing import Any

from pipeline.convert.dialogues import AGENT, USER, MalformedDialogue, SourceFormat, Turn, by_id, member, speaker_of

_SPEAKERS = {"usr": USER, "sys": AGENT}


def _read_turn(message: Any, index: int, label_of: Callable[[str, str], str]) -> Turn:
    speaker = speaker_of(message, "role", _SPEAKERS)
    text = member(message, "content", str)
    if speaker == AGENT:
        return Turn(speaker, text, None)
    labels = set()
    for act in member(message, "dialog_act", list):
        if not isinstance(act, list) or len(act) < 2 or not all(isinstance(part, str) for part in act[:2]):
            raise MalformedDialogue(f"an act must be a list of act, domain, slot and value, not {reprlib.repr(act)}")
        labels.add(label_of(act[0], act[1]))
    return Turn(speaker, text, sorted(labels))


FORMAT = SourceFormat(
    other_files=("*_da_voc.json", "*_db.json"),
    label_rules={"domain_act": lambda act, domain: f"{act}+{domain}"},
    split=by_id,
    turns_key="messages",
    read_turn=_read_turn,
)
