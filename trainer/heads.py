"""Heads: from a window's features to one logit a label, and from logits to probabilities."""

import keras
from keras import ops

from trainer.head import Head
from trainer.sequence_head import SequenceHead

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class SigmoidHead(Head):
    """Independent labels: y = sigmoid(W [g h; u; aux] + c), as in the weekly report."""

    def __init__(self, labels: int, **kwargs):
        """Makes the head of `labels` labels."""
        super().__init__(labels, **kwargs)
        self.dense = keras.layers.Dense(labels, name="classifier")

    def build(self, features_shape, turns_shape=None, present_shape=None):
        """Makes the weights for features of shape [B, features]."""
        self.dense.build(features_shape)
        self.built = True

    def call(self, features, turns, present):
        """Logits float32 [B, labels] of features float32 [B, features]."""
        return self.dense(features)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ChainHead(Head):
    """A classifier chain: logit_k = w_k x + c_k + sum_{j<k} T_kj y_j, the labels in the order of labels.json.

    Training puts the true labels for y_j. Without them, label after label, y_j is its score, not a decision: a
    decision would need a threshold before thresholds are chosen, and would make the scores of the labels behind it
    jump; with the score, their logit is the mean over y_j. All of it is in float32, whatever the mixed precision.
    Source: Read et al. 2011 (who take decisions).
    """

    needs_labels = True

    def __init__(self, labels: int, **kwargs):
        """Makes the head of `labels` labels."""
        kwargs.setdefault("dtype", "float32")
        super().__init__(labels, **kwargs)
        self.dense = keras.layers.Dense(labels, dtype="float32", name="classifier")

    def build(self, features_shape, turns_shape=None, present_shape=None):
        """Makes the weights for features of shape [B, features]."""
        self.dense.build(features_shape)
        # Row j is what label j adds to the labels behind it. Zeros: a chain starts as independent labels.
        self.links = self.add_weight(shape=(self.labels, self.labels), initializer="zeros", name="links")
        self.built = True

    def call(self, features, turns, present):
        """Logits float32 [B, labels] of features float32 [B, features]."""
        logits, links = self.dense(features), ops.triu(self.links, 1)
        for label in range(self.labels - 1):
            logits = logits + ops.sigmoid(logits[:, label:label + 1]) * links[label]
        return logits

    def taught(self, features, turns, present, labels):
        """Logits float32 [B, labels] of each label, given the true ones float32 [B, labels] before it."""
        return self.dense(features) + ops.matmul(labels, ops.triu(self.links, 1))


HEADS = {"sigmoid": SigmoidHead, "chain": ChainHead, "sequence": SequenceHead}
