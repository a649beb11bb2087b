"""Losses of multi-hot labels, on logits."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class BinaryCrossentropy(keras.losses.Loss):
    """Mean over the labels of -[t log p + (1-t) log(1-p)], p = sigmoid(x), in the form that never overflows.

    log(1 + exp(x)) - x t. Source: the weekly report names sigmoid cross-entropy; the textbook prints the formula
    without its minus sign.
    """

    def __init__(self, reduction="sum_over_batch_size", name="binary_crossentropy", dtype=None):
        """Makes the loss; the arguments are those of `keras.losses.Loss`."""
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        # Not max(x, 0) + log(1 + exp(-|x|)): its pieces have no right derivative at 0.
        return ops.mean(ops.softplus(y_pred) - y_pred * y_true, axis=-1)


LOSSES = {"binary_crossentropy": BinaryCrossentropy}
