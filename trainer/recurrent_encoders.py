"""Recurrent encoders. They follow the conventions of `encoders`."""

import keras

from trainer.encoder import Encoder

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class LSTMEncoder(Encoder):
    """The states of an LSTM, as in the weekly report."""

    def __init__(self, units: int, **kwargs):
        """Makes the encoder; `units` is the size of a token's state."""
        super().__init__(units, **kwargs)
        self.rnn = keras.layers.LSTM(units, return_sequences=True, name="rnn")

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        self.rnn.build(vectors_shape)

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States float32 [N, L, units] of token vectors float32 [N, L, E]."""
        # Without a mask, states at a turn's own positions are right, and cuDNN always takes it.
        return self.rnn(vectors)


RECURRENT_ENCODERS = {"lstm": LSTMEncoder}
