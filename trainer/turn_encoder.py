"""The encoder of a turn: token vectors, a reader, a read-out. It sees each distinct turn of a batch once."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class TurnEncoder(keras.layers.Layer):
    """f(x) = readout(reader(embedding(x))), shared by the current turn and its history."""

    def __init__(self, embedding, reader, readout, mask_padding: bool = True, padding: str = "right",
                 dropout: float = 0.0, token_dropout: float = 0.0, seed: int = 0, **kwargs):
        """Makes the encoder of its parts.

        Args:
            embedding: of the family `embeddings`.
            reader: of the family `encoders`.
            readout: of the family `readouts`.
            mask_padding: read each turn at its own length; otherwise padding is read as a word.
            padding: the side where padding lies when it is read as a word, `left` or `right`.
            dropout: share of the token vectors' elements set to zero in training.
            token_dropout: share of the tokens whose whole vector is set to zero in training.
            seed: of the dropout.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.embedding, self.reader, self.readout = embedding, reader, readout
        self.mask_padding, self.padding = mask_padding, padding
        self.dropout_rate, self.token_dropout_rate, self.seed = dropout, token_dropout, seed
        self.dropout = keras.layers.Dropout(dropout, seed=seed)
        self.token_dropout = keras.layers.Dropout(token_dropout, noise_shape=(None, None, 1), seed=seed + 1)

    @property
    def output_dim(self) -> int:
        """Size of a turn's vector."""
        return self.readout.output_dim(self.reader.output_dim)

    def build(self, token_ids_shape=None, lengths_shape=None):
        """Makes the weights; they depend on no shape of the input. Parts read from a file are built already."""
        vectors, states = (None, None, self.embedding.output_dim), (None, None, self.reader.output_dim)
        for part, shape in ((self.embedding, (None, None)), (self.reader, vectors), (self.readout, states)):
            if not part.built:
                part.build(shape)

    def states(self, token_ids, lengths, training=None):
        """The tokens' states float32 [N, L, D] of token ids int32 [N, L] and lengths int32 [N]; see `call`."""
        if self.padding == "left" and not self.mask_padding:
            token_ids = padded_left(token_ids, lengths)
        vectors = self.token_dropout(self.embedding(token_ids), training=training)
        vectors = self.dropout(vectors, training=training)
        return self.reader(vectors, self._read_lengths(lengths), token_ids, training=training)

    def call(self, token_ids, lengths, share=1.0, training=None):
        """Encodes turns.

        Args:
            token_ids: int32 [N, L], padded on the right with 0.
            lengths: int32 [N], tokens of each turn, 0 for an empty one.
            share: how much of the batch's turns these are; so much of a read-out's penalty counts.
            training: whether dropout is active.

        Returns:
            float32 [N, output_dim]; with `mask_padding`, zeros for an empty turn.
        """
        states = self.states(token_ids, lengths, training=training)
        return self.readout(states, self._read_lengths(lengths), share=share)

    def _read_lengths(self, lengths):
        """The lengths for parts that mask; None when padding is read as a word."""
        return lengths if self.mask_padding else None

    def get_config(self):
        """The constructor's arguments."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name))
                 for name in ("embedding", "reader", "readout")}
        return {**super().get_config(), **parts, "mask_padding": self.mask_padding, "padding": self.padding,
                "dropout": self.dropout_rate, "token_dropout": self.token_dropout_rate, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        """Makes the encoder that `get_config` describes."""
        parts = {name: keras.saving.deserialize_keras_object(config[name])
                 for name in ("embedding", "reader", "readout")}
        return cls(**{**config, **parts})


def padded_left(token_ids, lengths):
    """Token ids int32 [N, L] padded on the left with 0, of ones padded on the right and lengths int [N]."""
    size = ops.shape(token_ids)[1]
    source = ops.arange(size)[None, :] - (size - lengths)[:, None]
    return ops.where(source >= 0, ops.take_along_axis(token_ids, ops.maximum(source, 0), axis=1), 0)
