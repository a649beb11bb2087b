"""The figures of `score`, from counts that were added up, are those of `trainer evaluate` to the last bit."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.analyse import add_counts
from pipeline.score_metrics import figures, label_counts
from pipeline.scoring import Answers
from trainer.label_scores import average_of, decisions_of, exact_match, label_scores


def counts_of(true, predicted, labels, failures=(), unlabelled=(), label_map=None):
    """The counts of windows with these labels, bool [N, K]."""
    blank = np.zeros(len(true), np.float32)
    answers = Answers(blank, predicted, blank, blank, dict.fromkeys(failures, "why"))
    truth = [[name for name, there in zip(labels, row, strict=True) if there] for row in true]
    truth = pa.array([None if n in unlabelled else row for n, row in enumerate(truth)], pa.list_(pa.string()))
    return label_counts(truth, answers, labels, label_map or {})


@pytest.mark.parametrize("labels", [1, 2, 9, 40])
@pytest.mark.parametrize("seed", range(4))
def test_as_evaluate_says(labels, seed):
    from sklearn.metrics import hamming_loss

    generator = np.random.default_rng(seed)
    names = tuple(f"label {n}" for n in range(labels))
    often = generator.random(labels) ** 3
    # Some labels are in no window, others never said.
    often[generator.random(labels) < 0.2] = 0
    true = generator.random((500, labels)) < often
    predicted = (true ^ (generator.random((500, labels)) < 0.1)) & (generator.random(labels) < 0.9)
    parts = [counts_of(true[some], predicted[some], names) for some in np.array_split(np.arange(500), 7)]
    found = figures(json.loads(json.dumps(add_counts(parts))), names)
    decisions = decisions_of(true, predicted)
    for average in ("micro", "macro", "weighted"):
        assert found[average] == dataclasses.asdict(average_of(decisions, average))
    assert found["exact_match"] == exact_match(decisions)
    assert found["hamming_loss"] == hamming_loss(decisions.true, decisions.predicted)
    expected = label_scores(list(names), np.ones(labels), true, predicted.astype(float), decisions, [{}] * labels)
    assert found["per_label"] == [
        {name: getattr(label, name) for name in ("label", "support", "predicted", "precision", "recall", "f1")}
        for label in expected
    ]


def test_windows_without_answer_or_labels_are_left_out():
    true = np.array([[1, 0], [0, 1], [0, 0], [1, 1], [1, 1]], bool)
    counts = counts_of(true, true, ("a", "b"), failures=[0], unlabelled=[4])
    assert (counts["windows"], counts["exact"]) == (3, 3)
    assert counts["support"] == {"0": 1, "1": 2}
    assert counts_of(true, true, ("a", "b"), failures=range(5))["windows"] == 0


def test_the_label_map_and_unknown_labels():
    true = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], bool)
    truth_names = ("a", "old", "gone")
    counts = counts_of(true, true, truth_names, label_map={"old": "new", "gone": None})
    # "new" is unknown to the model, and the third window has lost all that it had.
    assert counts["windows"] == 3 and counts["unknown_labels"] == {"new": 2}
    assert counts["support"] == {"0": 2} and counts["predicted"] == {"0": 2, "1": 2}
