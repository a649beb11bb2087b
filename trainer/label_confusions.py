"""Which label is predicted instead of which."""

import dataclasses

import numpy as np

MOST = 30


@dataclasses.dataclass(frozen=True)
class Confusion:
    """Windows that bear one label, which is missed, and are said to bear another, which they do not.

    Attributes:
        true_label: the missed label.
        predicted_label: the other one.
        windows: how many there are, at least 1.
        share: of the windows that bear the true label.
    """

    true_label: str
    predicted_label: str
    windows: int
    share: float


def label_confusions(label_names: list[str], labels: np.ndarray, predicted: np.ndarray) -> list[Confusion]:
    """The `MOST` most frequent confusions, the most frequent first, equal ones in the order of the labels.

    A window with several wrong labels counts in each pair of a missed and a wrongly predicted one.

    Args:
        label_names: K names.
        labels: true, bool [N, K].
        predicted: bool [N, K].
    """
    # float32 multiplies fast, and its sums of ones are exact up to 2^24 windows.
    missed, wrong = (labels & ~predicted).astype(np.float32), (predicted & ~labels).astype(np.float32)
    counts = (missed.T @ wrong).astype(np.int64)
    support = labels.sum(axis=0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MOST]
    pairs = [(int(true), int(said)) for true, said in zip(*np.unravel_index(order, counts.shape), strict=True)]
    return [Confusion(label_names[true], label_names[said], int(counts[true, said]),
                      float(counts[true, said] / support[true]))
            for true, said in pairs if counts[true, said]]
