"""Losses of multi-hot labels, on logits."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class BinaryCrossentropy(keras.losses.Loss):
    """Mean over the labels of -[t log p + (1-t) log(1-p)], p = sigmoid(x), in the form that never overflows.

    max(x, 0) - x t + log(1 + exp(-|x|)); source: the weekly report names sigmoid cross-entropy, the textbook prints the
    formula without its minus sign.
    """

    def __init__(self, reduction="sum_over_batch_size", name="binary_crossentropy", dtype=None):
        """Makes the loss; the arguments are those of `keras.losses.Loss`."""
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        """Loss of each window, float32 [B], of labels [B, K] in {0, 1} and logits [B, K]."""
        losses = ops.maximum(y_pred, 0.0) - y_pred * y_true + ops.log1p(ops.exp(-ops.absolute(y_pred)))
        return ops.mean(losses, axis=-1)


LOSSES = {"binary_crossentropy": BinaryCrossentropy}
