import dataclasses

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import classification_report

from schemas.exit_status import DataRefused, TurnwiseError
from tests.made_predictions import SPEAKER_NAMES, random_predictions
from trainer import bootstrap
from trainer.calibration_measures import reliability
from trainer.evaluation import evaluate_predictions
from trainer.evaluation_intervals import MEASURES
from trainer.input_ablations import input_ablation
from trainer.predictions import Predictions
from trainer.split_summaries import split_summary

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


def predictions_of(true=TRUE, scores=SCORES, names=("A", "B", "C"), **changes):
    windows = len(true)
    predictions = Predictions(
        label_names=list(names), labels=true, scores=scores, raw_scores=scores,
        thresholds=np.full(len(names), 0.5, np.float32), attention=ATTENTION[:windows], gate=GATE[:windows],
        turn_lengths=LENGTHS[:windows], turn_keys=LENGTHS[:windows] * 7, speakers=(LENGTHS[:windows] > 0) * 3,
        texts=np.array(["book", "a", "room", "预订"], object)[:windows],
        conversation_ids=np.array(["c1", "c1", "c1", "c2"])[:windows], turn_indices=np.array([0, 1, 2, 0])[:windows])
    return dataclasses.replace(predictions, **changes)


def evaluation_of(predictions):
    return evaluate_predictions(predictions, SPEAKER_NAMES)


def test_counts():
    evaluation = evaluation_of(predictions_of())
    assert (evaluation.windows, evaluation.conversations) == (4, 2)
    assert [(label.label, label.support, label.predicted) for label in evaluation.per_label] == [
        ("A", 2, 2), ("B", 2, 2), ("C", 0, 1)]
    assert evaluation.labels_without_support == ["C"]
    assert evaluation.labels_per_turn.true == [1, 2, 1]
    assert evaluation.labels_per_turn.predicted == [0, 3, 1]


def test_precision_recall_f1():
    evaluation = evaluation_of(predictions_of())
    # Micro: TP 3, FP 2, FN 1: precision 3/5, recall 3/4, F1 2·3/(2·3 + 2 + 1) = 2/3.
    assert dataclasses.astuple(evaluation.micro) == pytest.approx((0.6, 0.75, 2 / 3))
    # Macro: A 0.5, B 1, C 0 in all three. Weighted: A and B alone have support, 2 each.
    assert dataclasses.astuple(evaluation.macro) == pytest.approx((0.5, 0.5, 0.5))
    assert dataclasses.astuple(evaluation.weighted) == pytest.approx((0.75, 0.75, 0.75))
    assert [(label.precision, label.recall, label.f1) for label in evaluation.per_label] == [
        (0.5, 0.5, 0.5), (1, 1, 1), (0, 0, 0)]


def test_smoothing_of_the_weekly_report():
    evaluation = evaluation_of(predictions_of())
    # TP / (TP + FP + 0.1) and TP / (TP + FN + 0.1).
    assert dataclasses.astuple(evaluation.smoothed_micro) == pytest.approx((3 / 5.1, 3 / 4.1))
    assert [dataclasses.astuple(label.smoothed) for label in evaluation.per_label] == [
        pytest.approx((1 / 2.1, 1 / 2.1)), pytest.approx((2 / 2.1, 2 / 2.1)), (0, 0)]


def test_whole_windows_and_single_decisions():
    evaluation = evaluation_of(predictions_of())
    assert evaluation.exact_match == 0.5  # windows 1 and 4
    assert evaluation.hamming_loss == 0.25  # 3 of 12 decisions: A missed, A and C wrong
    assert evaluation.binary_accuracy == 0.75


def test_average_precision():
    evaluation = evaluation_of(predictions_of())
    # A, by falling score: right, wrong, right, wrong: 1/2 · 1 + 1/2 · 2/3. B: both right ones first. C: no right one.
    assert [label.average_precision for label in evaluation.per_label] == [pytest.approx(5 / 6), 1, None]
    assert evaluation.average_precision_macro == pytest.approx((5 / 6 + 1) / 2)
    # All together: 0.9 right, 0.8 right, 0.7 wrong, 0.6 one right and one wrong, 0.4 right:
    # 1/4 · (1 + 1 + 3/5 + 4/6).
    assert evaluation.average_precision_micro == pytest.approx((1 + 1 + 3 / 5 + 4 / 6) / 4)


def test_agrees_with_scikit_learns_report():
    predictions = random_predictions(thresholds=np.array([0.25, 0.4, 0.6, 0.8], np.float32))
    evaluation = evaluation_of(predictions)
    expected = classification_report(predictions.labels, predictions.predicted, target_names=predictions.label_names,
                                     output_dict=True, zero_division=0)
    got = {label.label: label for label in evaluation.per_label}
    got |= {"micro avg": evaluation.micro, "macro avg": evaluation.macro, "weighted avg": evaluation.weighted}
    for name, scores in got.items():
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(
            (expected[name]["precision"], expected[name]["recall"], expected[name]["f1-score"])), name
    assert [label.threshold for label in evaluation.per_label] == predictions.thresholds.tolist()


def test_single_label_counts_its_positive_class_alone():
    # Label A of the table above: TP 1, FP 1, FN 1, and TN 1, which no figure but the accuracies may count.
    evaluation = evaluation_of(predictions_of(TRUE[:, :1], SCORES[:, :1], ["A"]))
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
    evaluation = evaluation_of(predictions_of(np.zeros((4, labels), bool), scores, ["A", "B", "C"][:labels]))
    assert dataclasses.astuple(evaluation.micro) == dataclasses.astuple(evaluation.weighted) == (0, 0, 0)
    assert evaluation.exact_match == (0 if said else 1)
    assert evaluation.average_precision_micro is None
    assert evaluation.average_precision_macro is None
    assert evaluation.curves == evaluation.confusions == []
    assert {found.micro_f1 for found in evaluation.slices} == {None}
    assert evaluation.intervals["weighted_f1"] == (0, 0)
    assert [set(label.intervals.values()) for label in evaluation.per_label] == [{None}] * labels


@pytest.mark.parametrize("labels", [1, 3])
def test_everything_true_and_said(labels):
    ones = np.ones((4, labels), np.float32)
    evaluation = evaluation_of(predictions_of(ones > 0, ones, ["A", "B", "C"][:labels]))
    assert dataclasses.astuple(evaluation.macro) == (1, 1, 1)
    assert evaluation.exact_match == 1
    assert evaluation.labels_per_turn.true == [0] * labels + [4]


def test_no_history_slots():
    evaluation = evaluation_of(predictions_of(attention=np.zeros((4, 0), np.float32), turn_lengths=LENGTHS[:, :1],
                                              turn_keys=LENGTHS[:, :1], speakers=np.full((4, 1), 3)))
    assert evaluation.attention.mean == evaluation.attention.by_speaker == []
    assert {turns.mean_all_slots for turns in evaluation.attention.by_relation} == {None}
    assert evaluation.attention.uniform is None
    assert evaluation.gate.mean_with_history is None


def test_coverage_and_calibration():
    evaluation = evaluation_of(predictions_of(raw_scores=np.full((4, 3), 0.6, np.float32)))
    # The true labels rank 1st; 1st and 2nd; none; 1st: (1 + 2 + 0 + 1) / 4.
    assert evaluation.coverage_error == 1
    assert evaluation.calibration_error == evaluation.calibration.after.calibration_error
    # 12 decisions of score 0.6, of which 4 are true.
    assert evaluation.calibration.before.calibration_error == pytest.approx(0.6 - 4 / 12)
    assert evaluation.brier_score == pytest.approx(np.square(SCORES - TRUE).mean())


def test_intervals_hold_the_figures():
    predictions = random_predictions(windows=400, conversations=80)
    evaluation = evaluation_of(predictions)
    figures = {name: getattr(evaluation, name) for name in evaluation.intervals if hasattr(evaluation, name)}
    figures |= {f"{average}_{score}": getattr(getattr(evaluation, average), score)
                for average in ("micro", "macro", "weighted") for score in ("precision", "recall", "f1")}
    assert set(figures) == set(MEASURES) == set(evaluation.intervals)
    for name, (low, high) in evaluation.intervals.items():
        assert low < figures[name] < high and high - low < 0.4, name
    for label in evaluation.per_label:
        assert set(label.intervals) == {"precision", "recall", "f1", "average_precision"}
        for name, (low, high) in label.intervals.items():
            assert low < getattr(label, name) < high
    assert evaluation_of(predictions).intervals == evaluation.intervals


def test_intervals_of_means_are_those_of_plain_resampling():
    predictions = random_predictions(windows=60, conversations=12)
    conversations, weights = bootstrap.conversation_weights(predictions.conversation_ids)
    expected = {name: [] for name in ("exact_match", "hamming_loss", "coverage_error", "calibration_error")}
    for drawn in weights:
        rows = np.repeat(np.arange(60), drawn[conversations])
        labels, scores = predictions.labels[rows], predictions.scores[rows]
        wrong = predictions.predicted[rows] != labels
        expected["exact_match"].append(1 - wrong.any(axis=1).mean())
        expected["hamming_loss"].append(wrong.mean())
        expected["coverage_error"].append(metrics.coverage_error(labels, scores))
        expected["calibration_error"].append(reliability(labels, scores).calibration_error)
    intervals = evaluation_of(predictions).intervals
    low, high = bootstrap.interval(np.array(expected.pop("calibration_error")))
    error = reliability(predictions.labels, predictions.scores).calibration_error
    assert intervals["calibration_error"] == pytest.approx((2 * error - high, 2 * error - low))
    for name, values in expected.items():
        assert intervals[name] == pytest.approx(bootstrap.interval(np.array(values))), name


def test_one_conversation_has_no_intervals():
    evaluation = evaluation_of(predictions_of(conversation_ids=np.array(["c"] * 4)))
    assert set(evaluation.intervals) == set(MEASURES)
    assert set(evaluation.intervals.values()) == {None}
    assert [set(label.intervals.values()) for label in evaluation.per_label] == [{None}] * 3
    assert {found.micro_f1_interval for found in evaluation.slices} == {None}


def test_labels_that_only_the_model_or_only_the_data_know():
    evaluation = evaluation_of(predictions_of(missing_labels=["B"], extra_labels=["D"]))
    assert (evaluation.missing_labels, evaluation.extra_labels) == (["B"], ["D"])
    assert [label.predicted for label in evaluation.per_label] == [2, 0, 1]


def test_what_is_found_elsewhere_is_passed_on():
    predictions = random_predictions()
    splits = [split_summary("test", predictions, 300)]
    ablations = [input_ablation("history dropped", predictions, predictions)]
    evaluation = evaluate_predictions(predictions, SPEAKER_NAMES, splits, ablations)
    assert evaluation.splits == splits and evaluation.ablations == ablations
    assert (splits[0].windows, splits[0].of, splits[0].micro) == (200, 300, evaluation.micro)
    assert (splits[0].macro, splits[0].exact_match) == (evaluation.macro, evaluation.exact_match)


def test_no_windows():
    with pytest.raises(DataRefused, match="no windows"):
        evaluation_of(predictions_of(TRUE[:0], SCORES[:0]))


def test_no_labels():
    with pytest.raises(DataRefused, match="no labels"):
        evaluation_of(predictions_of(TRUE[:, :0], SCORES[:, :0], []))


@pytest.mark.parametrize("name", ["scores", "raw_scores", "attention", "gate"])
def test_not_a_number(name):
    predictions = predictions_of()
    values = getattr(predictions, name).copy()
    values[2:] = np.nan
    message = f"the model must give finite numbers, but {name.replace('_', ' ')} of 2 of 4 windows .* 'c1', turn 2"
    with pytest.raises(TurnwiseError, match=message):
        evaluation_of(dataclasses.replace(predictions, **{name: values}))


def test_what_thresholds_of_their_own_are_measured_by():
    tuned = predictions_of(thresholds=np.full(3, 0.8, np.float32))
    turned = evaluation_of(dataclasses.replace(tuned, raw_scores=1 - SCORES))
    said = 1 - SCORES >= 0.5
    expected = metrics.f1_score(TRUE, said, average="macro", zero_division=0)
    assert turned.micro_at_half.f1 == pytest.approx(2 * (TRUE & said).sum() / (said.sum() + TRUE.sum()))
    assert turned.macro_at_half.f1 == pytest.approx(expected)
    assert turned.micro == evaluation_of(tuned).micro != turned.micro_at_half
