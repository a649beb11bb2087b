"""Whether what drifted refuses the new data, check by check."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.stats import norm

from trainer.blessing import MAY_BE_CHANCE, Check
from trainer.divergence import Ratio
from trainer.drift_distributions import SPOKEN, Distribution
from trainer.drift_facts import NO_LABEL, Facts
from trainer.drift_thresholds import Limits, Thresholds

NOT_JUDGED = "not judged"
# So many labels are named in a reason.
NAMED = 5


def volume(sizes: tuple[int, int], thresholds: Thresholds) -> Iterator[Check]:
    """Whether the new data have about as many conversations as the reference."""
    ratio = sizes[1] / max(1, sizes[0])
    said = f"{sizes[1]:,} conversations are {ratio:.3g} times the reference's {sizes[0]:,}"
    for name, limit, passed in (("least volume", thresholds.least_volume, lambda limit: ratio >= limit),
                                ("most volume", thresholds.most_volume, lambda limit: ratio <= limit)):
        if limit is not None:
            yield Check(name, passed(limit), ratio, limit, f"{said}; the {name} is {limit:g} times")


def new_labels(reference: Facts, new: Facts, thresholds: Thresholds) -> Check:
    """Whether turns bear labels that the reference lacks."""
    name, limit = "new labels", thresholds.new_label_share
    unexpected = {label: count for label, count in sorted(new.labels.items())
                  if not reference.labels.get(label) and label != NO_LABEL and label not in thresholds.new_labels}
    share = min(1.0, sum(unexpected.values()) / max(1, new.targets))
    if not unexpected:
        return Check(name, None if limit is None else True, 0.0, limit,
                     "no turn bears labels that the reference lacks")
    named = ", ".join(f"{label!r} ({count:,})" for label, count in list(unexpected.items())[:NAMED])
    more = f" and {len(unexpected) - NAMED} more" if len(unexpected) > NAMED else ""
    said = f"{share:.3%} of the labelled turns bear labels that the reference lacks: {named}{more}"
    if limit is None:
        return Check(name, None, share, limit, f"{NOT_JUDGED}: {said}")
    return Check(name, share <= limit, share, limit,
                 f"{said}; allowed {limit:.3%} (new_labels names those that are wanted, new_label_share allows more)")


def within(
    name: str, distribution: Distribution | None, limits: Limits, asked: tuple | str
) -> Iterator[Check]:
    """Whether a distribution lies within its limits, one check for each limit."""
    for measure, spoken, limit in (("psi", "population stability index", limits.psi),
                                   ("js_divergence", "Jensen-Shannon divergence", limits.js_divergence)):
        if limit is None:
            continue
        what = f"{SPOKEN[name]}: {spoken}"
        if distribution is None:
            yield Check(what, None, None, limit, f"{NOT_JUDGED}: {asked}")
            continue
        value = getattr(distribution, measure)
        detail = f"{what} is {value:.4g}; allowed {limit:g}{_largest(distribution)}"
        if value > limit and distribution.psi <= distribution.psi_by_chance:
            chance = f"by chance alone the index may reach {distribution.psi_by_chance:.4g}"
            yield Check(what, None, value, limit, f"{MAY_BE_CHANCE}: {detail}; {chance}")
        else:
            yield Check(what, value <= limit, value, limit, detail)


def _largest(distribution: Distribution) -> str:
    """The bin that changed most, in words."""
    totals = [max(1, sum(counts)) for counts in (distribution.reference, distribution.new)]
    shares = [(old / totals[0], new / totals[1])
              for old, new in zip(distribution.reference, distribution.new, strict=True)]
    if not shares:
        return ""
    place = max(range(len(shares)), key=lambda place: abs(shares[place][1] - shares[place][0]))
    bin_name = repr(distribution.bins[place]) if distribution.bins[place] != NO_LABEL else "none"
    return f" (most of all {bin_name}, from {shares[place][0]:.1%} to {shares[place][1]:.1%})"


def rise(name: str, ratios: Sequence[Ratio] | None, limit: float | None, confidence: float, missing: str) -> Check:
    """Whether a ratio rises by no more than the limit."""
    return _moved(name, ratios, limit, confidence, missing, 1, "rises")


def fall(name: str, ratios: Sequence[Ratio] | None, limit: float | None, confidence: float, missing: str) -> Check:
    """Whether a ratio falls by no more than the limit."""
    return _moved(name, ratios, limit, confidence, missing, -1, "falls")


def _moved(
    name: str, ratios: Sequence[Ratio] | None, limit: float | None, confidence: float, missing: str, sign: int,
    verb: str
) -> Check:
    """Whether a ratio moves by no more than the limit, up for `sign` 1, down for -1."""
    if ratios is None:
        return Check(name, None, None, limit, f"{NOT_JUDGED}: {missing}")
    old, new = ratios
    change = sign * (new.value - old.value)
    detail = f"{name} {verb} from {old.value:.4f} to {new.value:.4f}"
    if limit is None:
        return Check(name, None, change, limit, f"{NOT_JUDGED}: {detail}")
    detail += f"; allowed is {limit:g}"
    if change <= limit:
        return Check(name, True, change, limit, f"{name} goes from {old.value:.4f} to {new.value:.4f}")
    if change <= _chance(ratios, confidence):
        return Check(name, None, change, limit, f"{MAY_BE_CHANCE}: {detail}")
    return Check(name, False, change, limit, detail)


def _chance(ratios: Iterable[Ratio], confidence: float) -> float:
    """How far apart two ratios of one population are at most, with that probability; infinite where it is not known."""
    errors = [ratio.standard_error for ratio in ratios]
    if None in errors:
        return np.inf
    return float(norm.ppf(confidence) * np.hypot(*errors))
