import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tests.made_predictions import random_predictions
from trainer import bootstrap
from trainer.input_ablations import input_ablation


def ablated(predictions, count):
    """The first windows again, the scores of the first label lowered."""
    factors = np.append(0.6, np.ones(len(predictions.label_names) - 1)).astype(np.float32)
    return random_predictions(
        count, conversation_ids=predictions.conversation_ids[:count], labels=predictions.labels[:count],
        scores=(predictions.scores * factors)[:count])


def test_changes_are_those_of_the_same_windows():
    predictions = random_predictions(300)
    found = input_ablation("history dropped", predictions, ablated(predictions, 200))
    labels, before = predictions.labels[:200], predictions.predicted[:200]
    after = ablated(predictions, 200).predicted
    assert (found.name, found.windows) == ("history dropped", 200)
    for average in ("micro", "macro"):
        new, old = (f1_score(labels, said, average=average) for said in (after, before))
        assert getattr(found, f"{average}_f1") == pytest.approx(new)
        assert getattr(found, f"{average}_f1_change") == pytest.approx(new - old) and new < old
    assert [label.label for label in found.labels] == predictions.label_names
    assert [label.f1_change for label in found.labels[1:]] == [0, 0, 0]
    assert [label.interval for label in found.labels[1:]] == [(0, 0)] * 3
    first = found.labels[0]
    assert first.f1 == f1_score(labels[:, 0], after[:, 0]) and first.f1_change < -0.1
    assert first.interval[0] < first.f1_change < first.interval[1] < 0


def test_intervals_are_of_paired_differences():
    predictions = random_predictions()
    other = ablated(predictions, 200)
    found = input_ablation("history dropped", predictions, other)
    conversations, weights = bootstrap.conversation_weights(predictions.conversation_ids)
    differences = [
        np.subtract(*(f1_score(predictions.labels, said, average="micro", sample_weight=drawn[conversations])
                      for said in (other.predicted, predictions.predicted))) for drawn in weights[:200]]
    assert found.micro_f1_change_interval == pytest.approx(bootstrap.interval(np.array(differences)), abs=0.01)
    # Far narrower than the figure's own.
    alone = bootstrap.interval(bootstrap.score_replicates(bootstrap.counts_by_conversation(
        predictions.labels, predictions.predicted, conversations, weights.shape[1]), weights).micro.f1)
    assert np.ptp(found.micro_f1_change_interval) < np.ptp(alone)


def test_one_conversation_has_no_intervals():
    predictions = random_predictions(conversations=1)
    found = input_ablation("history dropped", predictions, ablated(predictions, 200))
    assert found.micro_f1_change_interval is found.macro_f1_change_interval is None
    assert {label.interval for label in found.labels} == {None}


def test_a_label_that_nothing_bears_has_no_interval():
    predictions = random_predictions()
    without = dataclasses.replace(predictions, labels=predictions.labels & [True, True, True, False])
    assert input_ablation("x", without, without).labels[-1].interval is None
