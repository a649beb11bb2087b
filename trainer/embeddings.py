"""Embeddings: from token ids to token vectors."""

import keras

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


EMBEDDINGS = {"learnt": LearntEmbedding}
