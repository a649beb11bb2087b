"""Drift: what of new data is not as it was in the reference, and whether that refuses it."""

import dataclasses
import pathlib

from trainer import drift_model
from trainer.blessing import Check
from trainer.divergence import Ratio
from trainer.drift_checks import fall, new_labels, rise, volume, within
from trainer.drift_distributions import (
    SPOKEN,
    Distribution,
    LabelShare,
    answer_distributions,
    distributions,
    label_shares,
)
from trainer.drift_facts import Facts, read_facts, read_label_map, renamed
from trainer.drift_model import Answers
from trainer.drift_thresholds import Thresholds


@dataclasses.dataclass(frozen=True)
class Drift:
    """Everything that was compared.

    Attributes:
        conversations: of the reference and of the new data.
        targets: labelled turns of both, likewise.
        distributions: by quantity.
        labels: of both, the largest index first.
        out_of_vocabulary: share of unknown tokens under the reference's vocabulary, of both; None where no windows are
            held out.
        agreement: micro F1 of the model against the labels, of both; None where the model was not asked.
        checks: what was judged.
        refused: whether a check failed.
        reasons: the failed checks in words.
    """

    conversations: tuple[int, int]
    targets: tuple[int, int]
    distributions: list[Distribution]
    labels: list[LabelShare]
    out_of_vocabulary: tuple[Ratio, Ratio] | None
    agreement: tuple[Ratio, Ratio] | None
    checks: list[Check]
    refused: bool
    reasons: list[str]


def measure_drift(
    data_dir: str | pathlib.Path, reference_dir: str | pathlib.Path, model_dir: str | pathlib.Path | None,
    thresholds: Thresholds
) -> Drift:
    """Compares a new data directory with a reference, such as that of the last blessed model.

    Labels of the reference are renamed, merged and dropped by the new data's label map first.

    Args:
        data_dir: the new data.
        reference_dir: what it is compared with.
        model_dir: the model that is asked what it says of both; None for none.
        thresholds: what refuses the new data.

    Raises:
        UsageError: when a directory is missing, not completed or damaged.
        DataRefused: when a shard is damaged.
    """
    new = read_facts(data_dir)
    reference = renamed(read_facts(reference_dir), read_label_map(data_dir))
    asked = "no model was named" if model_dir is None else drift_model.ask(model_dir, reference_dir, data_dir)
    rates = tuple(drift_model.out_of_vocabulary(directory, reference_dir) for directory in (reference_dir, data_dir))
    return drift_of(reference, new, rates, asked, thresholds)


def drift_of(
    reference: Facts, new: Facts, rates: tuple[Ratio | None, Ratio | None], asked: tuple[Answers, Answers] | str,
    thresholds: Thresholds
) -> Drift:
    """The drift of what was counted.

    Args:
        reference: facts of the reference, its labels named as in the new data.
        new: facts of the new data.
        rates: shares of unknown tokens of both, None where no windows are held out.
        asked: the model's answers on both, or why there are none.
        thresholds: what refuses the new data.
    """
    sizes, answers = (reference.conversations, new.conversations), None if isinstance(asked, str) else asked
    compared = distributions(reference, new, thresholds.confidence)
    if answers:
        compared += answer_distributions(answers, thresholds.confidence)
    agreement = tuple(one.micro_f1 for one in answers) if answers else None
    held_out = None if None in rates else rates
    measured = {distribution.name: distribution for distribution in compared}
    checks = [
        *volume(sizes, thresholds),
        new_labels(reference, new, thresholds),
        *(check for name in SPOKEN for check in
          within(name, measured.get(name), getattr(thresholds, name), asked)),
        rise("out-of-vocabulary rate", held_out, thresholds.out_of_vocabulary_increase, thresholds.confidence,
              "one of the data directories has no held-out windows"),
        fall("agreement with the model", agreement, thresholds.agreement_drop, thresholds.confidence, str(asked)),
    ]
    reasons = [check.detail for check in checks if check.passed is False]
    return Drift(sizes, (reference.targets, new.targets), compared, label_shares(reference, new), held_out,
                 agreement, checks, bool(reasons), reasons)
