"""Embeddings: from token ids to token vectors.

Those that start from a file's vectors are made without the file, so that a saved network needs none; training gives
them the vectors once, by `start_from`.
"""

import keras
import numpy as np
from keras import ops

from schemas.exit_status import UsageError

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class LearntEmbedding(keras.layers.Layer):
    """A table of token vectors, learnt with the network."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, **kwargs):
        """Makes the embedding of `vocabulary_size` token ids, padding included, in `embedding_dim` numbers each."""
        super().__init__(**kwargs)
        self.vocabulary_size, self.embedding_dim = vocabulary_size, embedding_dim
        self.table = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")

    @property
    def output_dim(self) -> int:
        """Size of a token's vector."""
        return self.embedding_dim

    def build(self, token_ids_shape=None):
        """Makes the weights; they depend on no shape of the input."""
        self.table.build((None, None))

    def call(self, token_ids):
        """Token vectors float32 [N, L, output_dim] of token ids int32 [N, L]."""
        return self.table(token_ids)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size, "embedding_dim": self.embedding_dim}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PretrainedEmbedding(LearntEmbedding):
    """A table of token vectors that starts from a file's, learnt on or left as it is.

    A token that the file lacks starts from a small random vector, as in `LearntEmbedding`; in a table that is left as
    it is, it stays zeros, as in the textbook (7.3.3).
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, embedding_trainable: bool = True, **kwargs):
        """Makes the embedding; see `LearntEmbedding`."""
        super().__init__(vocabulary_size, embedding_dim, **kwargs)
        self.embedding_trainable = self.table.trainable = embedding_trainable

    def start_from(self, vectors: np.ndarray, found: np.ndarray) -> None:
        """Fills the table.

        Args:
            vectors: float32 [vocabulary_size, embedding_dim], zeros where there is none.
            found: bool [vocabulary_size], whether there is one.
        """
        fill(self.table, vectors, found)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "embedding_trainable": self.embedding_trainable}


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwoChannelEmbedding(LearntEmbedding):
    """A file's vectors twice, side by side: one table learnt on, one left as it is. Source: the textbook (7.3.3)."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, **kwargs):
        """Makes the embedding; see `LearntEmbedding`. `embedding_dim` is the size of one channel."""
        super().__init__(vocabulary_size, embedding_dim, **kwargs)
        self.frozen = keras.layers.Embedding(vocabulary_size, embedding_dim, trainable=False, name="frozen")

    @property
    def output_dim(self) -> int:
        """Size of a token's vector."""
        return 2 * self.embedding_dim

    def build(self, token_ids_shape=None):
        """Makes the weights; they depend on no shape of the input."""
        super().build(token_ids_shape)
        self.frozen.build((None, None))

    def start_from(self, vectors: np.ndarray, found: np.ndarray) -> None:
        """Fills both tables; see `PretrainedEmbedding`."""
        for table in (self.table, self.frozen):
            fill(table, vectors, found)

    def call(self, token_ids):
        """Token vectors float32 [N, L, output_dim] of token ids int32 [N, L], the learnt channel first."""
        return ops.concatenate([self.table(token_ids), self.frozen(token_ids)], axis=-1)


def fill(table: keras.layers.Embedding, vectors: np.ndarray, found: np.ndarray) -> None:
    """Gives a table the vectors; where none was found, a trainable one keeps its own."""
    others = ops.convert_to_numpy(table.embeddings) if table.trainable else 0.0
    table.embeddings.assign(np.where(found[:, None], vectors, others))


EMBEDDINGS = {"learnt": LearntEmbedding, "pretrained": PretrainedEmbedding, "two_channel": TwoChannelEmbedding}


def check_embedding(name: str, file: str | None) -> None:
    """Checks that an embedding with a file of vectors is one that starts from vectors.

    Raises:
        UsageError: when it is not.
    """
    if file and not hasattr(EMBEDDINGS[name], "start_from"):
        raise UsageError(f"embedding: {name} has no use for an embedding_file")
