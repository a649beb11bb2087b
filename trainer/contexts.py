"""Contexts: how a turn's vector takes in the turns before it, ahead of the memory."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoContext(keras.layers.Layer):
    """Each turn for itself, as in the weekly report."""

    def build(self, turns_shape, present_shape=None):
        """Makes nothing."""
        self.built = True

    def call(self, turns, present):
        """The turns, float32 [B, slots, D], as they are."""
        return turns


@keras.saving.register_keras_serializable(package=PACKAGE)
class GRUContext(keras.layers.Layer):
    """A GRU over the window's turns, from the oldest to the current one, added to each turn's vector.

    With self-attention as the read-out of the tokens, and attention over the turns, it makes the hierarchical attention
    network. Source: the textbook (11.2.4). Empty slots, the oldest ones, stay zeros and leave the state as it starts.
    """

    def build(self, turns_shape, present_shape=None):
        """Makes the weights for turns of shape [B, slots, D]."""
        # Unrolled: the slots are few, and their number is fixed.
        self.gru = keras.layers.GRU(turns_shape[-1], return_sequences=True, unroll=True, name="gru")
        self.gru.build(turns_shape)
        self.built = True

    def call(self, turns, present):
        """Turns float32 [B, slots, D], slot 0 the current one, of such turns and bool [B, slots]."""
        mask = ops.flip(present, axis=1)
        read = ops.flip(self.gru(ops.flip(turns, axis=1), mask=mask), axis=1)
        return turns + read * ops.cast(present, turns.dtype)[..., None]


CONTEXTS = {"none": NoContext, "gru": GRUContext}
