"""Heads: from a window's features to one logit a label, and from logits to probabilities."""

import keras
from keras import ops

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class SigmoidHead(keras.layers.Layer):
    """Independent labels: y = sigmoid(W [g h; u; aux] + c), as in the weekly report."""

    def __init__(self, labels: int, **kwargs):
        """Makes the head of `labels` labels."""
        super().__init__(**kwargs)
        self.labels = labels
        self.dense = keras.layers.Dense(labels, name="classifier")

    def build(self, input_shape):
        """Makes the weights for features of shape [B, features]."""
        self.dense.build(input_shape)

    def call(self, features):
        """Logits float32 [B, labels] of features float32 [B, features]."""
        return self.dense(features)

    def scores(self, logits):
        """Probabilities float32 [B, labels] of logits [B, labels]."""
        return ops.sigmoid(logits)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "labels": self.labels}


HEADS = {"sigmoid": SigmoidHead}
