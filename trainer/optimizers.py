"""Optimizers and schedules of the learning rate."""

import keras

from trainer.config import Config

OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "sgd": keras.optimizers.SGD,
}
SCHEDULES = {"constant": None}


def make_optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training of `steps` steps at most."""
    return OPTIMIZERS[config.optimizer](learning_rate=config.learning_rate)
