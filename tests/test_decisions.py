"""Calibration and thresholds: what is chosen, and what is shrunk."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from schemas.exit_status import UsageError
from trainer.calibration import calibrated, fit_platt, fit_temperature
from trainer.config import load_config
from trainer.decisions import Decision, decide
from trainer.thresholds import Policy, choose_thresholds, parse_policy


def overconfident(count=4000, scale=3.0, shift=0.0, seed=0):
    """Scores whose logits are `scale` times the true ones, off by `shift`; float32 [N, 2] and bool [N, 2]."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, (count, 2))
    truth = random.random((count, 2)) < 1 / (1 + np.exp(-logits))
    return (1 / (1 + np.exp(-(scale * logits + shift)))).astype(np.float32), truth


def test_temperature_finds_the_scale():
    scores, truth = overconfident()
    scale, shift = fit_temperature(scores, truth)
    np.testing.assert_allclose(scale, 1 / 3, rtol=0.06)
    np.testing.assert_array_equal(shift, 0)
    better = calibrated(tf.constant(scores), scale, shift).numpy()
    assert log_loss(truth.ravel(), better.ravel()) < log_loss(truth.ravel(), scores.ravel()) - 0.1


def test_platt_finds_scale_and_shift_of_each_label():
    scores, truth = overconfident(scale=2.0, shift=1.0)
    scale, shift = fit_platt(scores, truth)
    np.testing.assert_allclose(scale, 0.5, atol=0.05)
    np.testing.assert_allclose(shift, -0.5, atol=0.1)


def test_platt_leaves_a_label_without_windows_of_its_own_near_its_scores():
    scores, truth = overconfident(count=3, scale=1.0)
    scale, shift = fit_platt(scores, np.zeros_like(truth))
    assert (scale > 0.2).all() and (shift < 0).all() and (shift > -2).all()


def test_calibration_keeps_the_order_and_the_ends():
    scores = np.array([[0.0, 1e-9, 0.3, 0.5, 0.9, 1.0]], np.float32)
    found = calibrated(tf.constant(scores), np.float32(0.5), np.float32(0.1)).numpy()
    assert np.isfinite(found).all() and (np.diff(found) >= 0).all() and 0 < found.min() < found.max() < 1


@pytest.mark.parametrize(("text", "policy"), [
    ("max_f1", Policy("max_f1", None)), ("precision_at_least:0.9", Policy("precision_at_least", 0.9)),
    ("recall_at_least:1", Policy("recall_at_least", 1.0)), ("fixed:0.25", Policy("fixed", 0.25)),
])
def test_policies(text, policy):
    assert parse_policy(text) == policy


@pytest.mark.parametrize("text", ["best", "max_f1:0.5", "fixed", "fixed:high", "fixed:2", "recall_at_least:nan", ""])
def test_policies_that_are_none(text):
    with pytest.raises(UsageError, match="threshold_policy: .* allowed: max_f1, precision_at_least:P"):
        load_config(None, None, [f"threshold_policy='{text}'"])


def test_max_f1_is_the_best_of_all_thresholds():
    scores, truth = overconfident(count=300)
    _, thresholds = choose_thresholds(parse_policy("max_f1"), scores, truth, 0)
    for k in range(2):
        best = max(f1_score(truth[:, k], scores[:, k] >= threshold) for threshold in scores[:, k])
        assert f1_score(truth[:, k], scores[:, k] >= thresholds[k]) == best


@pytest.mark.parametrize(("policy", "score", "other"), [
    ("precision_at_least:0.9", precision_score, recall_score), ("recall_at_least:0.9", recall_score, precision_score)])
def test_what_is_guaranteed_holds_and_costs_the_least(policy, score, other):
    scores, truth = overconfident(count=300)
    _, thresholds = choose_thresholds(parse_policy(policy), scores, truth, 0)
    for k in range(2):
        said = scores[:, k] >= thresholds[k]
        fitting = [other(truth[:, k], scores[:, k] >= threshold) for threshold in scores[:, k]
                   if score(truth[:, k], scores[:, k] >= threshold) >= 0.9]
        assert score(truth[:, k], said) >= 0.9 and other(truth[:, k], said) == max(fitting)


def test_a_precision_that_none_reaches_gives_the_highest_there_is():
    scores, truth = np.array([[0.9], [0.6], [0.3]], np.float32), np.array([[False], [True], [False]])
    _, [threshold] = choose_thresholds(parse_policy("precision_at_least:0.9"), scores, truth, 0)
    assert 0.3 < threshold <= 0.6


def test_rare_labels_are_drawn_to_the_common_threshold():
    """Half way, in logits, where a label has as many positives as the shrinkage says."""
    random = np.random.default_rng(0)
    truth = np.zeros((5000, 2), bool)
    truth[:2000, 0] = True
    truth[:10, 1] = True
    scores = np.where(truth, random.uniform(0.4, 1, truth.shape), random.uniform(0, 0.4, truth.shape))
    scores[:, 1] = np.where(truth[:, 1], 0.95, 0.85)
    policy = parse_policy("max_f1")
    own = choose_thresholds(policy, scores, truth, 0)[1][1]
    common, thresholds = choose_thresholds(policy, scores, truth, 10)
    logit = (np.log(own / (1 - own)) + np.log(common / (1 - common))) / 2
    assert 0.85 < own < 0.95 and thresholds[1] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-3)


def test_a_label_that_no_window_bears_gets_the_common_threshold():
    scores, truth = overconfident(count=200)
    truth[:, 1] = False
    common, thresholds = choose_thresholds(parse_policy("max_f1"), scores, truth, 5)
    assert thresholds[1] == np.float32(common)


@pytest.mark.parametrize("rows", [0, 50])
def test_nothing_to_learn_from(rows):
    config = load_config("default")
    found = decide(["a", "b"], np.full((rows, 2), 0.3, np.float32), np.zeros((rows, 2), bool), config)
    assert (found.calibration, found.thresholds.tolist(), found.common_threshold) == ("none", [0.5, 0.5], 0.5)


def test_a_decision_is_read_as_it_was_written():
    scores, truth = overconfident(count=200)
    found = decide(["<b>", "预订"], scores, truth, load_config("default", None, ["calibration=platt"]))
    read = Decision.from_json(found.to_json())
    for name in ("labels", "policy", "shrinkage", "calibration", "windows", "common_threshold"):
        assert getattr(read, name) == getattr(found, name)
    for name in ("supports", "scale", "shift", "thresholds"):
        np.testing.assert_array_equal(getattr(read, name), getattr(found, name))
    assert read.thresholds.dtype == np.float32
