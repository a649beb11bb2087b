import numpy as np

from trainer.label_confusions import MOST, Confusion, label_confusions

NAMES = ["a", "b", "c"]


def confusions(true, said):
    return label_confusions(NAMES, np.array(true, bool), np.array(said, bool))


def test_missed_labels_with_what_is_said_instead():
    true = [[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]]
    # b for a, b and c for a, c for a and b, nothing for c, and c beside a right a.
    said = [[0, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert confusions(true, said) == [Confusion("a", "b", 2, 0.5), Confusion("a", "c", 2, 0.5),
                                      Confusion("b", "c", 1, 1.0)]


def test_right_labels_are_no_confusion():
    assert confusions([[1, 1, 0]], [[1, 1, 0]]) == []


def test_the_most_frequent_ones_alone():
    count = MOST + 5
    true, said = np.zeros((count, 2 * count), bool), np.zeros((count, 2 * count), bool)
    for window in range(count):
        true[window:, window] = True
        said[window, count + window] = True
    found = label_confusions([f"l{k}" for k in range(2 * count)], true, said)
    assert len(found) == MOST
    assert {confusion.windows for confusion in found} == {1}
    assert [confusion.true_label for confusion in found] == ["l0"] * MOST
