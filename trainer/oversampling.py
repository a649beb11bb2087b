"""Windows with rare labels are shown more often: how often, and in which epochs.

A label in c windows wants each of them sqrt(c_max / c) times, c_max that of the most frequent label, and at most the
configured number of times; a window is shown as often as the rarest of its labels wants. The copies lie side by side:
their turns are encoded once. Source: repeat factor sampling, Gupta et al. 2019 (LVIS), with the most frequent label's
share as the threshold; the textbook (4.4) says to duplicate the minority class.
"""

import dataclasses

import tensorflow as tf

from schemas.data_directory import LabelCounts

# Steps of this size modulo 1 leave no large gap: over the epochs a window gets its share to within one copy.
GOLDEN_RATIO = (5 ** 0.5 - 1) / 2
HASHES = 2 ** 40


@dataclasses.dataclass(frozen=True)
class Oversampling:
    """How often windows are shown.

    Attributes:
        factors: of each label, how often it wants its windows shown.
        seed: of the epochs that show a window once more, when its factor is no integer.
    """

    factors: tuple[float, ...]
    seed: int

    @classmethod
    def of(cls, counts: LabelCounts, limit: float, seed: int) -> "Oversampling":
        """The factors of labels with these counts, at most `limit`."""
        most = max(counts.labels)
        return cls(tuple(min(limit, (most / max(1, count)) ** 0.5) for count in counts.labels), seed)

    def copies(self, labels, conversation_ids, turn_indices, epochs):
        """How often windows are shown in some epochs, int64 [B, epochs].

        Args:
            labels: int64 [B, K] in {0, 1}.
            conversation_ids: string [B].
            turn_indices: int64 [B].
            epochs: int64 [epochs], numbers of epochs.
        """
        wanted = tf.cast(labels, tf.float64) * tf.constant(self.factors, tf.float64)
        factors = tf.maximum(tf.reduce_max(wanted, axis=1, keepdims=True), 1.0)
        name = tf.strings.join([str(self.seed), tf.strings.as_string(turn_indices), conversation_ids], " ")
        start = tf.cast(tf.strings.to_hash_bucket_fast(name, HASHES), tf.float64)[:, None] / HASHES
        places = tf.math.floormod(start + GOLDEN_RATIO * tf.cast(epochs, tf.float64), 1.0)
        return tf.cast(tf.floor(factors) + tf.cast(places < factors - tf.floor(factors), tf.float64), tf.int64)
