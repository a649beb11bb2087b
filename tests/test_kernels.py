"""First values of kernels and penalties on them."""

import keras
import numpy as np
import pytest

from schemas.exit_status import UsageError
from trainer.config import load_config
from trainer.kernels import INITIALIZERS, kernels, set_up_kernels
from trainer.models import Sizes, build_model

SIZES = Sizes(vocabulary_size=11, max_tokens=5, slots=4, speakers=4, numeric=2, labels=3)


def make_model(*settings):
    config = load_config("masked_lstm", None, ["embedding_dim=4", "units=6", *settings])
    model = build_model(config, SIZES)
    set_up_kernels(model, config)
    return model


def values(model):
    return [kernel.numpy() for kernel in kernels(model)]


def test_what_a_kernel_is():
    model = make_model("slot_position=true", "normalization=layer")
    names = {weight.path.split("/")[-1] for weight in model.trainable_weights}
    assert {weight.path.split("/")[-1] for weight in kernels(model)} == {"kernel", "recurrent_kernel"}
    assert {"embeddings", "bias", "positions", "gamma"} <= names


def test_penalties_are_part_of_the_loss():
    model = make_model("l1=0.1", "l2=0.01")
    expected = sum(0.1 * np.abs(kernel).sum() + 0.01 * np.square(kernel).sum() for kernel in values(model))
    np.testing.assert_allclose(sum(map(float, model.losses)), expected, rtol=1e-5)
    assert not make_model().losses


def test_penalties_are_not_saved(tmp_path):
    make_model("l2=0.01").save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").losses


def test_he_normal():
    # A truncated normal distribution with the standard deviation sqrt(2 / fan_in).
    [kernel] = [kernel for kernel in values(make_model("initializer=he_normal", "units=200", "readout=mean",
                                                       "encoder=bag", "hidden_units=100"))
                if kernel.shape == (402, 100)]
    assert np.std(kernel) == pytest.approx((2 / 402) ** 0.5, rel=0.02)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_first_values_follow_from_the_seed(initializer):
    first, again, other = (values(make_model(f"initializer={initializer}", seed)) for seed in
                           ("seed=1", "seed=1", "seed=2"))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, different)


def test_equal_kernels_start_different():
    kernels_of = values(make_model("initializer=orthogonal", "encoder=text_cnn", "kernel_sizes=[2, 2]"))
    assert not np.array_equal(kernels_of[0], kernels_of[1])


def test_an_unknown_initializer():
    with pytest.raises(UsageError, match="initializer: 'best' is unknown; allowed: glorot_normal, .*or null"):
        load_config("masked_lstm", None, ["initializer=best"])
