"""Losses of multi-hot labels, on logits: float32 inside, and finite with finite gradients whatever the logits.

All take labels float32 [B, K] in {0, 1} and logits [B, K] (`SequenceCrossentropy` those of its decoder's steps), and
give float32 [B]. Under several replicas, each takes the loss of its own windows and their mean is trained on.
"""

from collections.abc import Sequence

import keras
from keras import ops

from schemas.data_directory import LabelCounts
from trainer.config import Config, arguments_of

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class BinaryCrossentropy(keras.losses.Loss):
    """Mean over the labels of -[t log p + (1-t) log(1-p)], p = sigmoid(x), in the form that never overflows.

    log(1 + exp(x)) - x t. Source: the weekly report names sigmoid cross-entropy; the textbook prints the formula
    without its minus sign.
    """

    def __init__(self, label_smoothing: float = 0.0, name="binary_crossentropy", **kwargs):
        """Makes the loss; with `label_smoothing` s, a label's target is t (1 - s) + s / 2."""
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        # Not max(x, 0) + log(1 + exp(-|x|)): its pieces have no right derivative at 0.
        return ops.mean(ops.softplus(y_pred) - y_pred * self.targets(y_true), axis=-1)

    def targets(self, labels):
        """The smoothed labels, float32 [B, K]."""
        return labels * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package=PACKAGE)
class WeightedBinaryCrossentropy(BinaryCrossentropy):
    """Mean over the labels of -[w t log p + (1-t) log(1-p)]: a label's positives count w times.

    Source: the weekly report names TensorFlow's weighted cross-entropy, whose figures these are. Class weights
    {0: w0, 1: w1}, (w1 - w0) t + w0 times the cross-entropy, are w0 times this loss with w = w1 / w0.
    """

    def __init__(self, positive_weights: Sequence[float], label_smoothing: float = 0.0,
                 name="weighted_binary_crossentropy", **kwargs):
        """Makes the loss of labels with these weights w, one a label."""
        super().__init__(label_smoothing, name=name, **kwargs)
        self.positive_weights = [float(weight) for weight in positive_weights]

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        targets, weights = self.targets(y_true), ops.convert_to_tensor(self.positive_weights, "float32")
        losses = weights * targets * ops.softplus(-y_pred) + (1.0 - targets) * ops.softplus(y_pred)
        return ops.mean(losses, axis=-1)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "positive_weights": self.positive_weights}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FocalLoss(BinaryCrossentropy):
    """Mean over the labels of -[t (1-p)^g log p + (1-t) p^g log(1-p)]: what is told well already counts for little.

    Without the paper's weight alpha of positives. Source: Lin et al. 2017.
    """

    def __init__(self, focal_gamma: float = 2.0, label_smoothing: float = 0.0, name="focal", **kwargs):
        """Makes the loss; `focal_gamma` is g, 0 for the cross-entropy."""
        super().__init__(label_smoothing, name=name, **kwargs)
        self.focal_gamma = focal_gamma

    @property
    def gamma_positive(self) -> float:
        """The exponent for positives."""
        return self.focal_gamma

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        # log p = -softplus(-x) and log(1 - p) = -softplus(x), so that no power of a rounded 0 is taken.
        log_p, log_not_p = -ops.softplus(-y_pred), -ops.softplus(y_pred)
        targets = self.targets(y_true)
        losses = (targets * ops.exp(self.gamma_positive * log_not_p) * log_p
                  + (1.0 - targets) * ops.exp(self.focal_gamma * log_p) * log_not_p)
        return -ops.mean(losses, axis=-1)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "focal_gamma": self.focal_gamma}


@keras.saving.register_keras_serializable(package=PACKAGE)
class AsymmetricLoss(FocalLoss):
    """The focal loss with an exponent for positives and another for the many negatives.

    Without the paper's shift of p, which drops easy negatives altogether: they could then drift up to it unseen, and
    scores are compared with thresholds here. Source: Ridnik et al. 2021.
    """

    def __init__(self, focal_gamma: float = 2.0, focal_gamma_positive: float = 0.0, label_smoothing: float = 0.0,
                 name="asymmetric", **kwargs):
        """Makes the loss; the exponents are `focal_gamma` for negatives and `focal_gamma_positive` for positives."""
        super().__init__(focal_gamma, label_smoothing, name=name, **kwargs)
        self.focal_gamma_positive = focal_gamma_positive

    @property
    def gamma_positive(self) -> float:
        """The exponent for positives."""
        return self.focal_gamma_positive

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "focal_gamma_positive": self.focal_gamma_positive}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SmoothF1(keras.losses.Loss):
    """1 - the mean over the labels of F1 with scores for decisions, (2 sum t p + e) / (sum t + sum p + e).

    The sums are over the batch, so each window is given the loss of the whole batch; with several replicas, of the part
    that its own replica sees, which makes their mean another figure than that of one device. Labels with neither a
    positive nor a score in the batch do not count. One without a positive has an F1 of 0 whatever its scores; a large e
    would push those down, and with them the rare labels, which most batches lack. Source: the textbook (appendix B; it
    prints no e).
    """

    def __init__(self, epsilon: float = 1e-7, name="smooth_f1", **kwargs):
        """Makes the loss; `epsilon` is e."""
        super().__init__(name=name, **kwargs)
        self.epsilon = epsilon

    def call(self, y_true, y_pred):
        """Loss of the batch for each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        scores = ops.sigmoid(y_pred)
        hits, mass = ops.sum(y_true * scores, axis=0), ops.sum(y_true + scores, axis=0)
        counted = ops.cast(mass > 0, mass.dtype)
        f1 = (2.0 * hits + self.epsilon) / (mass + self.epsilon + (1.0 - counted))
        mean = ops.sum(counted * f1) / ops.maximum(ops.sum(counted), 1.0)
        return ops.broadcast_to(1.0 - mean, ops.shape(y_pred)[:1])

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Hinge(keras.losses.Loss):
    """Mean over the labels of max(1 - s x, 0), s = 2 t - 1: pushes logits beyond -1 and 1. Source: the textbook."""

    def __init__(self, name="hinge", **kwargs):
        """Makes the loss; the arguments are those of `keras.losses.Loss`."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        return ops.mean(ops.relu(1.0 - (2.0 * y_true - 1.0) * y_pred), axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SequenceCrossentropy(keras.losses.Loss):
    """-log of the probability of writing a window's labels in order, then the end: a sum over the steps of -log p.

    It is a sum, not a mean: then it is the likelihood of the label set. Source: the textbook (cross-entropy; 11.5).
    """

    def __init__(self, name="sequence_crossentropy", **kwargs):
        """Makes the loss; the arguments are those of `keras.losses.Loss`."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, T, K + 1], the end last."""
        targets = label_sequence(y_true, ops.shape(y_pred)[1])
        return -ops.sum(targets * ops.log_softmax(y_pred), axis=(1, 2))


def label_sequence(labels, steps):
    """What is written at each step, one-hot float32 [B, steps, K + 1], the end last; zeros after the end.

    Args:
        labels: float32 [B, K] in {0, 1}.
        steps: at least one more than the most labels of a window.
    """
    present = labels > 0
    place = ops.cumsum(ops.cast(present, "int32"), axis=-1)
    # A label goes to the step of its place among the window's labels; no step is -1.
    step_of = ops.concatenate([ops.where(present, place - 1, -1), place[:, -1:]], axis=-1)
    return ops.cast(step_of[:, None] == ops.arange(steps)[None, :, None], "float32")


def positive_weights(counts: LabelCounts, limit: float) -> list[float]:
    """Negatives / positives of each label, between 1 and `limit`; the limit for a label without positives."""
    ratios = ((counts.windows - count) / count if count else limit for count in counts.labels)
    return [min(max(ratio, 1.0), limit) for ratio in ratios]


def make_loss(config: Config, label_counts: LabelCounts | None = None) -> keras.losses.Loss:
    """The loss that the configuration names; `label_counts` are those of the train split, for losses that weigh."""
    loss = LOSSES[config.loss]
    weights = {}
    if issubclass(loss, WeightedBinaryCrossentropy):
        weights["positive_weights"] = positive_weights(label_counts, config.positive_weight_limit)
    return loss(**arguments_of(loss, config, **weights))


LOSSES = {
    "binary_crossentropy": BinaryCrossentropy,
    "weighted_binary_crossentropy": WeightedBinaryCrossentropy,
    "focal": FocalLoss,
    "asymmetric": AsymmetricLoss,
    "smooth_f1": SmoothF1,
    "hinge": Hinge,
    "sequence_crossentropy": SequenceCrossentropy,
}
