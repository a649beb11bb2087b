"""What every part of the network must do. A new part is tested by being in its family's table."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.attentions import ATTENTIONS
from trainer.config import load_config
from trainer.encoders import ENCODERS
from trainer.gates import GATES
from trainer.heads import HEADS
from trainer.models import Sizes, build_model, load_model

SIZES = Sizes(vocabulary_size=11, max_tokens=5, slots=4, numeric=2, labels=3)
ROWS = 6
COMBINATIONS = list(itertools.product(ENCODERS, ATTENTIONS, GATES, HEADS))


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
    values = {"token_ids": ids, "turn_lengths": lengths, "turn_keys": keys,
              "numeric": random.normal(size=(ROWS, 2)).astype(np.float32)}
    return {name: tf.constant(value) for name, value in values.items()}


def settings(encoder, attention, gate, head, masked=True):
    return [f"encoder={encoder}", f"attention={attention}", f"gate={gate}", f"head={head}",
            "embedding_dim=4", "units=6", f"mask_padding={masked}", f"mask_history={masked}"]


def make_model(*parts):
    keras.utils.set_random_seed(5)
    return build_model(load_config("default", None, settings(*parts)), SIZES)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("parts", COMBINATIONS, ids="-".join)
def test_shapes_ranges_and_gradients(parts, masked, windows):
    model = make_model(*parts, masked)
    with tf.GradientTape() as tape:
        outputs = model(windows, training=True)
        loss = tf.reduce_sum(outputs["logits"] ** 2)
    assert outputs["logits"].shape == outputs["scores"].shape == (ROWS, SIZES.labels)
    assert outputs["attention"].shape == (ROWS, SIZES.slots - 1)
    assert outputs["gate"].shape == (ROWS,)
    for name in ("scores", "attention", "gate"):
        assert np.all((outputs[name] >= 0) & (outputs[name] <= 1)), name
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    missing = [weight.path for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
               if gradient is None]
    assert not missing
    assert all(np.isfinite(tf.convert_to_tensor(gradient)).all() for gradient in gradients)


@pytest.mark.parametrize("parts", COMBINATIONS, ids="-".join)
def test_masks(parts, windows):
    model = make_model(*parts)
    outputs, present = model(windows), windows["turn_lengths"].numpy()[:, 1:] > 0
    attention = outputs["attention"].numpy()
    assert np.all(attention[~present] == 0)
    assert np.isfinite(outputs["logits"]).all()
    wider = {**windows, "token_ids": tf.pad(windows["token_ids"], [[0, 0], [0, 0], [0, 3]])}
    np.testing.assert_allclose(model(wider)["logits"], outputs["logits"], atol=1e-5)


@pytest.mark.parametrize("parts", COMBINATIONS, ids="-".join)
def test_save_and_reload(parts, windows, tmp_path):
    model = make_model(*parts)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for name, value in model(windows).items():
        np.testing.assert_allclose(loaded(windows)[name], value, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(tf.function(loaded)(windows)["logits"], model(windows)["logits"], atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_gives_zeros_for_an_empty_turn(name):
    encoder = ENCODERS[name](11, 4, 6)
    encoded = encoder(tf.constant([[3, 4, 0], [0, 0, 0]]), tf.constant([2, 0]))
    assert encoded.shape == (2, encoder.output_dim)
    np.testing.assert_array_equal(encoded[1], np.zeros(encoder.output_dim))
    assert np.any(encoded[0] != 0)


@pytest.mark.parametrize(("family", "arguments"), [
    (ENCODERS, {"vocabulary_size": 11, "embedding_dim": 4, "units": 6, "mask_padding": False, "padding": "left",
                "dropout": 0.2, "seed": 9}),
    (ATTENTIONS, {"mask_history": False}), (GATES, {}), (HEADS, {"labels": 3})],
    ids=["encoders", "attentions", "gates", "heads"])
def test_configurations_round_trip(family, arguments):
    for part in family.values():
        config = part(**arguments).get_config()
        assert config.items() >= arguments.items()
        assert part.from_config(config).get_config() == config
