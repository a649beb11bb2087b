"""Windows against what is written down by hand."""

import numpy as np
import pytest

from pipeline.windows import previous_turns, window_slots

EMPTY = -1


def test_history_stops_at_the_start_of_the_conversation():
    conversations = np.array([0, 0, 0, 1, 1])
    slots = window_slots(np.arange(5), previous_turns(conversations), history_turns=3)
    assert slots.tolist() == [
        [0, EMPTY, EMPTY, EMPTY],
        [1, 0, EMPTY, EMPTY],
        [2, 1, 0, EMPTY],
        [3, EMPTY, EMPTY, EMPTY],
        [4, 3, EMPTY, EMPTY],
    ]


def test_only_targets_get_windows_but_every_turn_is_history():
    slots = window_slots(np.array([1, 3]), previous_turns(np.zeros(4, int)), history_turns=2)
    assert slots.tolist() == [[1, 0, EMPTY], [3, 2, 1]]


def test_same_speaker_passes_the_others_over():
    conversations = np.array([0, 0, 0, 0, 1, 1])
    speakers = np.array([7, 8, 7, 8, 8, 8])
    slots = window_slots(np.arange(6), previous_turns(conversations, speakers), history_turns=2)
    assert slots.tolist() == [
        [0, EMPTY, EMPTY],
        [1, EMPTY, EMPTY],
        [2, 0, EMPTY],
        [3, 1, EMPTY],
        [4, EMPTY, EMPTY],
        [5, 4, EMPTY],
    ]


@pytest.mark.parametrize("turns", [1, 2000])
def test_short_and_long_conversations(turns):
    slots = window_slots(np.arange(turns), previous_turns(np.zeros(turns, int)), history_turns=5)
    expected = np.arange(turns)[:, None] - np.arange(6)
    assert (slots == np.where(expected < 0, EMPTY, expected)).all()


def test_no_turns_make_no_windows():
    nothing = np.array([], np.int64)
    assert window_slots(nothing, previous_turns(nothing), 5).shape == (0, 6)
    assert previous_turns(nothing, nothing).shape == (0,)
