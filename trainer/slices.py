"""How a model fares on parts of the windows: by their labels, their place, their history, who speaks and how."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from schemas.examples import FIRST_SPEAKER_ID
from trainer.bootstrap import (
    Interval,
    conversation_weights,
    interval,
    precision_recall_f1,
    sums_by_conversation,
    totals,
)
from trainer.label_scores import average_of, decisions_of, exact_match, label_f1
from trainer.memory import UNKNOWN_SPEAKER
from trainer.predictions import Predictions
from trainer.scripts import MIXED, NONE, script_of

# Lower ends of the bins.
TURN_INDEX_BINS = (0, 1, 2, 3, 5, 9, 17)
TOKEN_BINS = (0, 1, 3, 5, 9, 17, 33)
LABEL_COUNT_BINS = (0, 1, 2, 3, 4, 5)
# A script of fewer windows than this share is among the others.
RARE_SCRIPT = 0.005
OTHER_SCRIPTS = "other"
NO_SPEAKER = "(none)"


@dataclasses.dataclass(frozen=True)
class Slice:
    """The windows that have one thing in common.

    Attributes:
        dimension: `labels`, `turn index`, `history turns`, `speaker`, `script` or `tokens`.
        value: what they have in common; a range of whole numbers such as `3–4` or `33+`, or a name.
        windows: how many there are, at least 1.
        micro_f1: over all their label decisions together; None when they bear no labels.
        micro_f1_interval: its 95 % bootstrap interval, replicates without labels left out; None where `micro_f1` is not
            defined or all windows are of one conversation.
        macro_f1: mean over the labels that some window of the slice bears; None when there are none.
        exact_match: share of the windows whose labels are all right.
    """

    dimension: str
    value: str
    windows: int
    micro_f1: float | None
    micro_f1_interval: Interval | None
    macro_f1: float | None
    exact_match: float


def slices(predictions: Predictions, speakers: Sequence[str]) -> list[Slice]:
    """Every slice that has windows, by dimension and then by value.

    Args:
        predictions: of N windows.
        speakers: the name of each speaker id, see `windows.speaker_names`.
    """
    counts = np.stack([(predictions.labels & predictions.predicted).sum(axis=1),
                       (~predictions.labels & predictions.predicted).sum(axis=1),
                       (predictions.labels & ~predictions.predicted).sum(axis=1)], axis=1)
    conversations, weights = conversation_weights(predictions.conversation_ids)
    found = []
    for dimension, (names, values) in _dimensions(predictions, speakers).items():
        for value, name in enumerate(names):
            rows = values == value
            if rows.any():
                inside = sums_by_conversation(counts * rows[:, None], conversations, weights.shape[1])
                found.append(_slice(dimension, name, predictions, rows, totals(weights, inside)))
    return found


def _dimensions(predictions: Predictions, speakers: Sequence[str]) -> dict[str, tuple[list[str], np.ndarray]]:
    """The values of each dimension and of each window the number of its value, int [N]."""
    filled = predictions.turn_lengths[:, 1:] > 0
    return {
        "labels": _binned(predictions.labels.sum(axis=1), LABEL_COUNT_BINS),
        "turn index": _binned(predictions.turn_indices, TURN_INDEX_BINS),
        "history turns": _binned(filled.sum(axis=1), range(filled.shape[1] + 1), open_ended=False),
        "speaker": ([NO_SPEAKER, UNKNOWN_SPEAKER, *speakers[FIRST_SPEAKER_ID:]], predictions.speakers[:, 0]),
        "script": _scripts(predictions.texts),
        "tokens": _binned(predictions.turn_lengths[:, 0], TOKEN_BINS),
    }


def _binned(numbers: np.ndarray, lows: Sequence[int], open_ended: bool = True) -> tuple[list[str], np.ndarray]:
    """The names of the bins that start at the ascending `lows`, and the bin of each whole number, int [N]."""
    names = [str(low) if low == following - 1 else f"{low}–{following - 1}" for low, following in pairwise(lows)]
    names.append(f"{lows[-1]}+" if open_ended else str(lows[-1]))
    return names, np.maximum(np.searchsorted(lows, numbers, side="right") - 1, 0)


def _scripts(texts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The scripts by falling number of texts, the rare ones together, then `mixed` and `none`; each text's, int [N]."""
    scripts, numbers, counts = np.unique([script_of(text) for text in texts], return_inverse=True, return_counts=True)
    kept = [str(scripts[k]) for k in np.argsort(-counts, kind="stable")
            if counts[k] >= RARE_SCRIPT * len(texts) and scripts[k] not in (MIXED, NONE)]
    names = [*kept, OTHER_SCRIPTS, MIXED, NONE]
    places = np.array([names.index(script) if script in names else len(kept) for script in scripts])
    return names, places[numbers]


def _slice(dimension: str, value: str, predictions: Predictions, rows: np.ndarray, drawn: np.ndarray) -> Slice:
    """The slice of the windows `rows` bool [N], given its counts TP, FP and FN by replicate, float [R, 3]."""
    decisions = decisions_of(predictions.labels[rows], predictions.predicted[rows])
    borne = predictions.labels[rows].any(axis=0)
    several = len(np.unique(predictions.conversation_ids[rows])) > 1
    replicates = np.where(drawn[:, 0] + drawn[:, 2] > 0, precision_recall_f1(drawn).f1, np.nan)
    return Slice(
        dimension=dimension,
        value=value,
        windows=int(rows.sum()),
        micro_f1=average_of(decisions, "micro").f1 if borne.any() else None,
        micro_f1_interval=interval(replicates) if several and borne.any() else None,
        macro_f1=float(label_f1(decisions)[borne].mean()) if borne.any() else None,
        exact_match=exact_match(decisions),
    )
