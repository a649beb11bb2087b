"""What taking something away from the windows does to a model's figures."""

import dataclasses

from trainer.bootstrap import Interval, conversation_weights, counts_by_conversation, interval, score_replicates
from trainer.label_scores import average_of, decisions_of, label_f1
from trainer.predictions import Predictions


@dataclasses.dataclass(frozen=True)
class LabelChange:
    """What an ablation does to one label.

    Attributes:
        label: its name.
        f1: after it.
        f1_change: f1 after it less f1 before it.
        interval: 95 % paired bootstrap interval of the change; None where no window bears the label or there is but one
            conversation.
    """

    label: str
    f1: float
    f1_change: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True)
class InputAblation:
    """The same model on the same windows with something taken from them.

    Attributes:
        name: what was done, a key of `changes.CHANGES`.
        windows: how many were scored again, the first ones of the split.
        micro_f1: after it.
        macro_f1: after it.
        micro_f1_change: after less before, on the same windows; below 0 where the model needs what was taken.
        macro_f1_change: likewise.
        micro_f1_change_interval: 95 % paired bootstrap interval; None with but one conversation.
        macro_f1_change_interval: likewise.
        labels: one entry a label, in the order of labels.json.
    """

    name: str
    windows: int
    micro_f1: float
    macro_f1: float
    micro_f1_change: float
    macro_f1_change: float
    micro_f1_change_interval: Interval | None
    macro_f1_change_interval: Interval | None
    labels: list[LabelChange]


def input_ablation(name: str, predictions: Predictions, ablated: Predictions) -> InputAblation:
    """What an ablation changes.

    Args:
        name: of the ablation.
        predictions: of the windows as they are, at least those of `ablated`.
        ablated: of the first windows with something taken from them, in the same order.
    """
    count = len(ablated.labels)
    labels = ablated.labels
    before, after = (decisions_of(labels, said) for said in (predictions.predicted[:count], ablated.predicted))
    f1_before, f1_after = label_f1(before), label_f1(after)
    averages = {average: (average_of(before, average).f1, average_of(after, average).f1)
                for average in ("micro", "macro")}
    differences = _paired_differences(ablated.conversation_ids, labels, predictions.predicted[:count],
                                      ablated.predicted)
    return InputAblation(
        name=name,
        windows=count,
        micro_f1=averages["micro"][1],
        macro_f1=averages["macro"][1],
        micro_f1_change=averages["micro"][1] - averages["micro"][0],
        macro_f1_change=averages["macro"][1] - averages["macro"][0],
        micro_f1_change_interval=differences["micro"],
        macro_f1_change_interval=differences["macro"],
        labels=[
            LabelChange(label, float(f1_after[k]), float(f1_after[k] - f1_before[k]), differences["labels"][k])
            for k, label in enumerate(ablated.label_names)
        ],
    )


def _paired_differences(conversation_ids, labels, before, after) -> dict:
    """Intervals of F1 after less F1 before: `micro`, `macro`, and `labels` as a list; the latter three bool [N, K]."""
    conversations, weights = conversation_weights(conversation_ids)
    count = weights.shape[1]
    if count < 2:
        return {"micro": None, "macro": None, "labels": [None] * labels.shape[1]}
    old, new = (score_replicates(counts_by_conversation(labels, said, conversations, count), weights)
                for said in (before, after))
    return {
        "micro": interval(new.micro.f1 - old.micro.f1),
        "macro": interval(new.macro.f1 - old.macro.f1),
        "labels": [interval(change) for change in (new.labels.f1 - old.labels.f1).T],
    }
