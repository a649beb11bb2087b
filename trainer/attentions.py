"""Attention scores: how well each turn of the history answers the current one.

All take queries float32 [B, P, D] (P heads) and keys float32 [B, P, H, D], and give scores float32 [B, P, H]; the
softmax over the H slots is the memory's. Source of all: the textbook (11.1.2).
"""

import keras
from keras import ops

PACKAGE = "turnwise"


class Score(keras.layers.Layer):
    """What every score is."""

    # Whether the scores depend on what the slots hold.
    reads_keys = True

    def build(self, query_shape, keys_shape=None):
        """Makes the weights, if any, for queries [B, P, D] and keys [B, P, H, D]."""
        self.built = True

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package=PACKAGE)
class DotScore(Score):
    """score(u, m) = u . m, as in the weekly report."""

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        return ops.einsum("bpd,bphd->bph", query, keys)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScaledDotScore(Score):
    """score(u, m) = u . m / sqrt(D)."""

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        return ops.einsum("bpd,bphd->bph", query, keys) / keys.shape[-1] ** 0.5


@keras.saving.register_keras_serializable(package=PACKAGE)
class CosineScore(Score):
    """score(u, m) = cos(u, m), between -1 and 1; 0 for a vector of zeros."""

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        return ops.einsum("bpd,bphd->bph", unit(query), unit(keys))


@keras.saving.register_keras_serializable(package=PACKAGE)
class GeneralScore(Score):
    """score(u, m) = u^T W m."""

    def build(self, query_shape, keys_shape=None):
        """Makes the weights for queries [B, P, D]."""
        size = query_shape[-1]
        self.kernel = self.add_weight(shape=(size, size), initializer="glorot_uniform", name="kernel")
        self.built = True

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        return ops.einsum("bpd,de,bphe->bph", query, self.kernel, keys)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AdditiveScore(Score):
    """score(u, m) = v^T tanh(W [u; m]), W [D, 2 D]."""

    def build(self, query_shape, keys_shape=None):
        """Makes the weights for queries [B, P, D]."""
        size = query_shape[-1]
        self.query_kernel = self.add_weight(shape=(size, size), initializer="glorot_uniform", name="query_kernel")
        self.key_kernel = self.add_weight(shape=(size, size), initializer="glorot_uniform", name="key_kernel")
        self.vector = self.add_weight(shape=(size, 1), initializer="glorot_uniform", name="vector_kernel")
        self.built = True

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        hidden = ops.tanh(ops.matmul(query, self.query_kernel)[:, :, None] + ops.matmul(keys, self.key_kernel))
        return ops.squeeze(ops.matmul(hidden, self.vector), axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LocationScore(Score):
    """score_k(u) = (W u)_k: by the current turn alone, whatever the slots hold."""

    reads_keys = False

    def build(self, query_shape, keys_shape=None):
        """Makes the weights for queries [B, P, D] and keys [B, P, H, D]."""
        self.kernel = self.add_weight(shape=(query_shape[-1], keys_shape[-2]), initializer="glorot_uniform",
                                      name="kernel")
        self.built = True

    def call(self, query, keys):
        """Scores float32 [B, P, H] of queries float32 [B, P, D] and keys float32 [B, P, H, D]."""
        return ops.matmul(query, self.kernel)


def unit(vectors):
    """Vectors float32 [..., D] at length 1; zeros stay zeros."""
    return vectors * ops.rsqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-12))


ATTENTIONS = {
    "dot": DotScore,
    "scaled_dot": ScaledDotScore,
    "general": GeneralScore,
    "additive": AdditiveScore,
    "location": LocationScore,
    "cosine": CosineScore,
}
