"""What makes steps faster on some machines: mixed precision and XLA.

With mixed precision, layers compute in 16 bits and keep their weights in 32 (Micikevicius et al. 2018); in float16,
Keras scales the loss up so that small gradients do not become 0.
"""

import contextlib

import keras
import tensorflow as tf

from schemas.exit_status import UsageError
from trainer.config import Config


def sixteen_bits() -> str:
    """The policy for this machine: float16, which every GPU computes fast, or bfloat16, which CPUs know."""
    return "mixed_float16" if tf.config.list_logical_devices("GPU") else "mixed_bfloat16"


@contextlib.contextmanager
def precision_of(config: Config):
    """Layers that are made inside compute in 16 bits, if the configuration says so."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(sixteen_bits() if config.mixed_precision else before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def as_float32(model: keras.Model) -> keras.Model:
    """The model itself when it computes in 32 bits, else a copy of it with the same weights that does."""
    if model.compute_dtype == "float32":
        return model
    copy = type(model).from_config(_without_policies(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _without_policies(config):
    """A configuration whose layers all have the policy float32."""
    if isinstance(config, list):
        return [_without_policies(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return "float32"
    return {key: _without_policies(value) for key, value in config.items()}


def check_xla(model: keras.Model, devices: int) -> None:
    """Checks that XLA can compile the steps of a network.

    Raises:
        UsageError: when it can't.
    """
    if devices > 1:
        raise UsageError(f"jit_compile: XLA compiles for one device, and this training has {devices}")
    wrong = sorted({type(layer).__name__ for layer in model._flatten_layers() if not layer.supports_jit})
    if wrong:
        raise UsageError(f"jit_compile: XLA can't compile {', '.join(wrong)}; take another encoder or context")
