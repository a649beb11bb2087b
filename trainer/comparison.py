"""Compares the predictions that two models make of the same windows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from schemas.exit_status import DataRefused, TurnwiseError
from trainer import bootstrap
from trainer.bootstrap import CONFIDENCE, Interval
from trainer.label_scores import average_of, decisions_of, exact_match
from trainer.predictions import Predictions

SCORES = ("precision", "recall", "f1")
MEASURES = (*(f"micro_{score}" for score in SCORES), *(f"macro_{score}" for score in SCORES), "exact_match")


@dataclasses.dataclass(frozen=True)
class Difference:
    """A measure of both models.

    Attributes:
        a: of the first model.
        b: of the second.
        difference: b - a.
        interval: of the difference, a paired bootstrap's over conversations: each replicate draws conversations once,
            for both models. None where there are fewer than two conversations, or none bears the label.
    """

    a: float
    b: float
    difference: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True)
class LabelComparison:
    """How both models fare with one label.

    Attributes:
        label: its name.
        support: windows that truly bear the label.
        precision: 0 where the label is never predicted.
        recall: 0 where no window bears the label.
        f1: 0 where both are 0.
        fixed: windows for which the first model decides the label wrongly, the second rightly.
        broken: the other way round.
    """

    label: str
    support: int
    precision: Difference
    recall: Difference
    f1: Difference
    fixed: int
    broken: int


@dataclasses.dataclass(frozen=True)
class RightWindows:
    """How many windows have all their labels right.

    Attributes:
        both: by both models.
        only_a: by the first alone: what the second breaks.
        only_b: by the second alone: what it fixes.
        neither: by none of them.
        neither_alike: those among them for which both predict the same labels.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    neither_alike: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything that compare.json says about two models' predictions.

    Attributes:
        windows: number of windows N.
        conversations: number of conversations.
        confidence: of the intervals.
        overall: {measure: both models' figures}, for each of `MEASURES`; the macro figures are plain means over the
            labels, those that no window bears counting as 0.
        per_label: one entry a label, in the order of labels.json.
        right: how many windows have all their labels right.
        unknown_to_a: labels that the first model does not know: it never predicts them.
        unknown_to_b: likewise, of the second.
    """

    windows: int
    conversations: int
    confidence: float
    overall: dict[str, Difference]
    per_label: list[LabelComparison]
    right: RightWindows
    unknown_to_a: list[str]
    unknown_to_b: list[str]


@dataclasses.dataclass(frozen=True)
class ChangedRows:
    """Windows of which one model gets all labels right and the other does not, by their rows.

    Attributes:
        fixed: all right by the second model alone; those first whose scores changed most among the labels that the
            models decide otherwise.
        broken: all right by the first model alone, likewise.
    """

    fixed: list[int]
    broken: list[int]


def compare_predictions(
    a: Predictions, b: Predictions, *, labels: Sequence[str] | None = None, confidence: float = CONFIDENCE
) -> Comparison:
    """Compares two models.

    Args:
        a: the first model's predictions of N windows.
        b: the second's of the same windows.
        labels: only these labels count; None for all of the data's.
        confidence: of the intervals.

    Raises:
        DataRefused: when there are no labels to compare by.
        TurnwiseError: when the predictions are not of the same windows.
    """
    _require_same_windows(a, b)
    names = a.label_names if labels is None else list(labels)
    if not names:
        raise DataRefused("there are no labels to compare by")
    columns = [a.label_names.index(name) for name in names]
    true, said_a, said_b = a.labels[:, columns], a.predicted[:, columns], b.predicted[:, columns]
    conversations, weights = bootstrap.conversation_weights(a.conversation_ids)
    overall, by_label = _differences(true, (said_a, said_b), conversations, weights, confidence)
    wrong_a, wrong_b = said_a != true, said_b != true
    per_label = [
        LabelComparison(name, int(true[:, k].sum()), *by_label[k],
                        fixed=int((wrong_a & ~wrong_b)[:, k].sum()), broken=int((wrong_b & ~wrong_a)[:, k].sum()))
        for k, name in enumerate(names)]
    return Comparison(
        windows=len(true), conversations=weights.shape[1], confidence=confidence, overall=overall, per_label=per_label,
        right=_right_windows(wrong_a, wrong_b, said_a, said_b),
        unknown_to_a=[name for name in names if name in a.missing_labels],
        unknown_to_b=[name for name in names if name in b.missing_labels])


def spoken(measure: str) -> str:
    """The name of one of `MEASURES` as people write it, e.g. "micro F1"."""
    return measure.replace("_f1", " F1").replace("_", " ")


def changed_rows(a: Predictions, b: Predictions, count: int) -> ChangedRows:
    """The windows that changed most, at most `count` of each kind."""
    right_a, right_b = ((model.predicted == model.labels).all(axis=1) for model in (a, b))
    change = np.abs(b.scores - a.scores).max(axis=1, where=a.predicted != b.predicted, initial=0.0)

    def first(rows: np.ndarray) -> list[int]:
        return rows[np.argsort(-change[rows], kind="stable")][:count].tolist()

    return ChangedRows(first(np.flatnonzero(right_b & ~right_a)), first(np.flatnonzero(right_a & ~right_b)))


def _require_same_windows(a: Predictions, b: Predictions) -> None:
    """Raises a TurnwiseError when rows or columns do not mean the same in both."""
    same = (a.label_names == b.label_names and np.array_equal(a.conversation_ids, b.conversation_ids)
            and np.array_equal(a.turn_indices, b.turn_indices))
    if not same:
        raise TurnwiseError("only predictions of the same windows and labels can be compared")


def _differences(
    true: np.ndarray, said: tuple[np.ndarray, np.ndarray], conversations: np.ndarray, weights: np.ndarray,
    confidence: float
) -> tuple[dict[str, Difference], list[tuple[Difference, ...]]]:
    """The differences over all labels, by measure, and those of each label: precision, recall and F1.

    Args:
        true: bool [N, K].
        said: by the first model and by the second, bool [N, K] each.
        conversations: of each window, int [N].
        weights: how often each replicate draws each conversation, int [R, C].
        confidence: of the intervals.
    """
    figures, replicates = zip(*(_measures(true, one, conversations, weights) for one in said), strict=True)

    def difference(*key) -> Difference:
        a, b = (float(model[key]) for model in figures)
        return Difference(a, b, b - a, _interval(replicates[1][key] - replicates[0][key], weights, confidence))

    return ({measure: difference(measure) for measure in MEASURES},
            [tuple(difference(score, k) for score in SCORES) for k in range(true.shape[1])])


def _measures(
    true: np.ndarray, said: np.ndarray, conversations: np.ndarray, weights: np.ndarray
) -> tuple[dict[tuple, float], dict[tuple, np.ndarray]]:
    """Every measure of one model, of the windows as they are and of each replicate, float [R].

    Keys are (measure,) for those over all labels, and (score, number of the label).
    """
    count = weights.shape[1]
    decisions = decisions_of(true, said)
    right = (true == said).all(axis=1)
    figures = {("exact_match",): exact_match(decisions)}
    replicates = {("exact_match",): bootstrap.ratio(*(
        bootstrap.totals(weights, bootstrap.sums_by_conversation(windows, conversations, count))
        for windows in (right, np.ones(len(right)))))}
    drawn = bootstrap.score_replicates(
        bootstrap.counts_by_conversation(true, said, conversations, count), weights)
    micro, macro = average_of(decisions, "micro"), average_of(decisions, "macro")
    labels = metrics.precision_recall_fscore_support(
        decisions.true, decisions.predicted, labels=decisions.labels, average=None, zero_division=0)
    for score, of_labels in zip(SCORES, labels, strict=False):  # the support comes last
        figures[f"micro_{score}",], replicates[f"micro_{score}",] = getattr(micro, score), getattr(drawn.micro, score)
        figures[f"macro_{score}",], replicates[f"macro_{score}",] = getattr(macro, score), getattr(drawn.macro, score)
        for k, figure in enumerate(of_labels):
            figures[score, k], replicates[score, k] = figure, getattr(drawn.labels, score)[:, k]
    return figures, replicates


def _interval(differences: np.ndarray, weights: np.ndarray, confidence: float) -> Interval | None:
    """The interval of replicates' differences; one conversation alone tells nothing of how others would differ."""
    return bootstrap.interval(differences, confidence) if weights.shape[1] > 1 else None


def _right_windows(wrong_a: np.ndarray, wrong_b: np.ndarray, said_a: np.ndarray, said_b: np.ndarray) -> RightWindows:
    """Counts of bool [N, K] each."""
    right_a, right_b = ~wrong_a.any(axis=1), ~wrong_b.any(axis=1)
    neither, alike = ~right_a & ~right_b, (said_a == said_b).all(axis=1)
    return RightWindows(
        both=int((right_a & right_b).sum()), only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()), neither=int(neither.sum()), neither_alike=int((neither & alike).sum()))
