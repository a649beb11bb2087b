"""MultiWOZ 2.1: English dialogues over seven domains, as in `MultiWOZ_2.1.zip` of github.com/budzianowski/multiwoz.

`data.json` maps dialogue names to `{"goal": ..., "log": [{"text": ..., "metadata": ..., "dialog_act": {"Hotel-Inform":
[[slot, value], ...], ...}, "span_info": ...}, ...]}`. Turns alternate, the user begins. The acts of the user are in
`data.json` since version 2.1; `system_acts.json` (`dialogue_acts.json` elsewhere) has those of the agent only, which
bear no labels here. A few dialogues aren't annotated: their user turns have no `dialog_act`.
"""

from collections.abc import Callable
from typing import Any

from pipeline.convert.dialogues import AGENT, USER, SourceFormat, Turn, by_id, member

_NOT_ANNOTATED = "No Annotation"


def _read_turn(turn: Any, index: int, label_of: Callable[[str], str]) -> Turn:
    text = member(turn, "text", str)
    if index % 2 == 1:
        return Turn(AGENT, text, None)
    if turn.get("dialog_act", _NOT_ANNOTATED) == _NOT_ANNOTATED:
        return Turn(USER, text, None)
    return Turn(USER, text, sorted({label_of(act) for act in member(turn, "dialog_act", dict)}))


FORMAT = SourceFormat(
    other_files=("*_db.json", "*_acts.json", "*ListFile.json", "ontology.json", "slot_descriptions.json"),
    label_rules={"domain_act": str},
    split=by_id,
    turns_key="log",
    read_turn=_read_turn,
)
