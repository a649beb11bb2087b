"""The verdict on a new model: what is checked, against which limit, and what came of it."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from schemas.exit_status import TurnwiseError
from trainer.blessing_policy import Policy
from trainer.comparison import Comparison, Difference, LabelComparison, compare_predictions, spoken
from trainer.finite import not_finite
from trainer.label_scores import average_of, decisions_of, exact_match, label_f1
from trainer.predictions import Predictions

# Differences of floating-point figures, such as 0.81 - 0.8, are a little off.
ROUNDING = 1e-9
TOO_RARE = "too rare to judge"
MAY_BE_CHANCE = "may be chance"


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what, e.g. "micro F1: drop".
        passed: None where it could not be judged, which refuses nobody.
        value: what the candidate came to; None where there is no number.
        limit: what it may come to, at least for a floor, at most for a drop or a distance.
        detail: the same in words: the reason, when it failed.
    """

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    detail: str


def failure(who: str, error: Exception) -> Check:
    """The check of a model that could not be loaded or asked."""
    message = str(error) if isinstance(error, TurnwiseError) else f"{type(error).__name__}: {error}"
    return Check(f"{who} answers", False, None, None, f"the {who} could not be asked: {' '.join(message.split())}")


def answers(who: str, *predictions: Predictions) -> Check:
    """Whether every number that a model gave is finite, however it was asked."""
    wrong = next(filter(None, map(not_finite, predictions)), None)
    if wrong:
        return Check(f"{who} answers", False, None, None, f"the {who}'s {wrong}")
    return Check(f"{who} answers", True, None, None, f"finite numbers for all {len(predictions[0].scores)} windows")


def same_both_ways(evaluated: Predictions | None, served: Predictions, tolerance: float) -> Check:
    """Whether a model says of raw texts what its evaluation sees.

    Args:
        evaluated: by the network, of the token ids in the shards; None where those are not the model's.
        served: of the same windows, by the SavedModel, of their raw texts.
        tolerance: the farthest that a score may lie from the other.
    """
    name = "raw-text signature"
    if evaluated is None:
        return Check(name, None, None, tolerance, "not judged: the candidate was not trained on this data directory's "
                                                  "token ids and labels, so raw texts are all that it can be asked")
    distance = np.abs(evaluated.scores - served.scores)
    row, column = np.unravel_index(np.argmax(distance), distance.shape)
    farthest, decisions = float(distance.max()), int((evaluated.predicted != served.predicted).sum())
    detail = f"from raw texts, scores lie up to {farthest:.2g} from those of the evaluation; allowed {tolerance:g}"
    if farthest > tolerance:
        detail += (f" (farthest: label {served.label_names[column]!r} in conversation"
                   f" {str(served.conversation_ids[row])!r}, turn {served.turn_indices[row]};"
                   f" {decisions} label decisions differ)")
    return Check(name, farthest <= tolerance, farthest, tolerance, detail)


def knows_labels(candidate: Predictions, baseline: Predictions | None, retired: Sequence[str]) -> Check:
    """Whether the candidate has every label that the data or the baseline have, save retired ones."""
    known = known_labels(candidate)
    wanted = set(candidate.label_names) | (known_labels(baseline) if baseline else set())
    missing = sorted(wanted - known - set(retired))
    if missing:
        detail = f"the candidate lacks {_counted(len(missing), 'label')}: {', '.join(map(repr, missing))}"
    else:
        lacking = sorted(wanted - known)
        detail = f"all {len(wanted)} labels of the data and the baseline" if baseline else (
            f"all {len(wanted)} labels of the data")
        detail += f", save retired ones: {', '.join(map(repr, lacking))}" if lacking else ""
    return Check("labels", not missing, float(len(missing)), 0.0, detail)


def known_labels(model: Predictions) -> set[str]:
    """The labels that a model has."""
    return set(model.label_names) - set(model.missing_labels) | set(model.extra_labels)


def floors(candidate: Predictions, policy: Policy) -> Iterator[Check]:
    """Whether the candidate reaches what it must reach by itself.

    Macro F1 is over the data's labels, those without windows counting as 0.
    """
    decisions = decisions_of(candidate.labels, candidate.predicted)
    figures = {"micro_f1": average_of(decisions, "micro").f1, "macro_f1": average_of(decisions, "macro").f1,
               "exact_match": exact_match(decisions)}
    for measure, value in figures.items():
        floor = getattr(policy.floors, measure)
        if floor is not None:
            yield _floor(spoken(measure), value, floor)
    f1 = dict(zip(candidate.label_names, label_f1(decisions).tolist(), strict=True))
    supports = dict(zip(candidate.label_names, candidate.labels.sum(axis=0).tolist(), strict=True))
    for name, floor in policy.floors.labels.items():
        if name not in f1:
            yield Check(f"{_f1_of(name)}: floor", False, None, floor,
                        f"the policy has a floor for the label {name!r}, which the data do not have")
        elif supports[name] < policy.min_support:
            yield _too_rare(f"{_f1_of(name)}: floor", supports[name], policy, f1[name], floor)
        else:
            yield _floor(_f1_of(name), f1[name], floor, f" ({_counted(supports[name], 'window')})")


def drops(candidate: Predictions, baseline: Predictions, policy: Policy) -> Iterator[Check]:
    """Whether the candidate lies no farther below the baseline than it may, over the labels that both know."""
    missing = {*candidate.missing_labels, *baseline.missing_labels}
    shared = [name for name in candidate.label_names if name not in missing]
    if not shared:
        yield Check("drops", None, None, None, "not judged: candidate and baseline share none of the data's labels")
        return
    comparison = compare_predictions(baseline, candidate, labels=shared, confidence=policy.confidence)
    allowed = policy.allowed_drops
    for measure in ("micro_f1", "macro_f1", "exact_match"):
        limit = getattr(allowed, measure)
        if limit is not None:
            yield _drop(spoken(measure), comparison.overall[measure], limit, policy, _over(comparison))
    if allowed.label_f1 is not None:
        for label in comparison.per_label:
            yield _label_drop(label, allowed.label_f1, policy)


def _floor(name: str, value: float, floor: float, remark: str = "") -> Check:
    """The check of a floor; `name` is what the value is of, `remark` what else is to be said."""
    detail = f"{name} is {value:.4f}; the floor is {floor:g}{remark}"
    return Check(f"{name}: floor", value >= floor - ROUNDING, value, floor, detail)


def _drop(name: str, difference: Difference, limit: float, policy: Policy, remark: str) -> Check:
    """The check of a drop; `name` is what the figures are of, `remark` of how much."""
    drop = difference.a - difference.b
    detail = (f"{name} {'drops' if drop > 0 else 'goes'} from {difference.a:.4f} to {difference.b:.4f}, by"
              f" {difference.difference:+.4f}; allowed is a drop of {limit:g}"
              f" ({_interval_text(difference, policy.confidence)}; {remark})")
    return Check(f"{name}: drop", drop <= limit + ROUNDING, drop, limit, detail)


def _label_drop(label: LabelComparison, limit: float, policy: Policy) -> Check:
    """The check of a label's drop, which is not judged where it may come by chance."""
    name = _f1_of(label.label)
    if label.support < policy.min_support:
        return _too_rare(f"{name}: drop", label.support, policy, label.f1.a - label.f1.b, limit)
    check = _drop(name, label.f1, limit, policy, _counted(label.support, "window"))
    below_zero = label.f1.interval is not None and label.f1.interval[1] < 0
    if check.passed or below_zero or not policy.significant_label_drops_only:
        return check
    return dataclasses.replace(check, passed=None, detail=f"{MAY_BE_CHANCE}: {check.detail}")


def _interval_text(difference: Difference, confidence: float) -> str:
    if difference.interval is None:
        return "too few conversations for an interval"
    low, high = difference.interval
    return f"{100 * confidence:g} % interval {low:+.4f} to {high:+.4f}"


def _too_rare(name: str, support: int, policy: Policy, value: float, limit: float) -> Check:
    """The check of a label that too few windows truly bear."""
    return Check(name, None, value, limit,
                 f"{TOO_RARE}: {_counted(support, 'window')}, at least {policy.min_support} wanted")


def _f1_of(label: str) -> str:
    return f"F1 of label {label!r}"


def _over(comparison: Comparison) -> str:
    return f"{_counted(len(comparison.per_label), 'label')} that both know, {_counted(comparison.windows, 'window')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
