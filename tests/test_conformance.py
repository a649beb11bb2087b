"""What every part of the network must do. A new part is tested by being in its family's table."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.data_directory import LabelCounts
from trainer.attentions import ATTENTIONS
from trainer.config import FAMILIES, load_config
from trainer.contexts import CONTEXTS
from trainer.distinct_turns import distinct_turns
from trainer.embeddings import EMBEDDINGS
from trainer.encoders import ENCODERS
from trainer.gates import GATES
from trainer.heads import HEADS
from trainer.losses import LOSSES
from trainer.models import Sizes, build_model, load_model
from trainer.normalizations import NORMALIZATIONS
from trainer.optimizers import OPTIMIZERS, SCHEDULES
from trainer.readouts import READOUTS
from trainer.training import compile_model

SIZES = Sizes(vocabulary_size=11, max_tokens=5, slots=4, speakers=4, numeric=2, labels=3)
ROWS = 6
COUNTS = LabelCounts(ROWS, (3, 3, 0))
SMALL = ["embedding_dim=4", "units=6", "encoder_heads=2", "readout_hops=2", "readout_units=3", "readout_penalty=0.1"]
# What a part asks for beside its own name.
NEEDS = {"sequence": ["loss=sequence_crossentropy"], "sequence_crossentropy": ["head=sequence"]}


EVERYTHING = ["slot_position=true", "slot_speaker=true", "null_slot=true", "hops=2", "hidden_units=5", "gate=vector",
              "gate_penalty=0.1", "dropout=0.1", "token_dropout=0.1", "normalization=layer", "attention_heads=2"]


def one_of_each():
    """Settings with each part of each family: encoders with all read-outs, the others one by one."""
    yield from ([f"encoder={encoder}", "readout=max"] for encoder in ENCODERS)
    yield from (["encoder=lstm", f"readout={readout}"] for readout in READOUTS if readout != "max")
    others = {"attention": ATTENTIONS, "gate": GATES, "context": CONTEXTS, "head": HEADS, "embedding": EMBEDDINGS,
              "normalization": NORMALIZATIONS, "loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    # Calibration comes after the network.
    assert {"encoder", "readout", "calibration", *others} == set(FAMILIES)
    for family, parts in others.items():
        yield from ([f"{family}={part}", *NEEDS.get(part, [])] for part in parts)
    yield [*EVERYTHING, "attention=scaled_dot"]
    yield ["encoder_layers=2", "encoder=conv1d"]
    yield ["encoder_layers=2", "encoder=transformer"]
    yield ["encoder_layers=2", "encoder=lstm", "bidirectional=true"]
    yield ["target_replication=0.6"]


def all_pairs():
    """The other pairs of encoder and read-out, and all scores with all that goes with them."""
    for encoder, readout in itertools.product(ENCODERS, READOUTS):
        if readout != "max" and encoder != "lstm":
            yield [f"encoder={encoder}", f"readout={readout}"]
    yield from ([*EVERYTHING, f"attention={attention}"] for attention in ATTENTIONS if attention != "scaled_dot")


SLOW = [pytest.param(settings, marks=pytest.mark.slow) for settings in all_pairs()]
COMBINATIONS = list(one_of_each())
# Losses and optimizers make no other network.
NETWORKS = [settings for settings in COMBINATIONS if settings[0].split("=")[0] not in ("loss", "optimizer", "schedule")]


@pytest.fixture(scope="module")
def windows():
    """Windows of random turns; the last has no history."""
    random = np.random.default_rng(3)
    lengths = random.integers(0, SIZES.max_tokens + 1, (ROWS, SIZES.slots)).astype(np.int32)
    lengths[:, 0] = np.maximum(lengths[:, 0], 1)
    lengths[-1, 1:] = 0
    ids = random.integers(1, SIZES.vocabulary_size, (ROWS, SIZES.slots, SIZES.max_tokens)).astype(np.int32)
    ids *= np.arange(SIZES.max_tokens) < lengths[..., None]
    keys = np.array([[hash(tuple(turn)) if any(turn) else 0 for turn in window] for window in ids.tolist()])
    speakers = random.integers(1, SIZES.speakers, lengths.shape).astype(np.int32) * (lengths > 0)
    values = {"token_ids": ids, "turn_lengths": lengths, "turn_keys": keys, "speakers": speakers,
              "numeric": random.normal(size=(ROWS, 2)).astype(np.float32)}
    return {name: tf.constant(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def labels():
    """Labels of the windows, one of them in none."""
    return tf.constant([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], tf.float32)


def make_config(settings):
    return load_config("masked_lstm", None, [*SMALL, "dropout=0", *settings])


def make_model(settings):
    keras.utils.set_random_seed(5)
    return build_model(make_config(settings), SIZES)


@pytest.fixture(params=[*NETWORKS, *SLOW], ids=",".join)
def settings(request):
    """The settings of one network."""
    return request.param


def test_shapes_ranges_and_masks(settings, windows):
    model = make_model(settings)
    outputs = model(windows)
    assert outputs["logits"].shape == outputs["scores"].shape == (ROWS, SIZES.labels)
    assert outputs["attention"].shape == (ROWS, SIZES.slots - 1)
    assert outputs["gate"].shape == (ROWS,)
    for name in ("scores", "attention", "gate"):
        assert np.all((outputs[name] >= 0) & (outputs[name] <= 1)), name
    assert np.isfinite(outputs["logits"]).all()
    present = windows["turn_lengths"].numpy()[:, 1:] > 0
    assert np.all(outputs["attention"].numpy()[~present] == 0)


def test_padding_and_company_change_nothing(settings, windows):
    model = make_model(settings)
    outputs = model(windows)
    junk = tf.ones([ROWS, SIZES.slots, 3], tf.int32)
    wider = {**windows, "token_ids": tf.concat([windows["token_ids"], junk], 2)}
    np.testing.assert_allclose(model(wider)["logits"], outputs["logits"], atol=1e-5)
    alone = model({name: value[1:2] for name, value in windows.items()})
    np.testing.assert_allclose(alone["logits"][0], outputs["logits"][1], atol=1e-5)


def test_distinct_turns_change_neither_outputs_nor_gradients(settings, windows, labels):
    model = make_model(settings)
    if model.head.needs_labels or model.target_replication:
        pytest.skip("what it needs for the loss has no part in the encoding of turns")
    found = distinct_turns(windows["token_ids"], windows["turn_lengths"], windows["turn_keys"])
    assert len(found.lengths) < ROWS * SIZES.slots
    compile_model(model, make_config(settings), 1, COUNTS)
    results = []
    for encode in (model.call, lambda given: every_slot(model, given)):
        with tf.GradientTape() as tape:
            outputs = encode(windows)
            loss = model.loss(labels, outputs["logits"])
        gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
        results.append((outputs["logits"], gradients))
    (logits, gradients), (expected, expected_gradients) = results
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for weight, ours, theirs in zip(model.trainable_weights, gradients, expected_gradients, strict=True):
        assert (ours is None) == (theirs is None), weight.path
        if ours is not None:
            np.testing.assert_allclose(tf.convert_to_tensor(ours), tf.convert_to_tensor(theirs), atol=1e-4,
                                       err_msg=weight.path)


def constructors(config):
    """A configuration without the shapes that Keras notes beside it."""
    if isinstance(config, dict):
        return {key: constructors(value) for key, value in config.items() if key != "build_config"}
    return config


def every_slot(model, windows):
    """The outputs, with each slot of each window encoded by itself at full length."""
    encoded = [model.encoder(windows["token_ids"][:, slot], windows["turn_lengths"][:, slot])
               for slot in range(SIZES.slots)]
    return model.classify(tf.stack(encoded, 1), windows["turn_lengths"] > 0, windows["speakers"], windows["numeric"])


@pytest.mark.parametrize("settings", [*COMBINATIONS, *SLOW], ids=",".join)
def test_a_step_lowers_the_loss_and_moves_every_weight(settings, windows, labels):
    config = make_config([*settings, "learning_rate=0.01", "warmup=0"])
    model = make_model(settings)
    compile_model(model, config, 50, COUNTS)
    before = [weight.numpy() for weight in model.trainable_weights]
    history = model.fit(windows, labels, batch_size=ROWS, epochs=12, verbose=0, shuffle=False).history
    assert history["loss"][-1] < history["loss"][0]
    still = [weight.path for weight, old in zip(model.trainable_weights, before, strict=True)
             if np.array_equal(weight.numpy(), old)]
    assert not still


@pytest.mark.slow
def test_save_and_reload(settings, windows, tmp_path):
    model = make_model(settings)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert constructors(loaded.get_config()) == constructors(model.get_config())
    for name, value in model(windows).items():
        np.testing.assert_allclose(loaded(windows)[name], value, atol=1e-6, err_msg=name)
    archive = keras.export.ExportArchive()
    archive.track(loaded)
    spec = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in windows.items()}
    archive.add_endpoint("score", lambda given: loaded(given)["scores"], [spec])
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(served.score(windows), model(windows)["scores"], atol=1e-5)


def test_an_empty_turn_is_zeros(settings):
    encoder = make_model(settings).encoder
    encoded = encoder(tf.constant([[3, 4, 0], [0, 0, 0]]), tf.constant([2, 0]))
    assert encoded.shape == (2, encoder.output_dim)
    np.testing.assert_array_equal(encoded[1], np.zeros(encoder.output_dim))
    assert np.any(encoded[0] != 0)
