"""`trainer bless`: the policy file, each check by itself, wrong usage. Trained models are in test_harmed_models."""

import dataclasses
import math

import numpy as np
import pytest

from schemas.exit_status import DATA_REFUSED, USAGE, UsageError
from tests.data_directories import make_windows, write_data_directory
from tests.made_predictions import random_predictions
from trainer import blessing
from trainer.__main__ import main
from trainer.blessing import Check
from trainer.blessing_policy import AllowedDrops, Floors, Policy, read_policy
from trainer.verdict import Verdict


def policy_of(tmp_path, text):
    """Reads a policy file of this text."""
    file = tmp_path / "policy.yaml"
    file.write_text(text, "utf-8")
    return read_policy(file)


def test_an_empty_policy_has_defaults(tmp_path):
    expected = Policy(Floors(None, None, None, {}), AllowedDrops(0.01, 0.02, None, 0.05), min_support=20,
                      confidence=0.95, significant_label_drops_only=True, retired_labels=(), signature_tolerance=1e-4)
    assert policy_of(tmp_path, "") == policy_of(tmp_path, "floors:\n# none\n") == expected


def test_a_whole_policy(tmp_path):
    assert policy_of(tmp_path, """
        floors: {micro_f1: 0.8, macro_f1: 0.5, exact_match: 0.4, labels: {"no": 0.3, 取消: 1}}
        allowed_drops: {micro_f1: 0, macro_f1: null, exact_match: 0.1, label_f1: 0.2}
        min_support: 7
        confidence: 0.9
        significant_label_drops_only: false
        retired_labels: [old]
        signature_tolerance: 1e-3
    """) == Policy(Floors(0.8, 0.5, 0.4, {"no": 0.3, "取消": 1.0}), AllowedDrops(0.0, None, 0.1, 0.2), 7, 0.9, False,
                   ("old",), 1e-3)


@pytest.mark.parametrize(("text", "message"), [
    ("floor: {}", "unknown key floor; known: floors, allowed_drops, min_support, confidence,"),
    ("floors: {f1: 1}", "unknown key floors.f1; known: micro_f1, macro_f1, exact_match, labels"),
    ("floors: {micro_f1: 1.1}", r"floors.micro_f1: 1.1 is not allowed; allowed: a number from 0 to 1"),
    ("floors: {micro_f1: .nan}", "floors.micro_f1: nan is not allowed"),
    ("floors: {micro_f1: true}", "floors.micro_f1: True is not allowed"),
    ("floors: {labels: {a: high}}", "floors.labels: .* is not allowed; allowed: a number from 0 to 1"),
    ("floors: {labels: {no: 0.5}}", "floors.labels: {False: 0.5} is not allowed; .*quote names"),
    ("floors: 0.5", "floors: expected a mapping, got 0.5"),
    ("allowed_drops: {label_f1: -0.1}", "allowed_drops.label_f1: -0.1 is not allowed"),
    ("min_support: 0", "min_support: 0 is not allowed; allowed: a whole number of at least 1"),
    ("min_support: 2.5", "min_support: 2.5 is not allowed"),
    ("confidence: 1", "confidence: 1 is not allowed; allowed: a number from 0.5 to 0.999"),
    ("significant_label_drops_only: 1", "significant_label_drops_only: 1 is not allowed; allowed: true or false"),
    ("retired_labels: old", "retired_labels: 'old' is not allowed; allowed: a list of label names"),
    ("signature_tolerance: x", "signature_tolerance: 'x' is not allowed"),
    ("- floors", r"yaml: expected a mapping, got \['floors'\]"),
    ("floors: {micro_f1: 0.1, micro_f1: 0.9}", "'micro_f1' is there twice"),
    ("min_support: 1\nmin_support: 2", "'min_support' is there twice"),
    ("floors: {", "not valid YAML"),
    ("min_support: 2020-99-99", "not valid YAML"), ("floors: &floors {labels: *floors}", "not valid YAML"),
])
def test_a_wrong_policy(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as raised:
        policy_of(tmp_path, text)
    assert str(raised.value).startswith(f"--policy {tmp_path / 'policy.yaml'}: ")


def test_a_policy_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        read_policy(tmp_path / "policy.yaml")


def worse(predictions, column, share):
    """The predictions with so many decisions of one label turned round."""
    scores = predictions.scores.copy()
    rows = np.random.default_rng(3).random(len(scores)) < share
    scores[rows, column] = 1 - scores[rows, column]
    return dataclasses.replace(predictions, scores=scores)


def outcomes(checks):
    """{name: passed} of checks."""
    return {check.name: check.passed for check in checks}


def test_a_model_against_itself():
    model = random_predictions()
    checks = list(blessing.drops(model, model, Policy(min_support=1)))
    assert outcomes(checks) == {
        "micro F1: drop": True, "macro F1: drop": True, **{f"F1 of label {name!r}: drop": True for name in "abcd"}}
    assert {check.value for check in checks} == {0.0}


def test_a_drop_beyond_what_is_allowed():
    baseline = random_predictions(windows=600)
    checks = list(blessing.drops(worse(baseline, 1, 0.5), baseline, Policy()))
    assert outcomes(checks) == {
        "micro F1: drop": False, "macro F1: drop": False, "F1 of label 'a': drop": True, "F1 of label 'b': drop": False,
        "F1 of label 'c': drop": True, "F1 of label 'd': drop": True}
    reason = checks[3].detail
    assert reason.startswith("F1 of label 'b' drops from 0.")
    assert f"by -{checks[3].value:.4f}; allowed is a drop of 0.05 (95 % interval -0." in reason
    assert reason.endswith(f"; {baseline.labels[:, 1].sum()} windows)")
    allowed = Policy(allowed_drops=AllowedDrops(micro_f1=None, macro_f1=None, exact_match=0.0, label_f1=None))
    assert outcomes(blessing.drops(worse(baseline, 1, 0.5), baseline, allowed)) == {"exact match: drop": False}
    better = list(blessing.drops(baseline, worse(baseline, 1, 0.5), Policy()))
    assert set(outcomes(better).values()) == {True} and better[0].value < 0


def test_a_labels_drop_that_may_be_chance():
    baseline = random_predictions(windows=60, conversations=20)
    candidate = worse(baseline, 1, 0.1)
    name, policy = "F1 of label 'b': drop", Policy(min_support=5, allowed_drops=AllowedDrops(label_f1=0.001))
    [check] = [check for check in blessing.drops(candidate, baseline, policy) if check.name == name]
    assert check.passed is None and check.value > 0.001 and check.detail.startswith("may be chance: F1 of label 'b'")
    strict = dataclasses.replace(policy, significant_label_drops_only=False)
    assert outcomes(blessing.drops(candidate, baseline, strict))[name] is False


def test_drops_exactly_as_allowed_are_allowed():
    baseline = random_predictions()
    candidate = worse(baseline, 0, 0.3)
    found = next(blessing.drops(candidate, baseline, Policy())).value
    for limit, passed in ((found, True), (found - 1e-6, False)):
        policy = Policy(allowed_drops=AllowedDrops(micro_f1=limit))
        assert next(blessing.drops(candidate, baseline, policy)).passed is passed


def test_rare_labels_are_not_judged_by_themselves():
    baseline = random_predictions()
    support = int(baseline.labels[:, 3].sum())
    policy = Policy(Floors(labels={"d": 1.0, "a": 0.1}), min_support=support + 1)
    candidate = worse(baseline, 3, 1.0)
    [floor, other] = blessing.floors(candidate, policy)
    [drop] = [check for check in blessing.drops(candidate, baseline, policy) if "'d'" in check.name]
    for check in (floor, drop):
        assert check.passed is None
        assert check.detail == f"too rare to judge: {support} windows, at least {support + 1} wanted"
    assert other.passed
    assert drop.value > 0.2


def test_floors():
    model = random_predictions()
    f1 = {check.name: check.value for check in blessing.floors(
        model, Policy(Floors(0.0, 0.0, 0.0, dict.fromkeys("abcd", 0.0)), min_support=1))}
    assert list(f1) == ["micro F1: floor", "macro F1: floor", "exact match: floor",
                        *(f"F1 of label {name!r}: floor" for name in "abcd")]
    policy = Policy(Floors(micro_f1=f1["micro F1: floor"], macro_f1=0.999, labels={"a": 0.999, "new": 0.1}))
    checks = list(blessing.floors(model, policy))
    assert [check.passed for check in checks] == [True, False, False, False]
    assert checks[1].detail == f"macro F1 is {f1['macro F1: floor']:.4f}; the floor is 0.999"
    assert "label 'new', which the data do not have" in checks[3].detail
    assert list(blessing.floors(model, Policy())) == []


def test_labels_that_the_candidate_lacks():
    model = random_predictions()
    without = dataclasses.replace(model, missing_labels=["b"])
    other = dataclasses.replace(model, extra_labels=["old"])
    assert blessing.knows_labels(model, model, ()).passed and blessing.knows_labels(model, None, ()).passed
    found = blessing.knows_labels(without, other, ())
    assert (found.passed, found.detail) == (False, "the candidate lacks 2 labels: 'b', 'old'")
    assert blessing.knows_labels(without, other, ("b", "old")).passed
    assert blessing.knows_labels(without, None, ()).detail == "the candidate lacks 1 label: 'b'"
    assert blessing.knows_labels(other, model, ()).passed
    # Drops are over what both know.
    checks = outcomes(blessing.drops(without, model, Policy(min_support=1)))
    assert "F1 of label 'b': drop" not in checks and set(checks.values()) == {True}
    nothing = dataclasses.replace(model, missing_labels=list("abcd"))
    assert [check.passed for check in blessing.drops(nothing, model, Policy())] == [None]


@pytest.mark.parametrize("name", ["scores", "raw_scores", "attention", "gate"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_finite_number(name, value):
    model = random_predictions()
    assert blessing.answers("candidate", model).passed
    getattr(model, name)[3] = value
    check = blessing.answers("candidate", random_predictions(), model)
    where = f"first in conversation {str(model.conversation_ids[3])!r}, turn {model.turn_indices[3]}"
    assert check.passed is False
    assert check.detail == f"the candidate's {name.replace('_', ' ')} of 1 of 200 windows hold NaN or infinity, {where}"


def test_a_signature_that_says_something_else():
    served = random_predictions()
    evaluated = dataclasses.replace(served, scores=served.scores.copy())
    evaluated.scores[7, 2] += 0.01
    assert blessing.same_both_ways(served, served, 0.0).passed
    assert blessing.same_both_ways(evaluated, served, 0.011).passed
    check = blessing.same_both_ways(evaluated, served, 0.009)
    assert check.passed is False and check.value == pytest.approx(0.01, rel=1e-4)
    assert f"label 'c' in conversation {str(served.conversation_ids[7])!r}" in check.detail
    assert blessing.same_both_ways(None, served, 0.1).passed is None


def test_the_verdict():
    passed, failed, unjudged = (Check("name", judged, None, None, str(judged)) for judged in (True, False, None))
    assert Verdict.of([passed, unjudged]) == Verdict(True, [], [passed, unjudged])
    assert Verdict.of([passed, failed, failed]) == Verdict(False, ["False", "False"], [passed, failed, failed])


@pytest.fixture
def command(tmp_path):
    """A data directory without test windows, a policy, an earlier verdict and the command for them."""
    write_data_directory(tmp_path / "data", {"train": make_windows(2, 1), "validation": [], "test": []})
    (tmp_path / "model").mkdir()
    (tmp_path / "policy.yaml").write_text("")
    (tmp_path / "blessing.json").write_text('{"blessed": true}')
    return {name: str(tmp_path / path) for name, path in {
        "--candidate": "model", "--data_dir": "data", "--policy": "policy.yaml", "--output": "blessing.json"}.items()}


@pytest.mark.parametrize(("flag", "value", "status"), [
    ("--candidate", "missing", USAGE), ("--baseline", "missing", USAGE), ("--data_dir", "missing", USAGE),
    ("--policy", "missing", USAGE), ("--split", "test", DATA_REFUSED)])
def test_nothing_is_judged_and_no_earlier_verdict_stays(command, tmp_path, capsys, flag, value, status):
    command[flag] = value if flag == "--split" else str(tmp_path / value)
    assert main(["bless", *(part for pair in command.items() for part in pair)]) == status
    assert capsys.readouterr().err.startswith("error: ")
    assert '"blessed": true' not in "".join(path.read_text() for path in tmp_path.glob("blessing.json"))


def test_an_output_that_is_a_directory(command, tmp_path):
    command["--output"] = str(tmp_path)
    assert main(["bless", *(part for pair in command.items() for part in pair)]) == USAGE
