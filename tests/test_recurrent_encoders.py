"""Recurrent encoders against Keras' own layers and against their formulas."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import load_config
from trainer.models import Sizes, build_model, load_model
from trainer.readouts import LastState
from trainer.recurrent_cells import Packing
from trainer.recurrent_encoders import RECURRENT_ENCODERS

KERAS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
LENGTHS = np.array([3, 7, 0, 1, 7, 5, 2, 0, 4], np.int32)
ROWS, SIZE, DIM, UNITS = len(LENGTHS), 7, 4, 6
PRESENT = np.arange(SIZE) < LENGTHS[:, None]
IDS = tf.constant([[3, 4, 0, 0], [5, 6, 7, 8], [0, 0, 0, 0]])


@pytest.fixture(scope="module")
def token_ids():
    """Token ids int32 [ROWS, SIZE], padded on the right with 0."""
    return np.random.default_rng(1).integers(1, 5, (ROWS, SIZE)).astype(np.int32) * PRESENT


@pytest.fixture(scope="module")
def vectors(token_ids):
    """Token vectors float32 [ROWS, SIZE, DIM], equal for equal tokens; padding has one too."""
    return tf.constant(np.random.default_rng(2).normal(size=(5, DIM)).astype(np.float32)[token_ids])


def make_encoder(name, **settings):
    keras.utils.set_random_seed(3)
    encoder = RECURRENT_ENCODERS[name](UNITS, **settings)
    encoder.build((None, None, DIM))
    # No bias of zeros, which would hide a mistake.
    for index, weight in enumerate(encoder.weights):
        weight.assign(weight + keras.random.normal(weight.shape, stddev=0.1, seed=index))
    return encoder


def keras_network(name, layers, bidirectional):
    """Keras' own layers, masked."""
    made = [KERAS[name](UNITS, return_sequences=True) for _ in range(layers)]
    if bidirectional:
        made = [keras.layers.Bidirectional(layer) for layer in made]
    for number, layer in enumerate(made):
        layer.build((None, None, UNITS * (1 + bidirectional) if number else DIM))

    def network(vectors, mask):
        for layer in made:
            vectors = layer(vectors, mask=mask)
        return vectors

    return network, [weight for layer in made for weight in layer.trainable_weights]


def in_keras_order(encoder):
    """The weights layer by layer, forwards before backwards."""
    pairs = zip(encoder.forward_layers, encoder.backward_layers or [None] * encoder.encoder_layers, strict=True)
    return [weight for pair in pairs for layer in pair if layer for weight in layer.trainable_weights]


def states_and_gradients(network, vectors, weights, present):
    """States at tokens, zeros elsewhere, and the gradients of a figure of them for token vectors and weights."""
    weights = [weight.value for weight in weights]
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        states = network(vectors) * present[..., None].astype(np.float32)
        figure = tf.reduce_sum(states * tf.sin(tf.reshape(tf.range(tf.size(states), dtype=tf.float32), states.shape)))
    return states, tape.gradient(figure, [vectors, *weights])


def assert_same(ours, theirs):
    (states, gradients), (expected, expected_gradients) = ours, theirs
    np.testing.assert_allclose(states, expected, atol=1e-5)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        assert np.abs(theirs).max() > 0.01
        np.testing.assert_allclose(tf.convert_to_tensor(ours), theirs, atol=1e-4)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, True)])
@pytest.mark.parametrize("name", KERAS)
def test_states_and_gradients_are_those_of_keras(name, layers, bidirectional, masked, vectors, token_ids):
    encoder = make_encoder(name, encoder_layers=layers, bidirectional=bidirectional)
    network, weights = keras_network(name, layers, bidirectional)
    for ours, theirs in zip(in_keras_order(encoder), weights, strict=True):
        theirs.assign(ours)
    lengths, mask, present = (LENGTHS, PRESENT, PRESENT) if masked else (None, None, np.ones_like(PRESENT))
    expected = states_and_gradients(lambda given: network(given, mask), vectors, weights, present)
    ours = in_keras_order(encoder)
    assert encoder.output_dim == UNITS * (1 + bidirectional)
    assert_same(states_and_gradients(lambda given: encoder(given, lengths), vectors, ours, present), expected)
    distinct = states_and_gradients(lambda given: encoder(given, lengths, token_ids), vectors, ours, present)
    # The vectors of equal tokens share what comes back; the table of token vectors gets the sum either way.
    assert_same((distinct[0], [by_token(distinct[1][0], token_ids), *distinct[1][1:]]),
                (expected[0], [by_token(expected[1][0], token_ids), *expected[1][1:]]))
    read = LENGTHS if masked else np.full(ROWS, SIZE)
    on_a_gpu = states_and_gradients(lambda given: encoder._read_padded(given, read, None), vectors, ours, present)
    assert_same(on_a_gpu, expected)


def by_token(gradient, token_ids):
    """The gradient of a table of token vectors, of that of the vectors."""
    return tf.math.unsorted_segment_sum(tf.reshape(gradient, [-1, DIM]), token_ids.reshape(-1), 5)


def sigmoid(x):
    return 1 / (1 + tf.exp(-x))


def peephole_states(vectors, kernel, recurrent, bias, peephole):
    """The states of one turn [L, E], formula by formula (seed facts, 3.8)."""
    w_i, w_f, w_c, w_o = tf.split(kernel, 4, axis=1)
    u_i, u_f, u_c, u_o = tf.split(recurrent, 4, axis=1)
    b_i, b_f, b_c, b_o = tf.split(bias, 4)
    p_i, p_f, p_o = tf.split(peephole, 3, axis=1)
    h = c = tf.zeros([1, UNITS])
    states = []
    for x in tf.unstack(vectors[:, None]):
        i = sigmoid(x @ w_i + h @ u_i + c @ p_i + b_i)
        f = sigmoid(x @ w_f + h @ u_f + c @ p_f + b_f)
        c = f * c + i * tf.tanh(x @ w_c + h @ u_c + b_c)
        o = sigmoid(x @ w_o + h @ u_o + c @ p_o + b_o)
        h = o * tf.tanh(c)
        states.append(h)
    return tf.concat(states, 0)


def peephole_network(layer):
    """Each turn by itself, with the weights of a layer."""
    weights = [layer.kernel.value, layer.recurrent_kernel.value, layer.bias.value, layer.peephole_kernel.value]

    def network(vectors):
        turns = []
        for row, length in enumerate(LENGTHS):
            states = peephole_states(vectors[row, :length], *weights) if length else tf.zeros([0, UNITS])
            turns.append(tf.pad(states, [[0, SIZE - length], [0, 0]]))
        return tf.stack(turns)

    return network


def test_the_peephole_lstm_is_its_formulas(vectors):
    encoder = make_encoder("peephole_lstm")
    layer = encoder.rnn
    ours = states_and_gradients(lambda given: encoder(given, LENGTHS), vectors, layer.trainable_weights, PRESENT)
    assert_same(ours, states_and_gradients(peephole_network(layer), vectors, layer.trainable_weights, PRESENT))


def test_the_peephole_lstm_by_hand():
    # All kernels 1, no bias. x = 1: i = f = sigmoid(1) = 0.731059, c = i tanh(1) = 0.556770,
    # o = sigmoid(1 + c) = 0.825889, h = o tanh(c) = 0.417551. Then x = 0: i = f = sigmoid(h + c) = 0.725980,
    # c' = f c + i tanh(h) = 0.690868, o = sigmoid(h + c') = 0.751834, h' = o tanh(c') = 0.450002.
    encoder = RECURRENT_ENCODERS["peephole_lstm"](1)
    encoder.build((None, None, 1))
    for weight in encoder.weights:
        weight.assign(np.full(weight.shape, float(weight.name != "bias")))
    states = encoder(tf.constant([[[1.0], [0.0]]]), tf.constant([2]))
    np.testing.assert_allclose(states[0, :, 0], [0.417551, 0.450002], atol=1e-6)


def test_the_peepholes_start_orthogonal():
    layer = make_encoder("peephole_lstm").rnn
    fresh = type(layer)(UNITS)
    fresh.build((None, None, DIM))
    assert fresh.peephole_kernel.shape == (UNITS, 3 * UNITS)
    np.testing.assert_allclose(fresh.peephole_kernel @ tf.transpose(fresh.peephole_kernel), np.eye(UNITS), atol=1e-5)
    np.testing.assert_array_equal(fresh.bias, [0] * UNITS + [1] * UNITS + [0] * 2 * UNITS)


@pytest.mark.parametrize("name", RECURRENT_ENCODERS)
def test_the_last_state_of_both_directions(name, vectors):
    encoder = make_encoder(name, bidirectional=True)
    read = LastState(encoder.backward_dim)(encoder(vectors, LENGTHS), LENGTHS)
    for row, length in enumerate(LENGTHS):
        turn = vectors[row:row + 1, :length]
        if not length:
            np.testing.assert_array_equal(read[row], np.zeros(2 * UNITS))
            continue
        # The part that reads backwards is the one that reads forwards, on the turned turn, with its weights.
        np.testing.assert_allclose(read[row, :UNITS], encoder(turn)[0, -1, :UNITS], atol=1e-6)
        turned = make_encoder(name, bidirectional=True)
        for ours, theirs in zip(turned.forward_layers, encoder.backward_layers, strict=True):
            ours.set_weights(theirs.get_weights())
        np.testing.assert_allclose(read[row, UNITS:], turned(turn[:, ::-1])[0, -1, :UNITS], atol=1e-6)


def test_packing():
    packing = Packing(tf.constant([2, 0, 3]), 4)
    np.testing.assert_array_equal(packing.counts, [3, 2, 1])
    np.testing.assert_array_equal(packing.starts, [0, 3, 5])
    # Rows 2, 0 and (for its padding) 1; then 2 and 0; then 2, each four places apart.
    np.testing.assert_array_equal(packing.source, [8, 0, 4, 9, 1, 10])
    np.testing.assert_array_equal(packing.mirror, [5, 4, 2, 3, 1, 0])


@pytest.mark.parametrize("name", RECURRENT_ENCODERS)
def test_any_shape_in_a_graph(name, vectors):
    encoder = make_encoder(name, encoder_layers=2, bidirectional=True)
    signature = [tf.TensorSpec([None, None, DIM]), tf.TensorSpec([None], tf.int32)]
    states_of = tf.function(lambda given, lengths: encoder(given, lengths), input_signature=signature)
    expected = encoder(vectors, LENGTHS)
    np.testing.assert_allclose(states_of(vectors, LENGTHS), expected, atol=1e-6)
    np.testing.assert_allclose(states_of(vectors[3:4, :1], [1]), expected[3:4, :1], atol=1e-6)
    nothing = states_of(vectors[:2], [0, 0])
    assert nothing.shape == (2, SIZE, 2 * UNITS)
    assert np.isfinite(nothing).all()


def test_equal_tokens_differ_by_dropout(vectors, token_ids):
    encoder = make_encoder("lstm", dropout=0.5)
    dropped = vectors * tf.constant(np.random.default_rng(5).integers(0, 2, vectors.shape), tf.float32)
    with_ids = encoder(dropped, LENGTHS, token_ids, training=True)
    np.testing.assert_allclose(with_ids, encoder(dropped, LENGTHS), atol=1e-6)
    assert np.abs(encoder(dropped, LENGTHS, token_ids) - with_ids).max() > 0.01


def test_dropout_between_stacked_readers(vectors):
    encoder = make_encoder("gru", encoder_layers=2, dropout=0.5)
    calm = encoder(vectors, LENGTHS)
    assert np.abs(encoder(vectors, LENGTHS, training=True) - calm).max() > 0.01
    np.testing.assert_array_equal(encoder(vectors, LENGTHS, training=False), calm)
    single = make_encoder("gru", dropout=0.5)
    np.testing.assert_array_equal(single(vectors, LENGTHS, training=True), single(vectors, LENGTHS))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", RECURRENT_ENCODERS)
def test_in_16_bits(name, policy, vectors, token_ids):
    expected = make_encoder(name)(vectors, LENGTHS)
    encoder = make_encoder(name, dtype=policy)
    with tf.GradientTape() as tape:
        states = encoder(vectors, LENGTHS, token_ids)
        figure = tf.reduce_sum(tf.cast(states, tf.float32))
    assert states.dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tf.cast(states, tf.float32), expected, atol=0.03)
    for gradient in tape.gradient(figure, [weight.value for weight in encoder.trainable_weights]):
        assert gradient.dtype == tf.float32
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", RECURRENT_ENCODERS)
def test_save_and_reload_stacked(name, tmp_path):
    settings = [f"encoder={name}", "units=3", "embedding_dim=2", "encoder_layers=2", "bidirectional=true"]
    sizes = Sizes(vocabulary_size=9, max_tokens=4, slots=2, speakers=3, numeric=0, labels=2)
    model = build_model(load_config("masked_lstm", None, settings), sizes)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    expected = model.encoder(IDS, tf.constant([2, 4, 0]))
    assert expected.shape == (3, 6)
    np.testing.assert_allclose(loaded.encoder(IDS, tf.constant([2, 4, 0])), expected, atol=1e-6)


def test_a_saved_model_needs_tensorflow_alone(tmp_path):
    encoder = make_encoder("peephole_lstm", encoder_layers=2, bidirectional=True)
    archive = tf.Module()
    archive.encoder = encoder
    archive.encode = tf.function(lambda vectors, lengths: encoder(vectors, lengths), input_signature=[
        tf.TensorSpec([None, None, DIM]), tf.TensorSpec([None], tf.int32)])
    tf.saved_model.save(archive, str(tmp_path / "saved"))
    program = """
        import numpy, sys, tensorflow
        loaded = tensorflow.saved_model.load("saved")
        numpy.save("states.npy", loaded.encode(tensorflow.ones([2, 3, 4]), tensorflow.constant([3, 1])))
        assert "trainer" not in sys.modules
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "custom gradients" not in done.stderr
    expected = encoder(tf.ones([2, 3, 4]), tf.constant([3, 1]))
    np.testing.assert_allclose(np.load(tmp_path / "states.npy"), expected, atol=1e-6)
