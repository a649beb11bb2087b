import dataclasses

import numpy as np
import pytest
from sklearn.metrics import classification_report

from schemas.exit_status import DataRefused, TurnwiseError
from trainer.evaluation import evaluate_predictions, predicted_labels
from trainer.memory import attention_by_slot, gate_distribution
from trainer.predictions import Predictions
from trainer.related_history import related_to_history

# Four windows, labels A, B, C; above 0.5 the model says
#   window 1: true A    said A       right
#   window 2: true A B  said B       A missed
#   window 3: true -    said A C     both wrong
#   window 4: true B    said B       right
# so A has TP 1, FP 1, FN 1; B has TP 2; C has FP 1 and no support.
TRUE = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=bool)
SCORES = np.array([[0.9, 0.2, 0.1], [0.4, 0.8, 0.1], [0.6, 0.1, 0.7], [0.3, 0.6, 0.2]], dtype=np.float32)
# Two history slots; windows 1 and 4 have no history.
LENGTHS = np.array([[3, 0, 0], [3, 2, 0], [3, 2, 1], [3, 0, 0]])
ATTENTION = np.array([[0.5, 0.5], [1, 0], [0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
GATE = np.array([0.97, 0.07, 0.92, 1.0], dtype=np.float32)
HALF = np.full(3, 0.5)


def predictions_of(true=TRUE, scores=SCORES, names=("A", "B", "C"), **changes):
    windows = len(true)
    predictions = Predictions(
        label_names=list(names), labels=true, scores=scores, attention=ATTENTION[:windows], gate=GATE[:windows],
        turn_lengths=LENGTHS[:windows], turn_keys=LENGTHS[:windows] * 7,
        conversation_ids=np.array(["c1", "c1", "c1", "c2"])[:windows], turn_indices=np.array([0, 1, 2, 0])[:windows])
    return dataclasses.replace(predictions, **changes)


def random_predictions(windows, names, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 3, (windows, 6))
    return Predictions(
        label_names=names, labels=random.random((windows, len(names))) < 0.3,
        scores=random.random((windows, len(names)), dtype=np.float32),
        attention=random.dirichlet(np.ones(5), windows).astype(np.float32),
        gate=random.random(windows, dtype=np.float32), turn_lengths=lengths, turn_keys=lengths,
        conversation_ids=np.arange(windows).astype(str), turn_indices=np.zeros(windows, np.int64))


def test_counts():
    evaluation = evaluate_predictions(predictions_of(), HALF)
    assert (evaluation.windows, evaluation.conversations) == (4, 2)
    assert [(label.label, label.support, label.predicted) for label in evaluation.per_label] == [
        ("A", 2, 2), ("B", 2, 2), ("C", 0, 1)]
    assert evaluation.labels_without_support == ["C"]
    assert evaluation.labels_per_turn.true == [1, 2, 1]
    assert evaluation.labels_per_turn.predicted == [0, 3, 1]


def test_precision_recall_f1():
    evaluation = evaluate_predictions(predictions_of(), HALF)
    # Micro: TP 3, FP 2, FN 1: precision 3/5, recall 3/4, F1 2·3/(2·3 + 2 + 1) = 2/3.
    assert dataclasses.astuple(evaluation.micro) == pytest.approx((0.6, 0.75, 2 / 3))
    # Macro: A 0.5, B 1, C 0 in all three. Weighted: A and B alone have support, 2 each.
    assert dataclasses.astuple(evaluation.macro) == pytest.approx((0.5, 0.5, 0.5))
    assert dataclasses.astuple(evaluation.weighted) == pytest.approx((0.75, 0.75, 0.75))
    assert [(label.precision, label.recall, label.f1) for label in evaluation.per_label] == [
        (0.5, 0.5, 0.5), (1, 1, 1), (0, 0, 0)]


def test_smoothing_of_the_weekly_report():
    evaluation = evaluate_predictions(predictions_of(), HALF)
    # TP / (TP + FP + 0.1) and TP / (TP + FN + 0.1).
    assert dataclasses.astuple(evaluation.smoothed_micro) == pytest.approx((3 / 5.1, 3 / 4.1))
    assert [dataclasses.astuple(label.smoothed) for label in evaluation.per_label] == [
        pytest.approx((1 / 2.1, 1 / 2.1)), pytest.approx((2 / 2.1, 2 / 2.1)), (0, 0)]


def test_whole_windows_and_single_decisions():
    evaluation = evaluate_predictions(predictions_of(), HALF)
    assert evaluation.exact_match == 0.5  # windows 1 and 4
    assert evaluation.hamming_loss == 0.25  # 3 of 12 decisions: A missed, A and C wrong
    assert evaluation.binary_accuracy == 0.75


def test_average_precision():
    evaluation = evaluate_predictions(predictions_of(), HALF)
    # A, by falling score: right, wrong, right, wrong: 1/2 · 1 + 1/2 · 2/3. B: both right ones first. C: no right one.
    assert [label.average_precision for label in evaluation.per_label] == [pytest.approx(5 / 6), 1, None]
    assert evaluation.average_precision_macro == pytest.approx((5 / 6 + 1) / 2)
    # All together: 0.9 right, 0.8 right, 0.7 wrong, 0.6 one right and one wrong, 0.4 right:
    # 1/4 · (1 + 1 + 3/5 + 4/6).
    assert evaluation.average_precision_micro == pytest.approx((1 + 1 + 3 / 5 + 4 / 6) / 4)


def test_attention_by_slot():
    attention = attention_by_slot(ATTENTION, LENGTHS)
    assert attention.mean == pytest.approx([2.25 / 4, 1.75 / 4])
    assert attention.windows_filled == [2, 1]
    assert attention.mean_filled == pytest.approx([1.25 / 2, 0.75])
    assert attention.windows_without_history == 2
    assert attention.mean_without_history == [0.5, 0.5]
    assert attention.uniform == 0.5
    assert attention.max_deviation_without_history == 0


def test_attention_on_empty_history():
    lengths = np.array([[4, 0, 0, 0, 0, 0]] * 2)
    even = attention_by_slot(np.full((2, 5), 0.2, np.float32), lengths)
    assert even.mean_filled == [None] * 5
    assert even.mean_without_history == pytest.approx([0.2] * 5)
    assert even.max_deviation_without_history == pytest.approx(0, abs=1e-7)
    uneven = attention_by_slot(np.array([[0.2] * 5, [0.3, 0.2, 0.2, 0.2, 0.1]], np.float32), lengths)
    assert uneven.max_deviation_without_history == pytest.approx(0.1)


def test_attention_where_every_window_has_history():
    attention = attention_by_slot(ATTENTION[1:3], LENGTHS[1:3])
    assert attention.windows_without_history == 0
    assert attention.mean_without_history == [None, None]
    assert attention.max_deviation_without_history is None


def test_gate():
    gate = gate_distribution(GATE, LENGTHS, np.array([True, True, False, True]))
    assert len(gate.bin_edges) == 21
    # 0.07 is in [0.05, 0.1), 0.92 in [0.9, 0.95), 0.97 and 1 in [0.95, 1].
    assert [n for n, count in enumerate(gate.counts) for _ in range(count)] == [1, 18, 19, 19]
    assert gate.mean == pytest.approx(0.74)
    assert gate.share_wide_open == 0.75
    assert gate.mean_with_history == pytest.approx((0.07 + 0.92) / 2)
    assert gate.mean_without_history == pytest.approx((0.97 + 1) / 2)
    # Of the two with history, the related one has the narrower gate.
    assert (gate.mean_related, gate.mean_unrelated) == (pytest.approx(0.07), pytest.approx(0.92))
    assert gate.related_auc == 0
    assert gate_distribution(GATE, LENGTHS, np.array([False, False, True, False])).related_auc == 1
    assert gate_distribution(GATE, LENGTHS, np.ones(4, bool)).related_auc is None


def test_gate_a_little_over_one_is_counted():
    assert sum(gate_distribution(np.array([1.0000001, 1], np.float32), LENGTHS[:2], np.ones(2, bool)).counts) == 2


def test_history_is_related_by_labels_or_a_short_turn():
    # One conversation of turns with the keys 1 to 6, the odd ones targets; then another with the same turns.
    keys = np.array([[1, 0, 0, 0], [3, 2, 1, 0], [5, 4, 3, 2], [7, 6, 5, 4], [1, 0, 0, 0], [9, 8, 1, 0]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)
    lengths = np.where(keys > 0, 9, 0)
    windows = dataclasses.replace(
        predictions_of(), labels=labels, turn_keys=keys, turn_lengths=lengths,
        turn_indices=np.array([0, 2, 4, 6, 0, 2]), conversation_ids=np.array(["a", "a", "a", "a", "b", "b"]))
    # The third shares a label with a turn that its history no longer holds; the fourth with one out of sight.
    assert related_to_history(windows).tolist() == [False, False, False, False, False, False]
    wider = dataclasses.replace(windows, turn_keys=np.array([[1, 0, 0, 0, 0], [3, 2, 1, 0, 0], [5, 4, 3, 2, 1],
                                                             [7, 6, 5, 4, 3], [1, 0, 0, 0, 0], [9, 8, 1, 0, 0]]))
    assert related_to_history(wider).tolist() == [False, False, True, True, False, False]
    short = dataclasses.replace(windows, turn_lengths=np.where(keys == 9, 4, lengths))
    assert related_to_history(short).tolist() == [False, False, False, False, False, True]


def test_agrees_with_scikit_learns_report():
    names = ["a", "b", "c", "d"]
    predictions = random_predictions(200, names)
    thresholds = np.array([0.2, 0.4, 0.6, 0.8])
    evaluation = evaluate_predictions(predictions, thresholds)
    expected = classification_report(predictions.labels, predictions.scores >= thresholds, target_names=names,
                                     output_dict=True, zero_division=0)
    got = {label.label: label for label in evaluation.per_label}
    got |= {"micro avg": evaluation.micro, "macro avg": evaluation.macro, "weighted avg": evaluation.weighted}
    for name, scores in got.items():
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(
            (expected[name]["precision"], expected[name]["recall"], expected[name]["f1-score"])), name
    assert [label.threshold for label in evaluation.per_label] == thresholds.tolist()


def test_single_label_counts_its_positive_class_alone():
    # Label A of the table above: TP 1, FP 1, FN 1, and TN 1, which no figure but the accuracies may count.
    evaluation = evaluate_predictions(predictions_of(TRUE[:, :1], SCORES[:, :1], ["A"]), HALF[:1])
    for average in (evaluation.micro, evaluation.macro, evaluation.weighted):
        assert dataclasses.astuple(average) == (0.5, 0.5, 0.5)
    assert len(evaluation.per_label) == 1
    assert (evaluation.per_label[0].support, evaluation.per_label[0].f1) == (2, 0.5)
    assert evaluation.smoothed_micro == evaluation.per_label[0].smoothed
    assert evaluation.exact_match == evaluation.binary_accuracy == 0.5


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("said", [False, True])
def test_nothing_true(labels, said):
    scores = np.full((4, labels), 0.9 if said else 0.1, np.float32)
    evaluation = evaluate_predictions(
        predictions_of(np.zeros((4, labels), bool), scores, ["A", "B", "C"][:labels]), HALF[:labels])
    assert dataclasses.astuple(evaluation.micro) == dataclasses.astuple(evaluation.weighted) == (0, 0, 0)
    assert evaluation.exact_match == (0 if said else 1)
    assert evaluation.average_precision_micro is None
    assert evaluation.average_precision_macro is None


@pytest.mark.parametrize("labels", [1, 3])
def test_everything_true_and_said(labels):
    ones = np.ones((4, labels), np.float32)
    evaluation = evaluate_predictions(predictions_of(ones > 0, ones, ["A", "B", "C"][:labels]), HALF[:labels])
    assert dataclasses.astuple(evaluation.macro) == (1, 1, 1)
    assert evaluation.exact_match == 1
    assert evaluation.labels_per_turn.true == [0] * labels + [4]


def test_no_history_slots():
    evaluation = evaluate_predictions(
        predictions_of(attention=np.zeros((4, 0), np.float32), turn_lengths=LENGTHS[:, :1]), HALF)
    assert evaluation.attention.mean == []
    assert evaluation.attention.uniform is None
    assert evaluation.gate.mean_with_history is None


def test_scores_at_the_threshold_are_predictions_in_the_precision_of_the_scores():
    scores = np.array([[0.3, 0.3]], np.float32)
    # As float64, float32's 0.3 is above 0.3; the exported model does not see that difference.
    assert predicted_labels(scores, np.array([0.3, 0.30000001])).tolist() == [[True, True]]
    assert predicted_labels(scores, np.array([0.31, 0.29])).tolist() == [[False, True]]


def test_no_windows():
    with pytest.raises(DataRefused, match="no windows"):
        evaluate_predictions(predictions_of(TRUE[:0], SCORES[:0]), HALF)


def test_no_labels():
    with pytest.raises(DataRefused, match="no labels"):
        evaluate_predictions(predictions_of(TRUE[:, :0], SCORES[:, :0], []), HALF[:0])


@pytest.mark.parametrize("name", ["scores", "attention", "gate"])
def test_not_a_number(name):
    predictions = predictions_of()
    values = getattr(predictions, name).copy()
    values[2:] = np.nan
    message = f"the model's {name} must be finite numbers, but 2 of 4 windows hold .* first conversation 'c1', turn 2"
    with pytest.raises(TurnwiseError, match=message):
        evaluate_predictions(dataclasses.replace(predictions, **{name: values}), HALF)
