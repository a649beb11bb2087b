import numpy as np
from sklearn.metrics import precision_recall_curve

from tests.made_predictions import random_predictions
from trainer.precision_recall import MAX_POINTS, precision_recall_curves


def test_curves_are_points_of_scikit_learns():
    predictions = random_predictions(windows=1000)
    micro, *each = precision_recall_curves(predictions.label_names, predictions.labels, predictions.scores)
    assert micro.label is None and [curve.label for curve in each] == predictions.label_names
    precision, recall, _ = precision_recall_curve(predictions.labels.ravel(), predictions.scores.ravel())
    points = set(zip(recall.round(4).tolist(), precision.round(4).tolist(), strict=True))
    assert 50 < len(micro.recall) <= MAX_POINTS
    assert set(zip(micro.recall, micro.precision, strict=True)) <= points
    for curve in (micro, *each):
        assert curve.recall == sorted(curve.recall) and (curve.recall[0], curve.recall[-1]) == (0, 1)


def test_labels_that_nothing_bears_have_no_curve():
    labels = np.array([[True, False], [False, False]])
    curves = precision_recall_curves(["a", "b"], labels, np.array([[0.9, 0.2], [0.1, 0.3]]))
    assert [curve.label for curve in curves] == [None, "a"]
    assert curves[1].precision == [1, 1]
    assert precision_recall_curves(["a", "b"], labels & False, np.zeros((2, 2))) == []
