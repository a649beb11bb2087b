import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from trainer import bootstrap
from trainer.calibration_measures import bin_gaps

IDS = np.array(["b", "a", "a", "c", "b", "b"])


def windows(count=120, conversations=30, labels=5, seed=3):
    """Windows of conversations of uneven sizes; the last label is borne by one conversation, the one before by none."""
    random = np.random.default_rng(seed)
    ids = random.choice([f"c{number}" for number in range(conversations)], count)
    true = random.random((count, labels)) < 0.3
    true[:, -1] = ids == ids[0]
    true[:, -2] = False
    # Few distinct scores, so that many are equal.
    scores = (random.integers(0, 12, (count, labels)) / 12 + true * 0.2).astype(np.float32)
    return ids, true, scores


def test_draws_are_of_whole_conversations_and_seeded():
    conversations, weights = bootstrap.conversation_weights(IDS, replicates=50, seed=1)
    assert conversations.tolist() == [1, 0, 0, 2, 1, 1]
    assert weights.shape == (50, 3) and (weights.sum(axis=1) == 3).all() and weights.std(axis=0).all()
    again = bootstrap.conversation_weights(IDS[::-1], replicates=50, seed=1)[1]
    assert np.array_equal(weights, again)
    assert not np.array_equal(weights, bootstrap.conversation_weights(IDS, replicates=50, seed=2)[1])


def test_sums_by_conversation():
    values = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60]])
    conversations, _ = bootstrap.conversation_weights(IDS, replicates=1)
    assert bootstrap.sums_by_conversation(values, conversations, 3).tolist() == [[5, 50], [12, 120], [4, 40]]
    assert bootstrap.sums_by_conversation(values[:, 0] > 2, conversations, 3).tolist() == [1, 2, 1]


def test_totals_are_the_same_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    weights, sums = random.integers(0, 4, (7, 5)), random.random((5, 2, 3))
    expected = np.einsum("rc,ckj->rkj", weights, sums)
    assert bootstrap.totals(weights, sums) == pytest.approx(expected)
    monkeypatch.setattr(bootstrap, "_BLOCK", 10)
    assert bootstrap.totals(weights, sums) == pytest.approx(expected)


def test_score_replicates_are_scikit_learns_with_sample_weights():
    ids, true, scores = windows()
    predicted = scores >= 0.5
    conversations, weights = bootstrap.conversation_weights(ids, replicates=40)
    counts = bootstrap.counts_by_conversation(true, predicted, conversations, weights.shape[1])
    replicates = bootstrap.score_replicates(counts, weights)
    without = 0
    for row, drawn in enumerate(weights):
        sample_weight = drawn[conversations]
        expected = precision_recall_fscore_support(true, predicted, sample_weight=sample_weight, zero_division=0)
        present = sample_weight @ true > 0
        without += not present[-1]
        for got, wanted in zip(replicates.labels, expected, strict=False):
            assert got[row, present] == pytest.approx(wanted[present])
            assert np.isnan(got[row, ~present]).all()
        for average, values in (("micro", replicates.micro), ("weighted", replicates.weighted)):
            wanted = precision_recall_fscore_support(true, predicted, sample_weight=sample_weight, average=average,
                                                     zero_division=0)
            assert [value[row] for value in values] == pytest.approx(wanted[:3])
        # The label that nothing bears counts as 0; the rare one is left out of replicates that do not draw it.
        wanted = [values[present].sum() / (present.sum() + 1) for values in expected[:3]]
        assert [value[row] for value in replicates.macro] == pytest.approx(wanted)
    assert without


def test_average_precision_replicates_are_scikit_learns_with_sample_weights(monkeypatch):
    ids, true, scores = windows()
    conversations, weights = bootstrap.conversation_weights(ids, replicates=30)
    for block in (bootstrap._BLOCK, 20):
        monkeypatch.setattr(bootstrap, "_BLOCK", block)
        for label in (0, 4):
            got = bootstrap.average_precision_replicates(true[:, label], scores[:, label], conversations, weights)
            for row, drawn in enumerate(weights):
                sample_weight = drawn[conversations]
                if sample_weight @ true[:, label]:
                    assert got[row] == pytest.approx(average_precision_score(
                        true[:, label], scores[:, label], sample_weight=sample_weight))
                else:
                    assert np.isnan(got[row])
    assert np.isnan(bootstrap.average_precision_replicates(true[:, 3], scores[:, 3], conversations, weights)).all()


def test_interval():
    values = np.arange(101.0)
    assert bootstrap.interval(values) == pytest.approx((2.5, 97.5))
    assert bootstrap.interval(np.append(values, np.nan), confidence=0.9) == pytest.approx((5, 95))
    assert bootstrap.interval(np.full(3, np.nan)) is None


def test_interval_of_a_distance_is_mirrored_and_holds_the_figure():
    replicates = np.linspace(3, 5, 101)
    assert bootstrap.interval_of_distance(3.5, replicates) == pytest.approx((7 - 4.95, 7 - 3.05))
    assert bootstrap.interval_of_distance(2.0, replicates) == (0, 2)


def test_interval_of_a_distance_from_the_truth_itself_reaches_0():
    # Scores that are right in the mean: all of the calibration error is chance.
    random = np.random.default_rng(2)
    scores = random.random((600, 3))
    labels = random.random(scores.shape) < scores
    conversations, weights = bootstrap.conversation_weights(np.arange(600).astype(str))
    gaps = bin_gaps(labels, scores)
    replicates = np.abs(bootstrap.totals(weights, gaps)).sum(axis=1)
    figure = np.abs(gaps.sum(axis=0)).sum()
    assert bootstrap.interval_of_distance(figure, replicates)[0] == 0
    assert bootstrap.interval(replicates)[0] > 0.7 * figure


def test_interval_holds_the_truth_about_as_often_as_it_says():
    # Conversations of four windows that are all right or all wrong: intervals over windows would be half as wide.
    random = np.random.default_rng(5)
    held = 0
    for seed in range(100):
        right = np.repeat(random.random(60) < 0.7, 4)
        conversations, weights = bootstrap.conversation_weights(np.repeat(np.arange(60), 4).astype(str), 300, seed)
        shares = bootstrap.totals(weights, bootstrap.sums_by_conversation(right, conversations, 60)) / 240
        low, high = bootstrap.interval(shares)
        held += low <= 0.7 <= high
    assert 88 <= held <= 100


def test_ratio_of_nothing_is_nothing():
    assert bootstrap.ratio(np.array([1, 0, 3]), np.array([2, 0, 0])).tolist() == [0.5, 0, 0]
