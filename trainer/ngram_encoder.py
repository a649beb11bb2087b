"""An encoder that reads no order but that inside of short n-grams: fast, and strong where data are few."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from schemas.examples import PADDING_ID
from trainer.encoder import Encoder
from trainer.masking import token_mask

PACKAGE = "turnwise"
# Buckets kept for each token's character n-grams; more words than one in a hundred seldom need.
MAX_CHARACTER_NGRAMS = 32
NO_BUCKET = -1

# Products of two numbers below the modulus fit into 63 bits.
_MODULUS, _MULTIPLIER = 2**31 - 1, 1_000_003
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


@keras.saving.register_keras_serializable(package=PACKAGE)
class NgramBagEncoder(Encoder):
    """Each token's vector, plus those of the n-grams that end at it, plus the mean of its character n-grams'.

    N-grams have no vocabulary: their vectors are the rows of hashed tables. All rows start as zeros, so that an n-gram
    that training never showed adds nothing, unless it shares its row with one that it did. With the mean as read-out
    this is fastText. Source: Joulin et al. 2017 (word n-grams), Bojanowski et al. 2017 (character n-grams); the hashing
    trick is the textbook's (7.1.2).
    """

    def __init__(self, units: int, vocabulary_size: int, ngram_sizes=(2, 3), ngram_buckets: int = 20000,
                 character_ngram_sizes=(3, 4, 5), dropout: float = 0.0, seed: int = 0, **kwargs):
        """Makes the encoder.

        Args:
            units: size of a token's state; vectors of another size are projected.
            vocabulary_size: number of token ids, padding included.
            ngram_sizes: tokens an n-gram.
            ngram_buckets: rows of each table.
            character_ngram_sizes: characters an n-gram inside a token, the marks around it included.
            dropout: share of the elements of the n-grams' vectors set to zero in training.
            seed: of the dropout.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(units, **kwargs)
        self.vocabulary_size, self.ngram_sizes, self.ngram_buckets = vocabulary_size, tuple(ngram_sizes), ngram_buckets
        self.character_ngram_sizes = tuple(character_ngram_sizes)
        self.dropout_rate, self.seed = dropout, seed
        self.ngrams = keras.layers.Embedding(ngram_buckets, units, "zeros", name="ngrams")
        self.character_ngrams = keras.layers.Embedding(ngram_buckets, units, "zeros", name="character_ngrams")
        self.dropout = keras.layers.Dropout(dropout, seed=seed)
        self.projection = None

    def build(self, vectors_shape, lengths_shape=None, token_ids_shape=None):
        """Makes the weights for token vectors of shape [N, L, E]."""
        if vectors_shape[-1] != self.units:
            self.projection = keras.layers.Dense(self.units, use_bias=False, name="projection")
            self.projection.build(vectors_shape)
        for table in (self.ngrams, self.character_ngrams):
            table.build((None, None))
        self.token_buckets = self.add_weight(
            shape=(self.vocabulary_size, MAX_CHARACTER_NGRAMS), dtype="int64", trainable=False,
            initializer=self._own_buckets, name="token_buckets")
        self.built = True

    def _own_buckets(self, shape, dtype=None):
        """Buckets of tokens whose text is not known: each is one n-gram, itself."""
        buckets = np.full(shape, NO_BUCKET)
        buckets[1:, 0] = np.arange(1, shape[0]) % self.ngram_buckets
        return ops.convert_to_tensor(buckets, dtype)

    def forget_token_ids(self) -> None:
        """Clears what was learnt of n-grams of tokens: they are hashed by ids, which mean other tokens from now on."""
        self.ngrams.set_weights([np.zeros(weight.shape, np.float32) for weight in self.ngrams.get_weights()])

    def adapt_vocabulary(self, texts: Sequence[str]) -> None:
        """Finds the character n-grams' buckets of each token id, given its text; "" for none."""
        buckets = np.full((self.vocabulary_size, MAX_CHARACTER_NGRAMS), NO_BUCKET)
        for row, text in zip(buckets, texts, strict=True):
            found = [fnv1a(ngram.encode("utf-8")) % self.ngram_buckets
                     for ngram in character_ngrams(text, self.character_ngram_sizes)[:MAX_CHARACTER_NGRAMS]]
            row[:len(found)] = found
        self.token_buckets.assign(buckets)

    def call(self, vectors, lengths=None, token_ids=None, training=None):
        """States float32 [N, L, units]; see `encoders`."""
        states = vectors if self.projection is None else self.projection(vectors)
        token_ids = ops.cast(token_ids, "int64")
        if lengths is not None:
            token_ids = ops.where(token_mask(vectors, lengths), token_ids, PADDING_ID)
        added = self._of_characters(token_ids)
        for buckets in ngram_buckets(token_ids, self.ngram_sizes, self.ngram_buckets):
            added = added + _rows(self.ngrams, buckets)
        return states + self.dropout(added, training=training)

    def _of_characters(self, token_ids):
        """The mean of the vectors of each token's character n-grams, [N, L, units], of token ids int64 [N, L]."""
        # A token has many n-grams, and a batch most tokens many times.
        distinct, positions = tf.unique(tf.reshape(token_ids, [-1]))
        buckets = ops.take(self.token_buckets, distinct, axis=0)
        rows = _rows(self.character_ngrams, buckets)
        count = ops.maximum(ops.sum(ops.cast(buckets != NO_BUCKET, rows.dtype), axis=1, keepdims=True), 1)
        means = ops.sum(rows, axis=1) / count
        return tf.gather(means, tf.reshape(positions, tf.shape(token_ids)))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size, "ngram_sizes": list(self.ngram_sizes),
                "ngram_buckets": self.ngram_buckets, "character_ngram_sizes": list(self.character_ngram_sizes),
                "dropout": self.dropout_rate, "seed": self.seed}


def ngram_buckets(token_ids, sizes: Sequence[int], buckets: int):
    """For each size, the buckets int64 [N, L] of the n-grams that end at each token of int64 [N, L].

    `NO_BUCKET` where the n-gram would reach beyond the turn: a padding id is in none.
    """
    length, before = ops.shape(token_ids)[1], max(sizes) - 1
    padded = ops.pad(token_ids, ((0, 0), (before, 0)), constant_values=PADDING_ID)
    hashed, whole, found = ops.zeros_like(token_ids), token_ids != PADDING_ID, []
    for back in range(max(sizes)):
        token = padded[:, before - back:before - back + length]
        hashed = ops.mod(hashed * _MULTIPLIER + token, _MODULUS)
        whole = ops.logical_and(whole, token != PADDING_ID)
        if back + 1 in sizes:
            found.append(ops.where(whole, ops.mod(hashed, buckets), NO_BUCKET))
    return found


def character_ngrams(text: str, sizes: Sequence[int]) -> list[str]:
    """The character n-grams of a text between the marks < and >, the shorter ones first; none of "".

    The text and its marks as a whole are none: that is the token itself, which has a vector of its own.
    """
    marked = f"<{text}>"
    return [marked[start:start + size] for size in sorted(sizes) for start in range(len(marked) - size + 1)
            if text and size < len(marked)]


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash: for each byte, h = (h xor byte) 16777619 mod 2^32, from 2166136261 on."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


def _rows(table, buckets):
    """Rows of a table, [..., units], of buckets int64 [...]; zeros for `NO_BUCKET`."""
    rows = table(ops.maximum(buckets, 0))
    return rows * ops.cast(buckets != NO_BUCKET, rows.dtype)[..., None]
