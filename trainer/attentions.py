"""Attentions: how much each history turn matters for the current one.

A variant overrides `scores` (and `build` where it has weights).
"""

import keras
from keras import ops

PACKAGE = "turnwise"
# Far below any score, yet finite: a softmax of nothing but masked slots must not become NaN.
MASKED_SCORE = -1e9


class HistoryAttention(keras.layers.Layer):
    """Weights p = softmax_k(score(u, m_k)) of the history, and the memory h = sum_k p_k m_k.

    With `mask_history`, empty slots get weight 0, and a window without any history gets weights and memory of zeros;
    otherwise empty slots compete with whatever vector they have, as in the weekly report (without
    history all weights are equal).
    """

    def __init__(self, mask_history: bool = True, **kwargs):
        """Makes the attention; `mask_history` gives empty slots no weight."""
        super().__init__(**kwargs)
        self.mask_history = mask_history

    def build(self, current_shape, history_shape=None, present_shape=None):
        """Makes the weights, if any, for a current turn of shape [B, D]."""
        self.built = True

    def scores(self, current, history):
        """Scores float32 [B, H] of a current turn float32 [B, D] and its history float32 [B, H, D]."""
        raise NotImplementedError

    def call(self, current, history, present):
        """Weighs the history.

        Args:
            current: float32 [B, D], the current turn's vector u.
            history: float32 [B, H, D], the history's vectors m_k, the newest first.
            present: bool [B, H], whether the slot holds a turn.

        Returns:
            The weights, float32 [B, H], and the memory, float32 [B, D].
        """
        scores = self.scores(current, history)
        if self.mask_history:
            weights = ops.softmax(ops.where(present, scores, MASKED_SCORE), axis=-1) * ops.cast(present, scores.dtype)
        else:
            weights = ops.softmax(scores, axis=-1)
        return weights, ops.einsum("bh,bhd->bd", weights, history)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "mask_history": self.mask_history}


@keras.saving.register_keras_serializable(package=PACKAGE)
class DotAttention(HistoryAttention):
    """score(u, m_k) = u . m_k, as in the weekly report."""

    def scores(self, current, history):
        """Scores float32 [B, H] of a current turn float32 [B, D] and its history float32 [B, H, D]."""
        return ops.einsum("bd,bhd->bh", current, history)


ATTENTIONS = {"dot": DotAttention}
