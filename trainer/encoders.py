"""Encoders: from a turn's token ids to one vector. They see each distinct turn of a batch once."""

import keras
from keras import ops

PACKAGE = "turnwise"


class TurnEncoder(keras.layers.Layer):
    """What every encoder is: token vectors, dropout on them, and a way to read them.

    A subclass makes its parts in `__init__`, builds them in `build_reader` and reads in `read`.
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, units: int, mask_padding: bool = True,
                 padding: str = "right", dropout: float = 0.0, seed: int = 0, **kwargs):
        """Makes the encoder.

        Args:
            vocabulary_size: number of token ids, padding included.
            embedding_dim: size of a token's vector.
            units: size of a turn's vector.
            mask_padding: read each turn at its own length; otherwise padding is read as a word.
            padding: the side where padding lies when it is read as a word, `left` or `right`.
            dropout: share of the token vectors' elements set to zero in training.
            seed: of the dropout.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.units = units
        self.mask_padding = mask_padding
        self.padding = padding
        self.dropout_rate = dropout
        self.seed = seed
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
        self.dropout = keras.layers.Dropout(dropout, seed=seed)

    @property
    def output_dim(self) -> int:
        """Size of a turn's vector."""
        return self.units

    def build(self, token_ids_shape, lengths_shape=None):
        """Makes the weights; they depend on no shape of the input."""
        self.embedding.build(token_ids_shape)
        self.build_reader((None, None, self.embedding_dim))

    def build_reader(self, vectors_shape):
        """Makes the reader's weights for token vectors of shape [N, L, embedding_dim]."""
        raise NotImplementedError

    def read(self, vectors, lengths):
        """Turn vectors float32 [N, D] of token vectors float32 [N, L, E] and lengths int [N]; zeros at length 0.

        `lengths` is None when padding is to be read as a word.
        """
        raise NotImplementedError

    def call(self, token_ids, lengths, training=None):
        """Encodes turns.

        Args:
            token_ids: int32 [N, L], padded on the right with 0.
            lengths: int32 [N], tokens of each turn, 0 for an empty one.
            training: whether dropout is active.

        Returns:
            float32 [N, D]; with `mask_padding`, zeros for an empty turn.
        """
        if self.padding == "left" and not self.mask_padding:
            token_ids = padded_left(token_ids, lengths)
        vectors = self.dropout(self.embedding(token_ids), training=training)
        return self.read(vectors, lengths if self.mask_padding else None)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size, "embedding_dim": self.embedding_dim,
                "units": self.units, "mask_padding": self.mask_padding, "padding": self.padding,
                "dropout": self.dropout_rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class LSTMEncoder(TurnEncoder):
    """The last state of an LSTM, as in the weekly report."""

    def __init__(self, *args, **kwargs):
        """Makes the encoder; the arguments are those of `TurnEncoder`."""
        super().__init__(*args, **kwargs)
        self.rnn = keras.layers.LSTM(self.units, return_sequences=self.mask_padding, name="rnn")

    def build_reader(self, vectors_shape):
        """Makes the LSTM's weights for token vectors of shape [N, L, embedding_dim]."""
        self.rnn.build(vectors_shape)

    def read(self, vectors, lengths):
        """The state after the turn's last token, float32 [N, units]; zeros at length 0."""
        states = self.rnn(vectors)
        return states if lengths is None else last_state(states, lengths)


def last_state(states, lengths):
    """The state after the last token, float32 [N, D], of states float32 [N, L, D] and lengths int [N].

    Zeros at length 0. A recurrent layer without a mask, read at length - 1, equals one with a mask, and cuDNN always
    takes it.
    """
    last = ops.maximum(lengths - 1, 0)[:, None, None]
    picked = ops.squeeze(ops.take_along_axis(states, last, axis=1), axis=1)
    return ops.where((lengths > 0)[:, None], picked, 0.0)


def padded_left(token_ids, lengths):
    """Token ids int32 [N, L] padded on the left with 0, of ones padded on the right and lengths int [N]."""
    size = ops.shape(token_ids)[1]
    source = ops.arange(size)[None, :] - (size - lengths)[:, None]
    return ops.where(source >= 0, ops.take_along_axis(token_ids, ops.maximum(source, 0), axis=1), 0)


ENCODERS = {"lstm": LSTMEncoder}
