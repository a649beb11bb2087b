"""Metrics shown while training: counts over all labels and windows of an epoch."""

import keras
from keras import ops

PACKAGE = "turnwise"
# The weekly report adds this to the denominators of its precision and recall.
SMOOTHING = 0.1


@keras.saving.register_keras_serializable(package=PACKAGE)
class MicroScores(keras.metrics.Metric):
    """Micro precision, recall and F1, and precision and recall with the weekly report's smoothing.

    precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), each 0 where nothing is to be
    divided; smoothed: TP / (TP + FP + 0.1), TP / (TP + FN + 0.1). The counts add up over replicas.
    """

    def __init__(self, threshold: float = 0.5, name: str = "micro", **kwargs):
        """Makes the metric; a label is said where its score is at least `threshold`."""
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.true_positives, self.said, self.true = (
            self.add_variable(shape=(), initializer="zeros", aggregation="sum", name=count)
            for count in ("true_positives", "said", "true"))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts labels float32 [B, K] in {0, 1} and scores float32 [B, K]; windows have no weights."""
        said = ops.cast(y_pred >= self.threshold, self.dtype)
        y_true = ops.cast(y_true, self.dtype)
        self.true_positives.assign_add(ops.sum(said * y_true))
        self.said.assign_add(ops.sum(said))
        self.true.assign_add(ops.sum(y_true))

    def result(self):
        """The five figures, by name."""
        hits, said, true = (ops.convert_to_tensor(count) for count in (self.true_positives, self.said, self.true))
        return {
            "precision": ops.divide_no_nan(hits, said),
            "recall": ops.divide_no_nan(hits, true),
            "micro_f1": ops.divide_no_nan(2 * hits, said + true),
            "precision_smoothed": hits / (said + SMOOTHING),
            "recall_smoothed": hits / (true + SMOOTHING),
        }

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MacroF1(keras.metrics.Metric):
    """The plain mean over the labels of F1 = 2 TP / (2 TP + FP + FN), a label without any of them counting as 0.

    It is exact over all windows seen, as the counts of each label are kept; they add up over replicas.
    """

    def __init__(self, labels: int, threshold: float = 0.5, name: str = "macro_f1", **kwargs):
        """Makes the metric of `labels` labels; one is said where its score is at least `threshold`."""
        super().__init__(name=name, **kwargs)
        self.labels, self.threshold = labels, threshold
        self.true_positives, self.said_or_true = (
            self.add_variable(shape=(labels,), initializer="zeros", aggregation="sum", name=count)
            for count in ("true_positives", "said_or_true"))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts labels float32 [B, K] in {0, 1} and scores float32 [B, K]; windows have no weights."""
        said = ops.cast(y_pred >= self.threshold, self.dtype)
        y_true = ops.cast(y_true, self.dtype)
        self.true_positives.assign_add(ops.sum(said * y_true, axis=0))
        self.said_or_true.assign_add(ops.sum(said + y_true, axis=0))

    def result(self):
        """The figure."""
        hits, counted = ops.convert_to_tensor(self.true_positives), ops.convert_to_tensor(self.said_or_true)
        return ops.mean(ops.divide_no_nan(2 * hits, counted))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "labels": self.labels, "threshold": self.threshold}
