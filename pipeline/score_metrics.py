"""How predictions compare with the labels of the log, from counts that add up over buckets."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.labels import apply_label_map
from pipeline.scoring import Answers


def label_counts(truth: pa.ListArray, answers: Answers, labels: tuple[str, ...], label_map: dict) -> dict:
    """Counts of the windows that have labels in the log and an answer, of JSON types, for `add_counts`.

    A window whose labels are all dropped by the label map is left out, as `prepare` leaves it out. Labels that the
    model does not know are counted by name and otherwise ignored, as `prepare` does with labels unseen in training.

    Args:
        truth: the log's labels of N windows, null where it has none.
        answers: for them.
        labels: the model's, K names.
        label_map: from `labels.read_label_map`.
    """
    labelled = truth.is_valid().to_numpy(zero_copy_only=False)
    truth, emptied = apply_label_map(truth, label_map)
    kept = labelled & ~emptied
    kept[list(answers.failures)] = False
    window = pc.list_parent_indices(truth).to_numpy()
    number = pc.index_in(truth.flatten(), pa.array(labels, pa.string())).fill_null(-1).to_numpy()
    inside = kept[window]
    unknown = truth.flatten().filter(pa.array(inside & (number < 0)))
    true = np.zeros(answers.predicted.shape, bool)
    true[window[inside & (number >= 0)], number[inside & (number >= 0)]] = True
    true, predicted = true[kept], answers.predicted[kept]
    return {
        "windows": int(kept.sum()),
        "exact": int((true == predicted).all(axis=1).sum()),
        "true_positives": _by_number(true & predicted),
        "predicted": _by_number(predicted),
        "support": _by_number(true),
        "unknown_labels": {item["values"]: item["counts"] for item in pc.value_counts(unknown).to_pylist()},
    }


def figures(counts: dict, labels: tuple[str, ...]) -> dict:
    """The evaluation figures of added-up counts, with the names and values that `trainer evaluate` gives them.

    Precision, recall and F1 (0 where not defined) are scikit-learn's, of one row for each kind of decision weighted by
    its count.
    """
    columns = {
        name: np.array([counts[name].get(str(k), 0) for k in range(len(labels))], np.int64)
        for name in ("true_positives", "predicted", "support")
    }
    per_label = [_scores(*(int(column[k]) for column in columns.values())) for k in range(len(labels))]
    wrong = sum(columns["predicted"]) + sum(columns["support"]) - 2 * sum(columns["true_positives"])
    windows = counts["windows"]
    return {
        "windows": windows,
        "micro": _scores(*(int(column.sum()) for column in columns.values())),
        "macro": _average(per_label, None),
        "weighted": _average(per_label, columns["support"] if columns["support"].any() else None),
        "exact_match": counts["exact"] / windows,
        "hamming_loss": float(wrong / (windows * len(labels))),
        "per_label": [
            {"label": label, "support": int(columns["support"][k]), "predicted": int(columns["predicted"][k]), **scores}
            for k, (label, scores) in enumerate(zip(labels, per_label, strict=True))
        ],
        "unknown_labels": dict(sorted(counts["unknown_labels"].items())),
    }


def _by_number(decisions: np.ndarray) -> dict[str, int]:
    """{number of the label: count} of bool [N, K]."""
    return {str(k): int(count) for k, count in enumerate(decisions.sum(axis=0)) if count}


def _average(per_label: list[dict[str, float]], weights: np.ndarray | None) -> dict[str, float]:
    """The mean of each score over the labels, added up in the order in which scikit-learn does, to the last bit."""
    return {
        name: float(np.average(np.array([scores[name] for scores in per_label]), weights=weights))
        for name in ("precision", "recall", "f1")
    }


def _scores(true_positives: int, predicted: int, support: int) -> dict[str, float]:
    """Precision, recall and F1 of so many decisions."""
    from sklearn.metrics import precision_recall_fscore_support

    # One true negative, which changes none of them: scikit-learn refuses weights that are all 0.
    weights = [true_positives, support - true_positives, predicted - true_positives, 1]
    precision, recall, f1, _ = precision_recall_fscore_support(
        [1, 1, 0, 0], [1, 0, 1, 0], sample_weight=weights, average="binary", zero_division=0
    )
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
