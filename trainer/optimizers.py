"""Optimizers, and schedules of the learning rate."""

import math

import keras
import tensorflow as tf
from keras import ops

from schemas.exit_status import UsageError
from trainer.config import Config

OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "sgd": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
}
# Settings that only some optimizers have.
OPTIONS = {
    "momentum": ("sgd", "rmsprop"),
    "nesterov": ("sgd",),
    "amsgrad": ("adam", "adamw"),
    "weight_decay": ("adamw",),
}
CLIPPINGS = ("clipnorm", "clipvalue", "global_clipnorm")
# What is left of the learning rate at the end of the exponential schedule.
EXPONENTIAL_END = 0.01


def make_optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training of `steps` steps at most.

    Source: the textbook (4.4.2; clipping: 4.1.2; Appendix A lists the optimizers). Keras' update of momentum with
    `nesterov` is the usual rewriting that needs the gradient at the weights themselves. With `ema_momentum` it keeps
    an average of each weight, Y(t) = m Y(t-1) + (1-m) w(t), from the first step's weights on.
    """
    options = {name: getattr(config, name) for name, having in OPTIONS.items() if config.optimizer in having}
    clipping = {name: getattr(config, name) for name in CLIPPINGS}
    average = {"use_ema": True, "ema_momentum": config.ema_momentum} if config.ema_momentum else {}
    parent = OPTIMIZERS[config.optimizer]
    optimizer = type(parent.__name__, (WholeGradients, parent), {})
    schedule = Schedule(config.schedule, config.learning_rate, steps, round(config.warmup * steps))
    return optimizer(learning_rate=schedule, name=config.optimizer, **options, **clipping, **average)


def check_optimizer(config: Config) -> None:
    """Checks that the optimizer's settings mean something.

    Raises:
        UsageError: for a setting that the optimizer does not have, or clippings that exclude each other.
    """
    plain = Config()
    for name, having in OPTIONS.items():
        if getattr(config, name) != getattr(plain, name) and config.optimizer not in having:
            raise UsageError(f"{name}: optimizer={config.optimizer} has none; allowed with {', '.join(having)}")
    if config.nesterov and not config.momentum:
        raise UsageError("nesterov: it looks ahead along the momentum, which is 0; set momentum too")
    clippings = [name for name in CLIPPINGS if getattr(config, name) is not None]
    if len(clippings) > 1:
        raise UsageError(f"{' and '.join(clippings)}: only one way of clipping is allowed")


class WholeGradients:
    """Mixed into Keras' optimizers: each sees one dense gradient a weight, that of the whole batch.

    Keras 3.15 clips before it sums over devices, so that two devices do not learn what one does. And of an embedding's
    gradient it squares and clips the pieces, one a token read, where it has to take their sum of each row.
    """

    def _clip_gradients(self, grads):
        """Nothing here: these are the gradients of one device alone."""
        return grads

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """The pairs with dense, clipped gradients, summed over devices."""
        gradients, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        return list(zip(super()._clip_gradients([_dense(gradient) for gradient in gradients]), variables, strict=True))


def _dense(gradient):
    """A gradient as a tensor; pieces that belong to the same row are summed."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, gradient.dense_shape[0])
    return gradient


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step: it rises in equal parts during the warmup, then goes the way of `SCHEDULES`."""

    def __init__(self, schedule: str, learning_rate: float, steps: int, warmup_steps: int):
        """Makes the schedule of a name of `SCHEDULES` for a training of `steps` steps."""
        self.schedule, self.learning_rate, self.steps, self.warmup_steps = schedule, learning_rate, steps, warmup_steps

    def __call__(self, step):
        """The learning rate, float32, of the step with this number, from 0."""
        done, warmup = ops.cast(step, "float32"), self.warmup_steps
        rising = (done + 1) / max(1, warmup)
        falling = SCHEDULES[self.schedule](done, warmup, self.steps)
        return self.learning_rate * ops.where(done < warmup, rising, falling)

    def get_config(self):
        """The constructor's arguments."""
        return {"schedule": self.schedule, "learning_rate": self.learning_rate, "steps": self.steps,
                "warmup_steps": self.warmup_steps}


def _left(done, warmup: int, steps: int):
    """What is left of the steps after the warmup, from 1 to 0."""
    return ops.clip((steps - done) / max(1, steps - warmup), 0.0, 1.0)


def constant(done, warmup: int, steps: int):
    """1 at every step."""
    return ops.ones_like(done)


def cosine(done, warmup: int, steps: int):
    """Half a period of a cosine, from 1 to 0. Source: Loshchilov and Hutter 2017, without restarts."""
    return 0.5 * (1 + ops.cos(math.pi * (1 - _left(done, warmup, steps))))


def linear(done, warmup: int, steps: int):
    """A straight line from 1 to 0."""
    return _left(done, warmup, steps)


def exponential(done, warmup: int, steps: int):
    """The same factor at every step, from 1 to `EXPONENTIAL_END`."""
    return ops.power(EXPONENTIAL_END, 1 - _left(done, warmup, steps))


def inverse_sqrt(done, warmup: int, steps: int):
    """sqrt(w / n) at the n-th step, w the last step of the warmup. Source: Vaswani et al. 2017 (5.3)."""
    return ops.sqrt(max(1, warmup) / (done + 1))


SCHEDULES = {"constant": constant, "cosine": cosine, "linear": linear, "exponential": exponential,
             "inverse_sqrt": inverse_sqrt}
