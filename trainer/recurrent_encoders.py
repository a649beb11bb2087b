"""Recurrent encoders. They follow the conventions of `encoders`.

Each may read in both directions, a turn's own tokens from its end to its start, and be stacked. On a CPU the cells run
over packed rows (`recurrent_cells`); on a GPU Keras' layers run, without a mask, so that cuDNN takes them.
"""

import keras
import tensorflow as tf
from keras import ops

from trainer.encoder import Encoder
from trainer.recurrent_cells import GRU, LSTM, PEEPHOLE_LSTM, SIMPLE_RNN, Packing, recur

PACKAGE = "turnwise"


class RecurrentEncoder(Encoder):
    """What every recurrent encoder is. The weights are in layers of Keras, or of its manner."""

    # Of `recurrent_cells`, and how many matrices its state is.
    cell, parts = None, 1

    def __init__(self, units: int, encoder_layers: int = 1, bidirectional: bool = False, dropout: float = 0.0,
                 token_dropout: float = 0.0, seed: int = 0, **kwargs):
        """Makes the encoder.

        Args:
            units: size of a token's state, in each direction.
            encoder_layers: readers stacked.
            bidirectional: read in both directions.
            dropout: share of the states' elements set to zero in training between stacked readers.
            token_dropout: share of the tokens whose vectors are zeros in training.
            seed: of the dropout.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(units, **kwargs)
        # XLA can't compile shapes that follow from the data, nor cuDNN's kernels.
        self.supports_jit = False
        self.encoder_layers, self.bidirectional = encoder_layers, bidirectional
        self.dropout_rate, self.token_dropout_rate, self.seed = dropout, token_dropout, seed
        names = ["rnn", *(f"rnn_{layer}" for layer in range(1, encoder_layers))]
        self.forward_layers = [self._layer(name) for name in names]
        self.backward_layers = [self._layer(f"backward_{name}") for name in names if bidirectional]
        self.dropouts = [keras.layers.Dropout(dropout, seed=seed + layer) for layer in range(1, encoder_layers)]

    @property
    def rnn(self):
        """The first layer that reads forwards."""
        return self.forward_layers[0]

    @property
    def output_dim(self) -> int:
        """Size of a token's state."""
        return self.units + self.backward_dim

    @property
    def backward_dim(self) -> int:
        """How much of a state, at its end, was read from the turn's end to its start."""
        return self.units * self.bidirectional

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        for layers in (self.forward_layers, self.backward_layers):
            for number, layer in enumerate(layers):
                layer.build((None, None, self.output_dim if number else vectors_shape[-1]))
        self.built = True

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States [N, L, output_dim]; see `encoders`. Without dropout, equal tokens must have equal vectors."""
        rows, size = tf.shape(vectors)[0], tf.shape(vectors)[1]
        lengths = tf.fill([rows], size) if lengths is None else tf.cast(lengths, tf.int32)
        if tf.config.list_logical_devices("GPU") and getattr(self.rnn, "use_cudnn", False):
            return self._read_padded(vectors, lengths, training)
        packing = Packing(lengths, size)
        return packing.unpack(self._read_packed(vectors, token_ids, packing, training), rows, size)

    def _read_padded(self, states, lengths, training):
        """States [N, L, output_dim] of token vectors [N, L, E], by the layers of Keras."""
        for number, layer in enumerate(self.forward_layers):
            if number:
                states = self.dropouts[number - 1](states, training=training)
            found = [layer(states)]
            if self.bidirectional:
                backward = self.backward_layers[number](tf.reverse_sequence(states, lengths, seq_axis=1))
                found.append(tf.reverse_sequence(backward, lengths, seq_axis=1))
            states = tf.concat(found, -1)
        return states

    def _read_packed(self, vectors, token_ids, packing, training):
        """Packed states [P, output_dim] of padded token vectors [N, L, E]."""
        states, places = self._distinct(vectors, token_ids, packing, training)
        for number, layer in enumerate(self.forward_layers):
            if number:
                states, places = self.dropouts[number - 1](states, training=training), None
            found = [self._run(layer, states, places, packing)]
            if self.bidirectional:
                mirrored = packing.mirror if places is None else tf.gather(places, packing.mirror)
                backward = self._run(self.backward_layers[number], states, mirrored, packing)
                found.append(tf.gather(backward, packing.mirror))
            states = tf.concat(found, -1)
        return states

    def _distinct(self, vectors, token_ids, packing, training):
        """Token vectors [M, E], and which of them each packed token has, int32 [P]; None for each its own.

        A batch has many tokens, but few distinct ones. Dropout makes them all differ.
        """
        flat = tf.reshape(vectors, [-1, vectors.shape[2]])
        if token_ids is None or training and (self.dropout_rate or self.token_dropout_rate):
            return tf.gather(flat, packing.source), None
        ids, places = tf.unique(tf.gather(tf.reshape(token_ids, [-1]), packing.source))
        first = tf.math.unsorted_segment_min(packing.source, places, tf.size(ids))
        return tf.gather(flat, first), places

    def _run(self, layer, values, places, packing):
        """What the cell puts out for packed tokens, [P, units], of what they read: `values` [M, E] at `places`."""
        kernel, bias, kernels = self._weights(layer)
        x = tf.matmul(values, kernel) + bias
        return recur(self.cell, self.parts, x if places is None else tf.gather(x, places), kernels, packing)

    def _weights(self, layer):
        """Kernel and bias of the tokens' projections, and the cell's kernels."""
        return layer.cell.kernel, layer.cell.bias, [layer.cell.recurrent_kernel]

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "encoder_layers": self.encoder_layers, "bidirectional": self.bidirectional,
                "dropout": self.dropout_rate, "token_dropout": self.token_dropout_rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SimpleRNNEncoder(RecurrentEncoder):
    """The states of a simple recurrent network, h' = tanh(W x + U h + b)."""

    cell = SIMPLE_RNN

    def _layer(self, name: str):
        return keras.layers.SimpleRNN(self.units, return_sequences=True, name=name)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LSTMEncoder(RecurrentEncoder):
    """The states of an LSTM, as in the weekly report."""

    cell, parts = LSTM, 2

    def _layer(self, name: str):
        return keras.layers.LSTM(self.units, return_sequences=True, name=name)


@keras.saving.register_keras_serializable(package=PACKAGE)
class GRUEncoder(RecurrentEncoder):
    """The states of a GRU, as Keras has it. Source: the textbook (10.1)."""

    cell = GRU

    def _layer(self, name: str):
        return keras.layers.GRU(self.units, return_sequences=True, name=name)

    def _weights(self, layer):
        kernel, (bias, reset_bias) = layer.cell.kernel, tf.unstack(tf.convert_to_tensor(layer.cell.bias))
        two = 2 * self.units
        # The biases of products that are not reset join the tokens' projections; that of the reset one goes beside.
        return (tf.pad(kernel, [[0, 0], [0, self.units]]),
                tf.concat([bias[:two] + reset_bias[:two], bias[two:], reset_bias[two:]], 0),
                [layer.cell.recurrent_kernel])


@keras.saving.register_keras_serializable(package=PACKAGE)
class PeepholeLSTMEncoder(RecurrentEncoder):
    """The states of an LSTM whose gates see the cell state through full matrices. Source: the seed facts (3.8)."""

    cell, parts = PEEPHOLE_LSTM, 2

    def _layer(self, name: str):
        return PeepholeLSTM(self.units, name=name)

    def _weights(self, layer):
        peepholes = tf.convert_to_tensor(layer.peephole_kernel)
        i_and_f, o = peepholes[:, :2 * self.units], peepholes[:, 2 * self.units:]
        return layer.kernel, layer.bias, [layer.recurrent_kernel, i_and_f, o]


class PeepholeLSTM(keras.layers.Layer):
    """The weights of a peephole LSTM: Keras' LSTM's, and `peephole_kernel` [units, 3 units] for i, f, o.

    The peepholes are initialized like the recurrent kernel.
    """

    def __init__(self, units: int, **kwargs):
        """Makes the layer of `units` numbers."""
        super().__init__(**kwargs)
        self.units = units

    def build(self, vectors_shape):
        """Makes the weights for token vectors of shape [..., E]."""
        units = self.units
        self.kernel = self.add_weight(shape=(vectors_shape[-1], 4 * units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(units, 4 * units), initializer="orthogonal",
                                                name="recurrent_kernel")
        self.peephole_kernel = self.add_weight(shape=(units, 3 * units), initializer="orthogonal",
                                               name="peephole_kernel")
        self.bias = self.add_weight(shape=(4 * units,), initializer="zeros", name="bias")
        # The forget gates start open, as Keras has it.
        self.bias.assign(ops.concatenate([ops.zeros(units), ops.ones(units), ops.zeros(2 * units)]))


RECURRENT_ENCODERS = {
    "simple_rnn": SimpleRNNEncoder,
    "lstm": LSTMEncoder,
    "gru": GRUEncoder,
    "peephole_lstm": PeepholeLSTMEncoder,
}
