"""Read-outs: from the states of a turn's tokens to one vector.

All take states float32 [N, L, D] and lengths int [N], and give zeros at length 0; without lengths (None) every position
counts, padding too. `share` is how much of a batch's turns these are: so much of a penalty counts.
"""

import keras
import tensorflow as tf
from keras import ops

from trainer.masking import MASKED_SCORE, masked_softmax, token_mask

PACKAGE = "turnwise"


class Readout(keras.layers.Layer):
    """What every read-out is: a size, and masks that are explicit."""

    def output_dim(self, state_dim: int) -> int:
        """Size of a turn's vector, given the size of a token's state."""
        return state_dim

    def build(self, states_shape, lengths_shape=None, share_shape=None):
        """Makes the weights, if any, for states of shape [N, L, D]."""
        self.built = True


@keras.saving.register_keras_serializable(package=PACKAGE)
class LastState(Readout):
    """The state after the last token; of the part that read backwards, the state at the first token."""

    def __init__(self, backward_dim: int = 0, **kwargs):
        """Makes the read-out; the last `backward_dim` numbers of a state were read from the turn's end to its start."""
        super().__init__(**kwargs)
        self.backward_dim = backward_dim

    def call(self, states, lengths=None, share=1.0):
        """Turn vectors float32 [N, D] of states float32 [N, L, D] and lengths int [N]."""
        last = states[:, -1] if lengths is None else last_state(states, lengths)
        if not self.backward_dim:
            return last
        first = states[:, 0] if lengths is None else ops.where((lengths > 0)[:, None], states[:, 0], 0.0)
        return ops.concatenate([last[:, :-self.backward_dim], first[:, -self.backward_dim:]], axis=-1)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "backward_dim": self.backward_dim}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanState(Readout):
    """The mean of the tokens' states. Source: the textbook's sentiment LSTM (9.2), which forgot the mask."""

    def call(self, states, lengths=None, share=1.0):
        """Turn vectors float32 [N, D] of states float32 [N, L, D] and lengths int [N]."""
        if lengths is None:
            return ops.mean(states, axis=1)
        present = ops.cast(token_mask(states, lengths), states.dtype)
        count = ops.cast(ops.maximum(lengths, 1), states.dtype)
        return ops.einsum("nld,nl->nd", states, present) / count[:, None]


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaxState(Readout):
    """The largest value of each number over the tokens. Source: max-over-time of the textbook's TextCNN (7.3)."""

    def call(self, states, lengths=None, share=1.0):
        """Turn vectors float32 [N, D] of states float32 [N, L, D] and lengths int [N]."""
        if lengths is None:
            return ops.max(states, axis=1)
        low = ops.cast(-6e4 if states.dtype == "float16" else MASKED_SCORE, states.dtype)
        largest = ops.max(ops.where(token_mask(states, lengths)[..., None], states, low), axis=1)
        return ops.where((lengths > 0)[:, None], largest, ops.zeros_like(largest))


@keras.saving.register_keras_serializable(package=PACKAGE)
class SelfAttention(Readout):
    """Structured self-attention: A = softmax(W_s2 tanh(W_s1 H^T)) over the tokens, M = A H, all rows one after another.

    The penalty ||A A^T - I||_F^2 of each turn, in the mean over the turns that are not empty, times a coefficient, is
    added to the loss. Source: the textbook (11.2.1; its code, 11.4, normalises over the views and takes the
    unsquared norm of the whole batch, see the seed facts 3.9).
    """

    def __init__(self, readout_hops: int = 4, readout_units: int = 64, readout_penalty: float = 0.0, **kwargs):
        """Makes the read-out of r = `readout_hops` views with a hidden layer of `readout_units` (d_a)."""
        super().__init__(**kwargs)
        self.readout_hops, self.readout_units, self.readout_penalty = readout_hops, readout_units, readout_penalty
        self.hidden = keras.layers.Dense(readout_units, "tanh", use_bias=False, name="hidden")
        self.views = keras.layers.Dense(readout_hops, use_bias=False, name="views")

    def output_dim(self, state_dim: int) -> int:
        """Size of a turn's vector: one state a view."""
        return self.readout_hops * state_dim

    def build(self, states_shape, lengths_shape=None, share_shape=None):
        """Makes the weights for states of shape [N, L, D]."""
        self.hidden.build(states_shape)
        self.views.build((None, None, self.readout_units))

    def weights_of(self, states, lengths=None):
        """The weights A float32 [N, r, L]; zeros at padding and at length 0."""
        scores = ops.transpose(self.views(self.hidden(states)), (0, 2, 1))
        return masked_softmax(scores, None if lengths is None else token_mask(states, lengths)[:, None])

    def call(self, states, lengths=None, share=1.0):
        """Turn vectors float32 [N, r D] of states float32 [N, L, D] and lengths int [N]."""
        attention = self.weights_of(states, lengths)
        if self.readout_penalty:
            present = ops.ones_like(attention[:, 0, 0]) if lengths is None else ops.cast(lengths > 0, "float32")
            penalty = ops.sum(view_penalty(attention) * present) / ops.maximum(ops.sum(present), 1.0)
            # `share` has come in the precision of the states.
            self.add_loss(self.readout_penalty * ops.cast(share, "float32") * penalty)
        views = ops.einsum("nrl,nld->nrd", ops.cast(attention, states.dtype), states)
        return ops.reshape(views, (-1, self.readout_hops * states.shape[-1]))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "readout_hops": self.readout_hops, "readout_units": self.readout_units,
                "readout_penalty": self.readout_penalty}


def view_penalty(attention):
    """||A A^T - I||_F^2 of each turn, float32 [N], of weights A float32 [N, r, L]."""
    alike = ops.einsum("nrl,nsl->nrs", attention, attention)
    return ops.sum(ops.square(alike - ops.eye(attention.shape[1])), axis=(1, 2))


def last_state(states, lengths):
    """The state after the last token, float32 [N, D], of states float32 [N, L, D] and lengths int [N].

    Zeros at length 0. A recurrent layer without a mask, read at length - 1, equals one with a mask, and cuDNN always
    takes it.
    """
    # Not Keras' take_along_axis, which turns all states around first.
    picked = tf.gather(states, ops.maximum(lengths - 1, 0), batch_dims=1)
    return ops.where((lengths > 0)[:, None], picked, ops.zeros_like(picked))


READOUTS = {"last": LastState, "mean": MeanState, "max": MaxState, "self_attention": SelfAttention}
