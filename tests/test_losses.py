"""Losses against figures worked out by hand or given by the sources."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.losses import LOSSES, BinaryCrossentropy


def logit(probability):
    return np.log(probability / (1 - probability))


def test_binary_crossentropy_has_the_minus_sign():
    # -[1 log 0.8 + (1 - 0) log(1 - 0.4)] / 2
    expected = -(math.log(0.8) + math.log(0.6)) / 2
    value = BinaryCrossentropy()(np.array([[1.0, 0.0]]), logit(np.array([[0.8, 0.4]])))
    assert float(value) == pytest.approx(expected, rel=1e-6)
    assert expected > 0


def test_binary_crossentropy_is_the_stable_form_of_tensorflow():
    logits = np.array([[-1000.0, -3.0, 0.0], [2.5, 40.0, 1000.0]], np.float32)
    labels = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], np.float32)
    expected = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    np.testing.assert_allclose(BinaryCrossentropy(reduction=None)(labels, logits), np.mean(expected, -1), rtol=1e-6)
    assert float(BinaryCrossentropy()(labels[:1, :1], logits[:1, :1])) == 1000.0


def test_binary_crossentropy_is_the_weekly_reports_away_from_the_ends():
    random = np.random.default_rng(0)
    probabilities, labels = random.uniform(0.01, 0.99, (8, 4)), random.integers(0, 2, (8, 4)).astype(float)
    expected = keras.losses.BinaryCrossentropy()(labels, probabilities)
    assert float(BinaryCrossentropy()(labels, logit(probabilities))) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name):
    loss = LOSSES[name]()
    labels, logits = np.array([[1.0, 0.0, 1.0]] * 5, np.float32), tf.Variable(tf.zeros([5, 3]))
    assert LOSSES[name](reduction=None)(labels, logits).shape == (5,)
    with tf.GradientTape() as tape:
        value = loss(labels, logits)
    gradient = tape.gradient(value, logits)
    assert np.isfinite(value)
    assert np.all(np.sign(gradient) == 1 - 2 * labels), "the loss falls towards the labels"
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(labels, logits)) == float(value)
