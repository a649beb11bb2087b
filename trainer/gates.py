"""Gates: how much of the memory is let through to the classifier.

All take the memory h and the current turn u, float32 [B, D] each, and give the gate float32 [B, 1] or [B, D] in [0, 1].
"""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScalarGate(keras.layers.Layer):
    """One gate a window: g = sigmoid(w [h; u] + b), as in the weekly report."""

    # Vectors that the gate looks at.
    inputs = 2

    def build(self, memory_shape, current_shape=None):
        """Makes the weights for a memory of shape [B, D] and a current turn of shape [B, D]."""
        self.dense = keras.layers.Dense(self.gates(memory_shape[-1]), activation="sigmoid", name="gate")
        self.dense.build((None, self.inputs * memory_shape[-1]))
        self.built = True

    def gates(self, size: int) -> int:
        """Number of gates for a memory of `size` numbers."""
        return 1

    def call(self, memory, current):
        """Gate float32 [B, 1], each in (0, 1)."""
        return self.dense(ops.concatenate([memory, current], axis=-1))


@keras.saving.register_keras_serializable(package=PACKAGE)
class VectorGate(ScalarGate):
    """A gate for each number of the memory: g = sigmoid(W [h; u] + b), W [D, 2 D]."""

    def gates(self, size: int) -> int:
        """Number of gates for a memory of `size` numbers."""
        return size


@keras.saving.register_keras_serializable(package=PACKAGE)
class MatchingGate(ScalarGate):
    """One gate a window that sees whether memory and current turn are alike: g = sigmoid(w [h; u; h u; |h - u|] + b).

    The report's gate weighs h and u by themselves, so that nothing in it says whether they have to do with one another.
    Source of the features: Tai et al. 2015 (relatedness of sentences).
    """

    inputs = 4

    def call(self, memory, current):
        """Gate float32 [B, 1], each in (0, 1)."""
        return self.dense(ops.concatenate([memory, current, memory * current, ops.abs(memory - current)], axis=-1))


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoGate(keras.layers.Layer):
    """All of the memory is let through: g = 1."""

    def build(self, memory_shape, current_shape=None):
        """Makes nothing."""
        self.built = True

    def call(self, memory, current):
        """Ones, float32 [B, 1]."""
        return ops.ones_like(memory[:, :1])


GATES = {"scalar": ScalarGate, "vector": VectorGate, "matching": MatchingGate, "none": NoGate}
