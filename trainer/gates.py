"""Gates: how much of the memory is let through to the classifier."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScalarGate(keras.layers.Layer):
    """One gate a window: g = sigmoid(w [h; u] + b), as in the weekly report."""

    def __init__(self, **kwargs):
        """Makes the gate."""
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1, activation="sigmoid", name="gate")

    def build(self, memory_shape, current_shape=None):
        """Makes the weights for a memory of shape [B, D] and a current turn of shape [B, D]."""
        self.dense.build((None, 2 * memory_shape[-1]))

    def call(self, memory, current):
        """Gate float32 [B, 1], each in (0, 1), of the memory and the current turn, float32 [B, D] each."""
        return self.dense(ops.concatenate([memory, current], axis=-1))


GATES = {"scalar": ScalarGate}
