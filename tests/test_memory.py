import dataclasses

import numpy as np
import pytest

from tests.made_predictions import SPEAKER_NAMES, random_predictions
from trainer.memory import NO_TARGET, NOT_SHARING, SHARING, attention_by_slot, gate_distribution
from trainer.related_history import history_windows, related_to_history, shares_label

# Four windows of two history slots; windows 1 and 4 have no history.
LENGTHS = np.array([[3, 0, 0], [3, 2, 0], [3, 2, 1], [3, 0, 0]])
ATTENTION = np.array([[0.5, 0.5], [1, 0], [0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
GATE = np.array([0.97, 0.07, 0.92, 1.0], dtype=np.float32)
# Speakers 2 and 3 are known by name, 1 is not.
SPEAKERS = np.array([[3, 0, 0], [3, 2, 0], [3, 2, 1], [3, 0, 0]])
LABELS = np.array([[1, 0], [1, 1], [1, 0], [0, 1]], bool)


def predictions_of(lengths=LENGTHS, attention=ATTENTION, **changes):
    windows = len(lengths)
    made = random_predictions(windows, names=("A", "B"), slots=lengths.shape[1])
    return dataclasses.replace(made, **{
        "turn_lengths": lengths, "attention": attention, "speakers": np.where(lengths > 0, 3, 0),
        "labels": LABELS[:windows], **changes})


def attention_of(history=None, **changes):
    predictions = predictions_of(**changes)
    history = np.full(predictions.attention.shape, -1) if history is None else np.array(history)
    return attention_by_slot(predictions, history, SPEAKER_NAMES)


def test_attention_by_slot():
    attention = attention_of()
    assert attention.mean == pytest.approx([2.25 / 4, 1.75 / 4])
    assert attention.windows_filled == [2, 1]
    assert attention.mean_filled == pytest.approx([1.25 / 2, 0.75])
    assert attention.windows_without_history == 2
    assert attention.mean_without_history == [0.5, 0.5]
    assert attention.uniform == 0.5
    assert attention.max_deviation_without_history == 0


def test_attention_on_empty_history():
    lengths = np.array([[4, 0, 0, 0, 0, 0]] * 2)
    even = attention_of(lengths=lengths, attention=np.full((2, 5), 0.2, np.float32))
    assert even.mean_filled == [None] * 5
    assert even.mean_without_history == pytest.approx([0.2] * 5)
    assert even.max_deviation_without_history == pytest.approx(0, abs=1e-7)
    assert even.by_speaker == []
    uneven = attention_of(lengths=lengths, attention=np.array([[0.2] * 5, [0.3, 0.2, 0.2, 0.2, 0.1]], np.float32))
    assert uneven.max_deviation_without_history == pytest.approx(0.1)


def test_attention_where_every_window_has_history():
    attention = attention_of(lengths=LENGTHS[1:3], attention=ATTENTION[1:3])
    assert attention.windows_without_history == 0
    assert attention.mean_without_history == [None, None]
    assert attention.max_deviation_without_history is None


def test_attention_by_speaker():
    unknown, agent = attention_of(speakers=SPEAKERS).by_speaker
    assert (agent.name, agent.turns, agent.mean, agent.mean_all_slots) == ("agent", [2, 0], [0.625, None], 0.625)
    assert unknown.name == "(unseen in training)"
    assert (unknown.turns, unknown.mean, unknown.mean_all_slots) == ([0, 1], [None, 0.75], 0.75)


def test_attention_by_shared_labels():
    # Window 2 has no target before it; window 3 (A) has window 4 (B) one turn back and window 2 (A, B) two.
    kinds = {turns.name: turns for turns in attention_of([[-1, -1], [-1, -1], [3, 1], [-1, -1]]).by_relation}
    assert list(kinds) == [SHARING, NOT_SHARING, NO_TARGET]
    assert (kinds[SHARING].turns, kinds[SHARING].mean) == ([0, 1], [None, 0.75])
    assert (kinds[NOT_SHARING].turns, kinds[NOT_SHARING].mean) == ([1, 0], [0.25, None])
    assert (kinds[NO_TARGET].turns, kinds[NO_TARGET].mean) == ([1, 0], [1, None])


def test_attention_of_windows_without_labels_says_nothing_of_sharing():
    attention = attention_of([[-1, -1], [-1, -1], [3, 1], [-1, -1]], labels=np.zeros((4, 2), bool))
    assert [turns.turns for turns in attention.by_relation] == [[0, 0]] * 3
    assert attention.shared_auc is None


@pytest.mark.parametrize(("weights", "expected"), [([0.25, 0.75], 1), ([0.75, 0.25], 0), ([0.5, 0.5], 0.5)])
def test_turns_that_share_a_label_against_those_of_their_window_that_do_not(weights, expected):
    attention = ATTENTION.copy()
    attention[2] = weights
    assert attention_of([[-1, -1], [-1, -1], [3, 1], [-1, -1]], attention=attention).shared_auc == expected


def test_gate():
    gate = gate_distribution(GATE, LENGTHS, np.array([True, True, False, True]))
    assert len(gate.bin_edges) == 21
    # 0.07 is in [0.05, 0.1), 0.92 in [0.9, 0.95), 0.97 and 1 in [0.95, 1].
    assert [n for n, count in enumerate(gate.counts) for _ in range(count)] == [1, 18, 19, 19]
    assert (np.flatnonzero(gate.counts_related), np.flatnonzero(gate.counts_unrelated)) == ([1], [18])
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


# One conversation of turns with the keys 1 to 6, the odd ones targets; then another with the same turns.
KEYS = np.array([[1, 0, 0, 0], [3, 2, 1, 0], [5, 4, 3, 2], [7, 6, 5, 4], [1, 0, 0, 0], [9, 8, 1, 0]])
WIDER_KEYS = np.array([[1, 0, 0, 0, 0], [3, 2, 1, 0, 0], [5, 4, 3, 2, 1], [7, 6, 5, 4, 3], [1, 0, 0, 0, 0],
                       [9, 8, 1, 0, 0]])


def conversations(keys=KEYS, **changes):
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)
    made = random_predictions(6, names="ABC", slots=keys.shape[1])
    return dataclasses.replace(made, **{
        "labels": labels, "turn_keys": keys, "turn_lengths": np.where(keys > 0, 9, 0),
        "turn_indices": np.array([0, 2, 4, 6, 0, 2]), "conversation_ids": np.array(["a", "a", "a", "a", "b", "b"]),
        **changes})


def related(predictions):
    return related_to_history(predictions, history_windows(predictions)).tolist()


def test_the_window_of_each_history_turn():
    assert history_windows(conversations()).tolist() == [
        [-1, -1, -1], [-1, 0, -1], [-1, 1, -1], [-1, 2, -1], [-1, -1, -1], [-1, 4, -1]]
    assert history_windows(conversations(WIDER_KEYS)).tolist() == [
        [-1, -1, -1, -1], [-1, 0, -1, -1], [-1, 1, -1, 0], [-1, 2, -1, 1], [-1, -1, -1, -1], [-1, 4, -1, -1]]


def test_windows_in_any_order_have_the_same_history():
    predictions = conversations(WIDER_KEYS)
    order = np.array([3, 5, 0, 4, 2, 1])
    mixed = dataclasses.replace(predictions, **{name: getattr(predictions, name)[order] for name in
                                                ("labels", "turn_keys", "turn_indices", "conversation_ids")})
    found = history_windows(mixed)
    assert np.array_equal(np.where(found < 0, -1, order[found]), history_windows(predictions)[order])


def test_history_is_related_by_labels_or_a_short_turn():
    # The third shares a label with a turn that its history no longer holds; the fourth with one out of sight.
    assert related(conversations()) == [False] * 6
    wider = conversations(WIDER_KEYS)
    assert related(wider) == [False, False, True, True, False, False]
    assert np.argwhere(shares_label(wider, history_windows(wider))).tolist() == [[2, 3], [3, 3]]
    assert related(conversations(turn_lengths=np.where(KEYS == 9, 4, np.where(KEYS > 0, 9, 0)))) == [False] * 5 + [True]


def test_a_target_that_is_missing_from_the_windows_hides_none_before_it():
    # A turn apart by more than the history holds is out of sight.
    keys = np.array([[1, 0, 0, 0], [2, 1, 0, 0], [9, 8, 7, 6], [10, 9, 8, 7]])
    predictions = dataclasses.replace(
        predictions_of(lengths=np.where(keys > 0, 9, 0), attention=np.full((4, 3), 1 / 3, np.float32)), turn_keys=keys,
        turn_indices=np.array([0, 1, 8, 9]), conversation_ids=np.array(["a"] * 4))
    assert history_windows(predictions).tolist() == [[-1] * 3, [0, -1, -1], [-1] * 3, [2, -1, -1]]
