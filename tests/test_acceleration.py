"""Mixed precision and XLA: every encoder with every read-out, and what is saved."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.exit_status import UsageError
from tests.test_conformance import NEEDS, ROWS, SIZES, labels, make_config, windows
from trainer.acceleration import as_float32, check_xla, precision_of
from trainer.callbacks import save_model
from trainer.encoders import ENCODERS
from trainer.models import build_model, load_model
from trainer.readouts import READOUTS
from trainer.training import compile_model

__all__ = ["labels", "windows"]
COMBINATIONS = [[f"encoder={encoder}", f"readout={readout}", *NEEDS.get(encoder, []), *NEEDS.get(readout, [])]
                for encoder, readout in itertools.product(ENCODERS, READOUTS)]


def make_model(settings):
    config = make_config(["optimizer=sgd", "learning_rate=0.1", *settings])
    keras.utils.set_random_seed(5)
    with precision_of(config):
        model = build_model(config, SIZES)
    compile_model(model, config, 10)
    return model


def test_the_policy_is_that_of_the_network_alone():
    model = make_model(["mixed_precision=true"])
    assert model.compute_dtype in ("bfloat16", "float16")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(ValueError, match="mine"), precision_of(make_config(["mixed_precision=true"])):
        raise ValueError("mine")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("settings", COMBINATIONS, ids=",".join)
def test_mixed_precision(settings, windows, labels):
    model = make_model([*settings, "mixed_precision=true"])
    before = [weight.numpy() for weight in model.trainable_weights]
    assert np.isfinite(model.train_on_batch(windows, labels)).all()
    assert any(not np.array_equal(weight.numpy(), old)
               for weight, old in zip(model.trainable_weights, before, strict=True))
    outputs, exact = model(windows), as_float32(model)(windows)
    for name, value in outputs.items():
        assert value.dtype == tf.float32, name
        # bfloat16 has 8 bits of mantissa.
        np.testing.assert_allclose(value, exact[name], atol=0.05, err_msg=name)


def test_float16_scales_the_loss(monkeypatch, windows, labels):
    monkeypatch.setattr("trainer.acceleration.sixteen_bits", lambda: "mixed_float16")
    model = make_model(["encoder=bag", "mixed_precision=true"])
    optimizer = model.optimizer
    assert type(optimizer) is keras.optimizers.LossScaleOptimizer
    exact = make_model(["encoder=bag"])
    for ours, theirs in zip(model.weights, exact.weights, strict=True):
        ours.assign(theirs)
    for _ in range(3):
        ours, theirs = model.train_on_batch(windows, labels), exact.train_on_batch(windows, labels)
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    assert int(optimizer.iterations) == 3


def test_what_is_saved_computes_in_32_bits(windows, tmp_path):
    model = make_model(["mixed_precision=true", "hidden_units=5"])
    save_model(model, tmp_path / "model.keras")
    assert model.compute_dtype != "float32"
    loaded = load_model(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in loaded._flatten_layers()} == {"float32"}
    exact = make_model(["hidden_units=5"])
    exact.set_weights(model.get_weights())
    np.testing.assert_array_equal(loaded(windows)["logits"], exact(windows)["logits"])


@pytest.mark.parametrize("settings", [setting for setting in COMBINATIONS if "readout=mean" in setting], ids=",".join)
def test_xla_computes_the_same(settings, windows, labels):
    plain = make_model(settings)
    if not all(layer.supports_jit for layer in plain._flatten_layers()):
        with pytest.raises(UsageError, match="jit_compile: XLA can't compile .*Encoder"):
            check_xla(plain, 1)
        return
    check_xla(plain, 1)
    compiled = make_model([*settings, "jit_compile=true"])
    for ours, theirs in zip(compiled.weights, plain.weights, strict=True):
        ours.assign(theirs)
    # As many windows with fewer distinct turns.
    again = {name: tf.gather(value, [0, 0, 2, 2, 4, 4]) for name, value in windows.items()}
    for given in (windows, again, windows):
        np.testing.assert_allclose(compiled.train_on_batch(given, labels), plain.train_on_batch(given, labels),
                                   atol=1e-5)


def test_xla_is_for_one_device():
    with pytest.raises(UsageError, match="XLA compiles for one device, and this training has 2"):
        check_xla(make_model([]), 2)


def test_a_device_without_windows(windows):
    # Of an uneven last batch, a device may get no window at all.
    nothing = {name: value[:0] for name, value in windows.items()}
    for settings in COMBINATIONS:
        assert make_model(settings)(nothing)["logits"].shape == (0, SIZES.labels)
    assert make_model([])(windows)["logits"].shape == (ROWS, SIZES.labels)
