"""The network against the literal six-call one, and what the masks do."""

import dataclasses
import importlib.util
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.exit_status import UsageError
from tests.data_directories import small_data_directory
from trainer.config import load_config
from trainer.distinct_turns import distinct_turns, encode_by_length
from trainer.input_pipeline import evaluation_dataset
from trainer.losses import BinaryCrossentropy
from trainer.models import Sizes, build_model, load_model
from trainer.training import compile_model

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "reference" / "literal_model.py"
SMALL = ["embedding_dim=6", "units=5"]
VARIABLES = ("embedding/embeddings", "lstm_cell/kernel", "lstm_cell/recurrent_kernel", "lstm_cell/bias", "gate/kernel",
             "gate/bias", "classifier/kernel", "classifier/bias")


def literal_network(length, vocabulary, labels, numeric, embedding, units):
    """The weekly report's network, written down with six calls of the encoder, giving logits and attention."""
    turns = [keras.Input((length,), dtype="int32") for _ in range(6)]
    auxiliary = keras.Input((numeric,))
    embed, rnn = keras.layers.Embedding(vocabulary, embedding, name="embedding"), keras.layers.LSTM(units, name="lstm")
    current, *history = [rnn(embed(turn)) for turn in turns]
    scores = [keras.layers.Dot(axes=1)([current, turn]) for turn in history]
    attention = keras.layers.Softmax()(keras.layers.Concatenate()(scores))
    weighted = [keras.layers.Multiply()([attention[:, k:k + 1], turn]) for k, turn in enumerate(history)]
    memory = keras.layers.Add()(weighted)
    gate = keras.layers.Dense(1, "sigmoid", name="gate")(keras.layers.Concatenate()([memory, current]))
    features = keras.layers.Concatenate()([keras.layers.Multiply()([gate, memory]), current, auxiliary])
    logits = keras.layers.Dense(labels, name="classifier")(features)
    return keras.Model([*turns, auxiliary], {"logits": logits, "attention": attention, "gate": gate})


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """The sizes, the windows and the labels of a small data directory."""
    path = tmp_path_factory.mktemp("models") / "data"
    manifest = small_data_directory(path, transform=False)
    [(windows, labels)] = evaluation_dataset(path, manifest, "train", 1000)
    return Sizes.of(manifest), windows, labels


def make_model(preset, sizes, *settings):
    keras.utils.set_random_seed(7)
    return build_model(load_config(preset, None, [*SMALL, *settings]), sizes)


def variables_of(model):
    """The weights in the order of VARIABLES."""
    found = [[weight for weight in model.weights if weight.path.endswith(end)] for end in VARIABLES]
    assert [len(weights) for weights in found] == [1] * len(VARIABLES)
    return [weights[0] for weights in found]


def outputs_and_gradients(model, inputs, labels):
    """Outputs, and the gradient of the loss of the logits for each of VARIABLES, dense."""
    with tf.GradientTape() as tape:
        outputs = model(inputs)
        loss = BinaryCrossentropy()(labels, outputs["logits"])
    gradients = tape.gradient(loss, [weight.value for weight in variables_of(model)])
    return outputs, [tf.convert_to_tensor(gradient) for gradient in gradients]


def six_inputs(windows):
    """The windows as the literal network takes them, padded on the left."""
    ids, lengths = windows["token_ids"].numpy(), windows["turn_lengths"].numpy()
    padded = np.zeros_like(ids)
    for row, slot in np.ndindex(lengths.shape):
        if length := lengths[row, slot]:
            padded[row, slot, -length:] = ids[row, slot, :length]
    return [*tf.unstack(padded, axis=1), windows["numeric"]]


def test_weekly_report_is_the_literal_network(batch):
    sizes, windows, labels = batch
    model = make_model("weekly_report", sizes)
    literal = literal_network(sizes.max_tokens, sizes.vocabulary_size, sizes.labels, sizes.numeric, 6, 5)
    for ours, theirs in zip(variables_of(model), variables_of(literal), strict=True):
        theirs.assign(ours)
    outputs, gradients = outputs_and_gradients(model, windows, labels)
    expected, expected_gradients = outputs_and_gradients(literal, six_inputs(windows), labels)
    for name in ("logits", "attention"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(outputs["gate"], expected["gate"][:, 0], atol=1e-5)
    for name, ours, theirs in zip(VARIABLES, gradients, expected_gradients, strict=True):
        assert np.abs(theirs).max() > 0, name
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=name)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference literal_model.py is not beside this repository")
def test_weekly_report_is_the_reference(batch):
    sizes, windows, _ = batch
    spec = importlib.util.spec_from_file_location("literal_model", REFERENCE)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    one_scalar = dataclasses.replace(sizes, numeric=1)
    model = make_model("weekly_report", one_scalar)
    literal = reference.build(sizes.max_tokens, sizes.vocabulary_size, sizes.labels, 6, 5)
    for ours, theirs in zip(variables_of(model), variables_of(literal), strict=True):
        theirs.assign(ours)
    windows = {**windows, "numeric": windows["numeric"][:, :1]}
    np.testing.assert_allclose(model(windows)["scores"], literal(six_inputs(windows)), atol=1e-5)


def without_history(windows):
    """The same windows with empty history slots."""
    keep = tf.one_hot(0, 6, dtype=tf.int32)
    return {**windows, "token_ids": windows["token_ids"] * keep[None, :, None],
            "turn_lengths": windows["turn_lengths"] * keep,
            "turn_keys": windows["turn_keys"] * tf.cast(keep, tf.int64)}


def test_an_empty_history_gives_the_weekly_report_equal_weights(batch):
    sizes, windows, _ = batch
    attention = make_model("weekly_report", sizes)(without_history(windows))["attention"]
    np.testing.assert_array_equal(attention, np.full(attention.shape, 0.2, np.float32))


def test_masked_attention_ignores_empty_slots(batch):
    sizes, windows, _ = batch
    model = make_model("masked_lstm", sizes)
    attention = model(windows)["attention"].numpy()
    present = windows["turn_lengths"].numpy()[:, 1:] > 0
    assert np.all(attention[~present] == 0)
    np.testing.assert_allclose(attention.sum(1), present.any(1), atol=1e-6)
    assert present.any(1).sum() not in (0, len(present))


def test_without_history_the_memory_is_zero(batch):
    sizes, windows, _ = batch
    model = make_model("masked_lstm", sizes)
    encoded = tf.random.stateless_normal([4, 6, 5], seed=[1, 2])
    present = tf.constant([[True] + [False] * 5] * 4)
    weights, memory = model.memory(encoded, present, tf.zeros([4, 6], tf.int32))
    np.testing.assert_array_equal(weights, np.zeros((4, 5)))
    np.testing.assert_array_equal(memory, np.zeros((4, 5)))
    assert np.isfinite(model(without_history(windows))["logits"]).all()


def test_padding_and_company_do_not_change_a_turn(batch):
    sizes, windows, _ = batch
    model = make_model("masked_lstm", sizes)
    together = model(windows)["logits"]
    wider = {**windows, "token_ids": tf.pad(windows["token_ids"], [[0, 0], [0, 0], [0, 9]])}
    np.testing.assert_allclose(model(wider)["logits"], together, atol=1e-6)
    alone = [model({name: value[row:row + 1] for name, value in windows.items()})["logits"][0] for row in range(9)]
    np.testing.assert_allclose(alone, together[:9], atol=1e-6)


def test_distinct_turns_are_each_there_once(batch):
    _, windows, _ = batch
    turns = distinct_turns(windows["token_ids"], windows["turn_lengths"], windows["turn_keys"])
    assert len(turns.lengths) == len(np.unique(windows["turn_keys"])) < windows["turn_keys"].numpy().size / 2
    np.testing.assert_array_equal(tf.gather(turns.token_ids, turns.positions), windows["token_ids"])
    np.testing.assert_array_equal(tf.gather(turns.lengths, turns.positions), windows["turn_lengths"])


@pytest.mark.parametrize("turns", [1, 2, 3, 50])
def test_encoding_by_length_keeps_the_order(batch, turns):
    sizes, _, _ = batch
    encoder = make_model("masked_lstm", sizes).encoder
    random = np.random.default_rng(turns)
    lengths = random.integers(0, sizes.max_tokens + 1, turns).astype(np.int32)
    ids = np.where(np.arange(sizes.max_tokens) < lengths[:, None], random.integers(1, 13, (turns, sizes.max_tokens)), 0)
    encoded = encode_by_length(encoder, tf.constant(ids, tf.int32), tf.constant(lengths))
    np.testing.assert_allclose(encoded, encoder(tf.constant(ids, tf.int32), tf.constant(lengths)), atol=1e-6)


def test_the_masked_encoder_is_keras_masked_lstm(batch):
    sizes, windows, _ = batch
    encoder = make_model("masked_lstm", sizes).encoder
    ids, lengths = windows["token_ids"][:, 0], windows["turn_lengths"][:, 0]
    masked = keras.layers.LSTM(5)
    masked.build((None, None, 6))
    masked.set_weights(encoder.reader.rnn.get_weights())
    np.testing.assert_allclose(encoder(ids, lengths), masked(encoder.embedding(ids), mask=ids > 0), atol=1e-6)


def test_save_and_load(batch, tmp_path):
    sizes, windows, labels = batch
    config = load_config("masked_lstm", None, SMALL)
    model = build_model(config, sizes)
    compile_model(model, config, 1)
    model.fit(windows, labels, verbose=0)
    model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded = load_model(tmp_path / "model.keras")
    for name, value in model(windows).items():
        np.testing.assert_allclose(loaded(windows)[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("settings", "message"), [
    (["attention_heads=4"], "attention_heads: 4 does not divide the size of a turn's vector, 5"),
    (["encoder=transformer", "readout=mean", "encoder_heads=4"], "encoder_heads: 4 does not divide units, 5")])
def test_sizes_that_do_not_go_together(batch, settings, message):
    with pytest.raises(UsageError) as error:
        make_model("masked_lstm", batch[0], *settings)
    assert str(error.value) == message


def test_windows_without_history_slots(batch, tmp_path):
    sizes, windows, labels = batch
    alone = {name: value if name == "numeric" else value[:, :1] for name, value in windows.items()}
    config = load_config("masked_lstm", None, SMALL)
    model = build_model(config, dataclasses.replace(sizes, slots=1))
    compile_model(model, config, 1)
    model.fit(alone, labels, verbose=0)
    assert model(alone)["attention"].shape == (len(labels), 0)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(alone)["logits"], model(alone)["logits"], atol=1e-6)


def test_a_penalty_counts_once_however_the_turns_are_grouped(batch):
    sizes, windows, _ = batch
    model = make_model("masked_lstm", sizes, "readout=self_attention", "readout_penalty=1")
    turns = distinct_turns(windows["token_ids"], windows["turn_lengths"], windows["turn_keys"])
    model(windows)
    assert len(model.losses) > 1
    grouped = tf.add_n(model.losses)
    model.encoder(turns.token_ids, turns.lengths)
    [together] = model.encoder.losses
    np.testing.assert_allclose(grouped, together, rtol=1e-5)
