import dataclasses

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tests.made_predictions import random_predictions
from trainer.windows import Window
from trainer.worst_errors import HIGHEST_SCORES, MOST, log_losses, worst_errors

NAMES = [f"l{k}" for k in range(9)]


def window_of(row):
    return Window(f"c{row}", row, ("text",), ("user",), (1.0,), ())


def found_in(predictions, **kwargs):
    return worst_errors(predictions, lambda rows: [window_of(row) for row in rows], **kwargs)


def test_losses_are_scikit_learns():
    predictions = random_predictions(names=NAMES)
    expected = [log_loss(labels, scores, normalize=False, labels=[False, True]) for labels, scores in
                zip(predictions.labels, predictions.scores.astype(float), strict=True)]
    assert log_losses(predictions.labels, predictions.scores) == pytest.approx(expected, rel=1e-5)


def test_certain_and_wrong_is_a_finite_loss():
    losses = log_losses(np.array([[True, False]]), np.array([[0.0, 1.0]], np.float32))
    assert np.isfinite(losses).all() and losses[0] > 30


def test_the_worst_first_and_only_wrong_ones():
    predictions = random_predictions(names=NAMES)
    errors = found_in(predictions)
    losses = log_losses(predictions.labels, predictions.scores)
    rows = [error.window.turn_index for error in errors]
    wrong = (predictions.predicted != predictions.labels).any(axis=1)
    assert len(rows) == MOST and wrong[rows].all()
    assert [error.loss for error in errors] == sorted((losses[wrong]).tolist(), reverse=True)[:MOST]
    for row, error in zip(rows, errors, strict=True):
        assert error.attention == tuple(predictions.attention[row].tolist())
        assert error.gate == predictions.gate[row]
        assert error.predicted == tuple(np.array(NAMES)[predictions.predicted[row]])
    assert [error.window.turn_index for error in found_in(predictions, most=3)] == rows[:3]


def test_equal_losses_are_by_row():
    predictions = random_predictions(windows=8, names="ab", labels=np.ones((8, 2), bool),
                                     scores=np.full((8, 2), 0.25, np.float32))
    assert [error.window.turn_index for error in found_in(predictions)] == list(range(8))


def test_a_window_that_is_right_though_unsure_is_no_error():
    predictions = random_predictions(windows=1, names="a", labels=np.ones((1, 1), bool),
                                     scores=np.full((1, 1), 0.5, np.float32))
    assert found_in(predictions) == []
    assert len(found_in(dataclasses.replace(predictions, thresholds=np.array([0.75], np.float32)))) == 1


def test_scores_that_are_shown():
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]], np.float32)
    labels = np.zeros((1, 9), bool)
    labels[0, 7] = True
    thresholds = np.full(9, 0.95, np.float32)
    thresholds[6] = 0.25
    error, = found_in(random_predictions(windows=1, names=NAMES, labels=labels, scores=scores, thresholds=thresholds))
    assert error.predicted == ("l6",)
    assert list(error.scores) == ["l0", "l1", "l2", "l3", "l4", "l6", "l7"]
    assert list(error.scores.values()) == sorted(error.scores.values(), reverse=True)
    assert HIGHEST_SCORES == 5
