import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from tests.made_predictions import random_predictions
from trainer.calibration_measures import BINS, bin_gaps, reliability, score_bins


def test_reliability_by_hand():
    # Scores 0.05 and 0.01 lie in the first bin (none true), 0.95 and 1 in the last (one of two true).
    found = reliability(np.array([[False, True], [False, False]]), np.array([[0.05, 0.95], [0.01, 1.0]]))
    assert found.calibration_error == pytest.approx((2 * 0.03 + 2 * (0.975 - 0.5)) / 4)
    assert found.brier_score == pytest.approx((0.05**2 + 0.05**2 + 0.01**2 + 1) / 4)
    first, *between, last = found.bins
    assert (first.low, first.count, first.mean_score, first.share_true) == (0, 2, pytest.approx(0.03), 0)
    assert (last.high, last.count, last.mean_score, last.share_true) == (1, 2, pytest.approx(0.975), 0.5)
    assert {(bin.count, bin.mean_score, bin.share_true) for bin in between} == {(0, None, None)}


def test_bins_are_those_of_scikit_learn():
    predictions = random_predictions()
    found = [bin for bin in reliability(predictions.labels, predictions.scores).bins if bin.count]
    share_true, mean_score = calibration_curve(predictions.labels.ravel(), predictions.scores.ravel(), n_bins=BINS)
    assert [bin.share_true for bin in found] == pytest.approx(share_true)
    assert [bin.mean_score for bin in found] == pytest.approx(mean_score)


def test_gaps_of_the_bins_add_up_to_the_error():
    predictions = random_predictions()
    gaps = bin_gaps(predictions.labels, predictions.scores)
    assert gaps.shape == (200, BINS)
    error = np.abs(gaps.sum(axis=0)).sum() / predictions.labels.size
    assert error == pytest.approx(reliability(predictions.labels, predictions.scores).calibration_error)


def test_scores_at_the_ends_have_a_bin():
    assert score_bins(np.array([0.0, 1.0, 0.5])).tolist() == [0, BINS - 1, BINS // 2]


def test_perfect_scores_are_perfectly_calibrated():
    labels = np.array([[True, False], [False, True]])
    found = reliability(labels, labels.astype(np.float32))
    assert found.calibration_error == found.brier_score == 0
