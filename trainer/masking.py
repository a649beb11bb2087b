"""Masks, made explicit: which positions hold a token, and a softmax over those alone."""

import tensorflow as tf
from keras import ops

# Far below any score, yet finite: a softmax or a maximum over nothing but padding must not become NaN or infinite.
MASKED_SCORE = -1e9


def token_mask(states, lengths):
    """Which positions hold a token, bool [N, L], of states [N, L, D] and lengths int [N]."""
    return ops.arange(ops.shape(states)[1])[None, :] < lengths[:, None]


def masked_softmax(scores, mask=None):
    """Softmax over the last axis, in float32; 0 where `mask` (bool, broadcast) is false, even if it is everywhere."""
    scores = ops.cast(scores, "float32")
    # Not Keras' softmax: it warns of an axis of one, which a turn of one token is.
    if mask is None:
        return tf.nn.softmax(scores)
    return tf.nn.softmax(ops.where(mask, scores, MASKED_SCORE)) * ops.cast(mask, "float32")
