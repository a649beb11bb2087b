"""The counts behind the figures shown while training."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from trainer.training_metrics import MacroF1, MicroScores

# Window by window: hit, false alarm; miss, hit (0.5 counts as said).
LABELS = np.array([[1, 0], [1, 1]], np.float32)
SCORES = np.array([[0.9, 0.7], [0.49, 0.5]], np.float32)
# TP = 2, FP = 1, FN = 1.
EXPECTED = {"precision": 2 / 3, "recall": 2 / 3, "micro_f1": 2 / 3, "precision_smoothed": 2 / 3.1,
            "recall_smoothed": 2 / 3.1}


def figures(metric):
    return {name: float(value) for name, value in metric.result().items()}


def test_golden_figures():
    metric = MicroScores()
    metric.update_state(LABELS, SCORES)
    assert figures(metric) == pytest.approx(EXPECTED)


def test_counts_add_up_over_batches_and_start_again():
    metric = MicroScores()
    metric.update_state(LABELS[:1], SCORES[:1])
    metric.update_state(LABELS[1:], SCORES[1:])
    assert figures(metric) == pytest.approx(EXPECTED)
    metric.reset_state()
    assert figures(metric) == dict.fromkeys(EXPECTED, 0.0)


def test_smoothing_alone_divides_when_nothing_is_said():
    metric = MicroScores(threshold=0.95)
    metric.update_state(LABELS, SCORES)
    assert figures(metric) == dict.fromkeys(EXPECTED, 0.0)
    assert MicroScores.from_config(metric.get_config()).threshold == 0.95


def test_unequal_precision_and_recall():
    metric = MicroScores()
    # TP = 1, FP = 2, FN = 0.
    metric.update_state(np.array([[1, 0, 0]], np.float32), np.array([[1, 1, 1]], np.float32))
    assert figures(metric) == pytest.approx({"precision": 1 / 3, "recall": 1.0, "micro_f1": 0.5,
                                             "precision_smoothed": 1 / 3.1, "recall_smoothed": 1 / 1.1})


def test_works_in_a_graph():
    metric = MicroScores()
    tf.function(metric.update_state)(tf.constant(LABELS), tf.constant(SCORES))
    assert figures(metric) == pytest.approx(EXPECTED)


def test_macro_f1_is_scikit_learns_over_all_batches():
    """One label that nobody says or bears counts as 0; scores at the threshold count as said."""
    random = np.random.default_rng(3)
    labels = (random.random((50, 6)) < [0.5, 0.3, 0.1, 0.05, 0.9, 0]).astype(np.float32)
    scores = np.round(random.random((50, 6)) * [1, 1, 1, 1, 1, 0.2], 1).astype(np.float32)
    metric = MacroF1(6)
    update = tf.function(metric.update_state)
    for start in (0, 20, 40):
        update(tf.constant(labels[start:start + 20]), tf.constant(scores[start:start + 20]))
    expected = f1_score(labels, scores >= 0.5, average="macro", zero_division=0)
    assert 0 < expected < 1
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_macro_f1_by_hand():
    # Label 0: TP = 1, FN = 1: 2/3. Label 1: TP = 1, FP = 1: 2/3, and at threshold 0.6: FP = 1, FN = 1: 0.
    metric = MacroF1(2)
    metric.update_state(LABELS, SCORES)
    assert float(metric.result()) == pytest.approx(2 / 3)
    metric = MacroF1.from_config(MacroF1(2, threshold=0.6).get_config())
    metric.update_state(LABELS, SCORES)
    assert float(metric.result()) == pytest.approx(1 / 3)
