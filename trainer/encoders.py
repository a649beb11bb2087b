"""Encoders: from token vectors to one state a token, read out by a read-out.

All take vectors float32 [N, L, E], lengths int [N] (None when padding is to be read as a word) and token ids int32
[N, L], and give states float32 [N, L, output_dim]. With lengths, what a turn's own positions hold depends on its own
tokens alone; what stands at padding is left to the read-out.
"""

import keras
from keras import ops

from trainer.encoder import Encoder
from trainer.masking import masked_softmax, token_mask
from trainer.ngram_encoder import NgramBagEncoder
from trainer.recurrent_encoders import RECURRENT_ENCODERS

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class BagEncoder(Encoder):
    """Each token for itself: its vector, projected. With the mean as read-out, a bag of embeddings.

    Source: the textbook's bottom-up composition (14.2a), the floor that reading order has to beat.
    """

    def __init__(self, units: int, **kwargs):
        """Makes the encoder."""
        super().__init__(units, **kwargs)
        self.dense = keras.layers.Dense(units, name="projection")

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        self.dense.build(vectors_shape)

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States float32 [N, L, units]; see the module."""
        return self.dense(vectors)


@keras.saving.register_keras_serializable(package=PACKAGE)
class TextCNNEncoder(Encoder):
    """Convolutions of several widths side by side: c_i = relu(W x_{i:i+h-1} + b), `units` filters a width.

    A window starts at each token and may reach beyond the turn's end, where all is zero. With the maximum as read-out,
    Kim's TextCNN. Source: the textbook (7.3.1: widths 3, 4, 5 of 100 filters).
    """

    # Where a window's first token stands in Keras' padding.
    padding = "right"

    def __init__(self, units: int, kernel_sizes=(3, 4, 5), encoder_layers: int = 1, dropout: float = 0.0, seed: int = 0,
                 **kwargs):
        """Makes the encoder of `units` filters for each of `kernel_sizes`, in `encoder_layers` layers."""
        super().__init__(units, **kwargs)
        self.kernel_sizes, self.encoder_layers = tuple(kernel_sizes), encoder_layers
        self.dropout_rate, self.seed = dropout, seed
        self.layers = [[keras.layers.Conv1D(units, size, padding="valid", activation="relu", name=f"conv{layer}_{size}")
                        for size in self.kernel_sizes] for layer in range(encoder_layers)]
        self.dropouts = [keras.layers.Dropout(dropout, seed=seed + layer) for layer in range(1, encoder_layers)]

    @property
    def output_dim(self) -> int:
        """Size of a token's state."""
        return self.units * len(self.kernel_sizes)

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        size = vectors_shape[-1]
        for convolutions in self.layers:
            for convolution in convolutions:
                convolution.build((None, None, size))
            size = self.output_dim
        self.built = True

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States float32 [N, L, output_dim]; see the module."""
        states = vectors
        for layer, convolutions in enumerate(self.layers):
            if layer:
                states = self.dropouts[layer - 1](states, training=training)
            states = zero_padding(states, lengths)
            found = [convolution(self._padded(states, size))
                     for convolution, size in zip(convolutions, self.kernel_sizes, strict=True)]
            states = ops.concatenate(found, axis=-1) if len(found) > 1 else found[0]
        return states

    def _padded(self, states, size: int):
        """The states with as many zeros around them that a convolution of `size` gives one state a token."""
        before = 0 if self.padding == "right" else (size - 1) // 2
        return ops.pad(states, ((0, 0), (before, size - 1 - before), (0, 0)))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "kernel_sizes": list(self.kernel_sizes), "encoder_layers": self.encoder_layers,
                "dropout": self.dropout_rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Conv1DEncoder(TextCNNEncoder):
    """Convolutions centred on each token, `units` filters a width. Source: the textbook's imdb_cnn (7.3.4)."""

    padding = "same"


@keras.saving.register_keras_serializable(package=PACKAGE)
class TransformerEncoder(Encoder):
    """Transformer blocks: self-attention over the turn's tokens, then a feed-forward layer four times as wide.

    Sinusoidal positions are added to the projected token vectors. Source: Vaswani et al. 2017; pre-norm as in Xiong
    et al. 2020. The textbook's chapter on it has no body.
    """

    def __init__(self, units: int, encoder_layers: int = 1, encoder_heads: int = 4, dropout: float = 0.0,
                 seed: int = 0, **kwargs):
        """Makes `encoder_layers` blocks of `encoder_heads` heads; `units` must be a multiple of the heads."""
        super().__init__(units, **kwargs)
        if units % encoder_heads:
            raise ValueError(f"encoder_heads: {encoder_heads} does not divide units, {units}")
        self.encoder_layers, self.encoder_heads = encoder_layers, encoder_heads
        self.dropout_rate, self.seed = dropout, seed
        self.projection = keras.layers.Dense(units, name="projection")
        self.blocks = [self._block(number) for number in range(encoder_layers)]
        self.norm = keras.layers.LayerNormalization(name="norm")

    def _block(self, number: int) -> dict:
        """The layers of one block."""
        return {
            "norm1": keras.layers.LayerNormalization(name=f"norm1_{number}"),
            "query": keras.layers.Dense(3 * self.units, use_bias=False, name=f"query_key_value_{number}"),
            "output": keras.layers.Dense(self.units, name=f"output_{number}"),
            "norm2": keras.layers.LayerNormalization(name=f"norm2_{number}"),
            "wide": keras.layers.Dense(4 * self.units, "gelu", name=f"wide_{number}"),
            "narrow": keras.layers.Dense(self.units, name=f"narrow_{number}"),
            "dropout1": keras.layers.Dropout(self.dropout_rate, seed=self.seed + 2 * number),
            "dropout2": keras.layers.Dropout(self.dropout_rate, seed=self.seed + 2 * number + 1),
        }

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        states = (None, None, self.units)
        self.projection.build(vectors_shape)
        for block in self.blocks:
            for name, layer in block.items():
                if not name.startswith("dropout"):
                    layer.build((None, None, 4 * self.units) if name == "narrow" else states)
        self.norm.build(states)
        self.built = True

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States float32 [N, L, units]; see the module."""
        states = self.projection(vectors)
        states = states + ops.cast(sinusoids(ops.shape(states)[1], self.units), states.dtype)
        present = None if lengths is None else token_mask(states, lengths)
        for block in self.blocks:
            attended = block["output"](self._attend(block["query"](block["norm1"](states)), present))
            states = states + block["dropout1"](attended, training=training)
            wide = block["narrow"](block["wide"](block["norm2"](states)))
            states = states + block["dropout2"](wide, training=training)
        return self.norm(states)

    def _attend(self, query_key_value, present):
        """Scaled dot attention of the heads, [N, L, units], of queries, keys, values side by side [N, L, 3 units]."""
        size, heads = self.units // self.encoder_heads, self.encoder_heads
        length = ops.shape(query_key_value)[1]
        query, key, value = ops.unstack(ops.reshape(query_key_value, (-1, length, 3, heads, size)), 3, axis=2)
        scores = ops.einsum("nihs,njhs->nhij", query, key) / size**0.5
        weights = masked_softmax(scores, None if present is None else present[:, None, None])
        attended = ops.einsum("nhij,njhs->nihs", ops.cast(weights, value.dtype), value)
        return ops.reshape(attended, (-1, length, self.units))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "encoder_layers": self.encoder_layers, "encoder_heads": self.encoder_heads,
                "dropout": self.dropout_rate, "seed": self.seed}


def sinusoids(length, size: int):
    """Positions float32 [length, size]: sin and cos of place / 10000^(2i / size). Source: Vaswani et al. 2017."""
    half = (size + 1) // 2
    angles = ops.cast(ops.arange(length), "float32")[:, None] / 10000.0 ** (
        ops.cast(ops.arange(half), "float32")[None, :] / half)
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[:, :size]


def zero_padding(states, lengths):
    """The states [N, L, D] with zeros at padding, so that no convolution sees it; as they are without lengths."""
    if lengths is None:
        return states
    return ops.where(token_mask(states, lengths)[..., None], states, ops.zeros_like(states))


ENCODERS = {
    "bag": BagEncoder,
    **RECURRENT_ENCODERS,
    "text_cnn": TextCNNEncoder,
    "conv1d": Conv1DEncoder,
    "transformer": TransformerEncoder,
    "ngram_bag": NgramBagEncoder,
}
