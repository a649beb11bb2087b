"""What every head is."""

import keras
from keras import ops


class Head(keras.layers.Layer):
    """What every head is; `turns` float32 [B, slots, D] and `present` bool [B, slots] are for heads that look again."""

    # Whether training needs the labels: then `taught` gives the logits that the loss is of.
    needs_labels = False

    def __init__(self, labels: int, **kwargs):
        """Makes the head of `labels` labels."""
        super().__init__(**kwargs)
        self.labels = labels

    def build(self, features_shape, turns_shape=None, present_shape=None):
        """Makes the weights for features of shape [B, features] and turns of shape [B, slots, D]."""
        raise NotImplementedError

    def call(self, features, turns, present):
        """Logits float32 [B, labels] of features float32 [B, features]; without knowledge of the true labels."""
        raise NotImplementedError

    def taught(self, features, turns, present, labels):
        """What the loss takes as logits, given the true labels float32 [B, labels]; see `needs_labels`."""
        raise NotImplementedError

    def scores(self, logits):
        """Probabilities float32 [B, labels] of logits [B, labels]."""
        return ops.sigmoid(ops.cast(logits, "float32"))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "labels": self.labels}
