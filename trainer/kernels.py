"""What is done to all kernels of a network alike: their first values, and penalties on them.

A kernel is a weight whose name ends in `kernel`: the matrices and filters of dense, convolutional and recurrent layers.
Biases, scales of normalizations and the network's own vectors are left alone; so are embeddings, of which a batch reads
a few rows: a penalty would pull all other rows to 0 with no data against it.
"""

import keras

from schemas.exit_status import UsageError
from trainer.config import Config

INITIALIZERS = {
    "glorot_normal": keras.initializers.GlorotNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "he_uniform": keras.initializers.HeUniform,
    "lecun_normal": keras.initializers.LecunNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "orthogonal": keras.initializers.Orthogonal,
    "random_normal": keras.initializers.RandomNormal,
    "random_uniform": keras.initializers.RandomUniform,
    "truncated_normal": keras.initializers.TruncatedNormal,
}


def kernels(model: keras.Model) -> list[keras.Variable]:
    """The kernels that are trained, in the model's order."""
    return [weight for weight in model.trainable_weights if weight.name.endswith("kernel")]


def check_initializer(config: Config) -> None:
    """Checks the initializer's name.

    Raises:
        UsageError: when it is unknown.
    """
    if config.initializer is not None and config.initializer not in INITIALIZERS:
        raise UsageError(f"initializer: {config.initializer!r} is unknown; allowed: {', '.join(INITIALIZERS)} or null")


def set_up_kernels(model: keras.Model, config: Config) -> None:
    """Gives the kernels their first values, where the configuration names an initializer, and their penalties.

    The penalties, l1 sum |w| + l2 sum w^2, become part of the loss of training and validation; they are of the training
    alone, not of the model that is saved. Source of the initializers: the textbook (Appendix A).
    """
    for index, kernel in enumerate(kernels(model)):
        if config.initializer is not None:
            # A seed of its own for each: equal kernels would start equal.
            kernel.assign(INITIALIZERS[config.initializer](seed=config.seed + index)(kernel.shape))
        if config.l1 or config.l2:
            kernel.regularizer = keras.regularizers.L1L2(config.l1, config.l2)
