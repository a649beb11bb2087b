"""Asks a candidate and a baseline for their scores, and gathers the checks of what they say."""

import dataclasses
import hashlib
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from schemas import data_directory, model_directory
from schemas.exit_status import DataRefused
from trainer.blessing import Check, answers, drops, failure, floors, knows_labels, same_both_ways
from trainer.blessing_policy import Policy
from trainer.input_pipeline import verify_shards, window_count
from trainer.predictions import Predictions, fits, predict, predict_by_signature

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is judged, and by what, as the user named it.

    Attributes:
        candidate: the new model.
        baseline: the model in use; None for none.
        data: the data directory.
        split: of the data directory.
    """

    candidate: str
    baseline: str | None
    data: str
    split: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of the candidate.

    Attributes:
        blessed: whether no check failed.
        reasons: the failed checks in words.
        checks: all that was looked at.
    """

    blessed: bool
    reasons: list[str]
    checks: list[Check]

    @classmethod
    def of(cls, checks: Iterable[Check]) -> "Verdict":
        """The verdict that follows from the checks."""
        checks = list(checks)
        reasons = [check.detail for check in checks if check.passed is False]
        return cls(not reasons, reasons, checks)


def judge(subject: Subject, policy: Policy) -> Verdict:
    """The verdict on a candidate.

    Both models are judged by what their SavedModels say of raw texts, which is what their clients get.

    Raises:
        UsageError: when the data directory is missing, damaged or not completed.
        DataRefused: when the split has no windows or no labels, or a shard is damaged.
    """
    # What is wrong with the data is not the candidate's fault.
    manifest = data_directory.read_manifest(subject.data)
    if not window_count(manifest, subject.split):
        raise DataRefused(f"{subject.data} has no windows in its {subject.split} split")
    if not data_directory.read_labels(subject.data):
        raise DataRefused(f"{subject.data} has no labels to judge by")
    verify_shards(subject.data, manifest)
    return Verdict.of(_checks(subject, policy))


def describe(subject: Subject, policy: Policy) -> dict[str, Any]:
    """What a verdict is about, as JSON values.

    Raises:
        UsageError: when the data directory is missing, damaged or not completed.
    """
    manifest = data_directory.read_manifest(subject.data)
    return {
        "schema_version": SCHEMA_VERSION,
        "candidate": _describe_model(subject.candidate),
        "baseline": None if subject.baseline is None else _describe_model(subject.baseline),
        "data": {
            "path": subject.data, "split": subject.split, "windows": window_count(manifest, subject.split),
            "manifest_sha256": data_directory.sha256_of(pathlib.Path(subject.data) / data_directory.MANIFEST),
        },
        "policy": dataclasses.asdict(policy),
        "versions": {"python": sys.version.split()[0], "tensorflow": tf.__version__, "keras": keras.__version__},
    }


def _checks(subject: Subject, policy: Policy) -> Iterator[Check]:
    """All checks in their order; they end where what follows could not be judged."""
    try:
        served = predict_by_signature(subject.candidate, subject.data, subject.split)
        evaluated = _evaluated(subject)
    except Exception as error:  # Whatever it is, such a model is not fit for use.
        yield failure("candidate", error)
        return
    answered = answers("candidate", *(predictions for predictions in (served, evaluated) if predictions))
    yield answered
    if not answered.passed:
        return
    yield same_both_ways(evaluated, served, policy.signature_tolerance)
    baseline = None
    if subject.baseline is not None:
        baseline, answered = _ask_baseline(subject)
        yield answered
    yield knows_labels(served, baseline, policy.retired_labels)
    yield from floors(served, policy)
    if baseline is not None:
        yield from drops(served, baseline, policy)


def _ask_baseline(subject: Subject) -> tuple[Predictions | None, Check]:
    """What the baseline says, None where that is nothing to judge by."""
    try:
        baseline = predict_by_signature(subject.baseline, subject.data, subject.split)
    except Exception as error:  # Without a baseline there is nothing to bless by, whoever is to blame.
        return None, failure("baseline", error)
    answered = answers("baseline", baseline)
    return (baseline if answered.passed else None), answered


def _evaluated(subject: Subject) -> Predictions | None:
    """What the candidate's network says of the token ids in the shards; None where it was trained on other ones."""
    if not fits(subject.candidate, subject.data, data_directory.read_manifest(subject.data)):
        return None
    return predict(subject.candidate, subject.data, subject.split)


def _describe_model(path: str) -> dict[str, str | None]:
    """A model's path, and a sha256 over the names and contents of its SavedModel's files; None where it has none."""
    saved = pathlib.Path(path)
    if not (saved / model_directory.SAVED_MODEL_FILE).is_file():
        saved /= model_directory.SAVED_MODEL
    files = sorted(file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file())
    lines = [f"{data_directory.sha256_of(saved / file)}  {file}\n" for file in files]
    return {"path": path, "sha256": hashlib.sha256("".join(lines).encode()).hexdigest() if files else None}
