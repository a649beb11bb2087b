"""Optimizers and schedules: single steps worked by hand, clipping, averages, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.exit_status import UsageError
from trainer.config import load_config
from trainer.optimizers import OPTIMIZERS, SCHEDULES, make_optimizer

START = [1.0, 2.0]
GRADIENTS = ([3.0, -4.0], [1.0, 0.5])


def after_steps(settings, gradients=GRADIENTS, start=START):
    """The weight after a step with each of the gradients, at learning rate 0.1."""
    weight = keras.Variable(np.array(start, np.float32))
    optimizer = make_optimizer(load_config("masked_lstm", None, ["learning_rate=0.1", *settings]), 10)
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [weight])
    return weight.numpy(), optimizer


def test_gradient_descent():
    # w <- w - e g
    np.testing.assert_allclose(after_steps(["optimizer=sgd"])[0], [1 - 0.3 - 0.1, 2 + 0.4 - 0.05], rtol=1e-6)


def test_momentum():
    # v <- a v - e g; w <- w + v: v = (-.3, .4), then (-.15 - .1, .2 - .05).
    weight, _ = after_steps(["optimizer=sgd", "momentum=0.5"])
    np.testing.assert_allclose(weight, [1 - 0.3 - 0.25, 2 + 0.4 + 0.15], rtol=1e-6)


def test_nesterov():
    # Seen from the point that looks ahead, w + a v, the textbook's rule is w <- w + a v - e g with the new v.
    weight, _ = after_steps(["optimizer=sgd", "momentum=0.5", "nesterov=true"])
    expected = [1 + (-0.15 - 0.3) + (-0.125 - 0.1), 2 + (0.2 + 0.4) + (0.075 - 0.05)]
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_rmsprop():
    # r <- .9 r + .1 g g; w <- w - e g / sqrt(r + d): r = (.9, 1.6), then (.91, 1.465).
    weight, _ = after_steps(["optimizer=rmsprop"])
    expected = [1 - 0.3 / 0.9 ** 0.5 - 0.1 / 0.91 ** 0.5, 2 + 0.4 / 1.6 ** 0.5 - 0.05 / 1.465 ** 0.5]
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


def test_rmsprop_with_momentum():
    weight, _ = after_steps(["optimizer=rmsprop", "momentum=0.5"])
    first, second = np.array([0.3 / 0.9 ** 0.5, -0.4 / 1.6 ** 0.5]), np.array([0.1 / 0.91 ** 0.5, 0.05 / 1.465 ** 0.5])
    np.testing.assert_allclose(weight, START - first - (0.5 * first + second), rtol=1e-5)


def test_adam():
    # s = .1 g, then .09 g + .1 g'; r = .001 gg, then .000999 gg + .001 g'g'; corrected by 1 - .9^t and 1 - .999^t.
    weight, _ = after_steps(["optimizer=adam"])
    s, r = np.array([0.27 + 0.1, -0.36 + 0.05]) / 0.19, np.array([0.008991 + 0.001, 0.015984 + 0.00025]) / 0.001999
    np.testing.assert_allclose(weight, START - 0.1 * np.array([1, -1]) - 0.1 * s / np.sqrt(r), rtol=1e-4)


def test_amsgrad_keeps_the_largest_second_moment():
    gradients = ([3.0, -4.0], [0.0, 0.0], [0.0, 0.0])
    plain, kept = (after_steps(["optimizer=adam", setting], gradients)[1]
                   for setting in ("amsgrad=false", "amsgrad=true"))
    assert len(kept.variables) == len(plain.variables) + 1
    largest = kept.variables[-1].numpy()
    np.testing.assert_allclose(largest, [0.009, 0.016], rtol=1e-4)


def test_adamw_shrinks_weights():
    # w <- w - e d w before Adam's first step, which is e in each direction.
    weight, _ = after_steps(["optimizer=adamw", "weight_decay=0.5"], GRADIENTS[:1])
    np.testing.assert_allclose(weight, [0.95 - 0.1, 1.9 + 0.1], rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_downhill(optimizer):
    weight, _ = after_steps([f"optimizer={optimizer}"])
    assert weight[0] < START[0] and weight[1] > START[1]


@pytest.mark.parametrize(("clipping", "expected"), [
    ("clipnorm=2.5", ([1.5, -2.0], [0.0, 2.0])),
    ("clipvalue=3.5", ([3.0, -3.5], [0.0, 2.0])),
    # All together, sqrt(9 + 16 + 4) = sqrt(29).
    ("global_clipnorm=2.5", (np.array([3.0, -4.0]) * 2.5 / 29 ** 0.5, np.array([0.0, 2.0]) * 2.5 / 29 ** 0.5)),
])
def test_clipping(clipping, expected):
    weights = [keras.Variable(np.zeros(2, np.float32)) for _ in range(2)]
    optimizer = make_optimizer(load_config("masked_lstm", None, ["optimizer=sgd", "learning_rate=1", clipping]), 10)
    optimizer.apply([tf.constant([3.0, -4.0]), tf.constant([0.0, 2.0])], weights)
    for weight, clipped in zip(weights, expected, strict=True):
        np.testing.assert_allclose(-weight.numpy(), clipped, rtol=1e-6)


@pytest.mark.parametrize("settings", [["optimizer=rmsprop"], ["optimizer=adam"], ["optimizer=sgd", "clipnorm=2"],
                                      ["optimizer=sgd", "clipvalue=2"], ["optimizer=sgd", "global_clipnorm=2"]],
                         ids=",".join)
def test_a_token_that_is_read_twice_has_one_gradient(settings):
    pieces = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), tf.constant([0, 0, 2]),
                              tf.constant([3, 2]))
    results = []
    for gradient in (pieces, tf.constant([[4.0, 6.0], [0.0, 0.0], [5.0, 6.0]])):
        weight = keras.Variable(np.zeros((3, 2), np.float32))
        make_optimizer(load_config("masked_lstm", None, settings), 10).apply([gradient], [weight])
        results.append(weight.numpy())
    np.testing.assert_array_equal(*results)


def test_averages_of_weights():
    # Y1 = w1, Y2 = .75 Y1 + .25 w2
    weight, optimizer = after_steps(["optimizer=sgd", "ema_momentum=0.75"])
    np.testing.assert_allclose(weight, [0.6, 2.35], rtol=1e-6)
    [average] = optimizer._model_variables_moving_average
    np.testing.assert_allclose(average.numpy(), [0.75 * 0.7 + 0.25 * 0.6, 0.75 * 2.4 + 0.25 * 2.35], rtol=1e-6)


@pytest.mark.parametrize(("schedule", "middle", "end"), [
    ("constant", 1, 1), ("cosine", 0.5, 0), ("linear", 0.5, 0), ("exponential", 0.1, 0.01),
    # The warmup ends with step 20: at the 61st and the 101st step.
    ("inverse_sqrt", (20 / 61) ** 0.5, (20 / 101) ** 0.5),
])
def test_schedules(schedule, middle, end):
    rate = schedule_of([f"schedule={schedule}", "warmup=0.2"], steps=100)
    np.testing.assert_allclose(rate([0, 9, 19]), [0.05, 0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(rate([60, 100]), [middle, end], rtol=1e-5, atol=1e-7)
    assert np.all(np.diff(rate(range(19, 101))) <= 1e-7)
    assert np.all((rate(range(100)) > 0) & (rate(range(100)) <= 1 + 1e-6))


def schedule_of(settings, steps):
    """A function from the numbers of steps to their learning rates."""
    optimizer = make_optimizer(load_config("masked_lstm", None, ["learning_rate=1", *settings]), steps)

    def rates(numbers):
        values = []
        for number in numbers:
            optimizer.iterations.assign(number)
            values.append(float(optimizer.learning_rate))
        return np.array(values)

    return rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warmup_the_first_step_has_the_full_rate(schedule):
    assert schedule_of([f"schedule={schedule}"], 10)([0]) == pytest.approx(1)


def test_cosine_is_no_line():
    np.testing.assert_allclose(schedule_of(["schedule=cosine"], 8)([2]), [0.5 + 0.5 * 0.5 ** 0.5], rtol=1e-6)


@pytest.mark.parametrize(("settings", "message"), [
    (["optimizer=adam", "momentum=0.9"], "momentum: optimizer=adam has none; allowed with sgd, rmsprop"),
    (["optimizer=rmsprop", "momentum=0.9", "nesterov=true"], "nesterov: optimizer=rmsprop has none; allowed with sgd"),
    (["optimizer=sgd", "nesterov=true"], "nesterov: .*the momentum, which is 0"),
    (["optimizer=nadam", "amsgrad=true"], "amsgrad: optimizer=nadam has none; allowed with adam, adamw"),
    (["optimizer=adam", "weight_decay=0.1"], "weight_decay: optimizer=adam has none; allowed with adamw"),
    (["clipnorm=1", "global_clipnorm=1"], "clipnorm and global_clipnorm: only one way of clipping is allowed"),
])
def test_settings_that_mean_nothing(settings, message):
    with pytest.raises(UsageError, match=message):
        load_config("masked_lstm", None, settings)
