"""Embeddings that start from a file's vectors, by themselves and in a training."""

import keras
import numpy as np
import pytest

from schemas import data_directory, model_directory
from schemas.exit_status import UsageError
from tests.data_directories import small_data_directory
from trainer.callbacks import StopOnNaN
from trainer.config import load_config
from trainer.embeddings import LearntEmbedding, PretrainedEmbedding, TwoChannelEmbedding
from trainer.models import load_model
from trainer.skip_gram import Settings, read_corpus, skip_gram
from trainer.training import train

VECTORS = np.array([[0, 0], [1, 2], [0, 0], [3, 4]], np.float32)
FOUND = np.array([False, True, False, True])
SMALL = ["embedding_dim=2", "units=3", "encoder=bag", "readout=mean", "global_batch_size=16", "learning_rate=0.01"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small data directory; its words are w1 to w11."""
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return path


def built(embedding):
    embedding.build()
    return embedding


def test_a_trainable_table_keeps_its_own_vector_where_the_file_has_none():
    embedding = built(PretrainedEmbedding(4, 2))
    own = embedding(np.arange(4)[None])[0].numpy()
    embedding.start_from(VECTORS, FOUND)
    np.testing.assert_array_equal(embedding(np.array([[3, 1, 2, 0]]))[0], [[3, 4], [1, 2], own[2], own[0]])
    assert np.all(np.any(own != 0, axis=1))
    assert len(embedding.trainable_weights) == 1


def test_a_frozen_table_has_zeros_where_the_file_has_none():
    embedding = built(PretrainedEmbedding(4, 2, embedding_trainable=False))
    embedding.start_from(VECTORS, FOUND)
    np.testing.assert_array_equal(embedding(np.arange(4)[None])[0], VECTORS)
    assert embedding.trainable_weights == []
    assert PretrainedEmbedding.from_config(embedding.get_config()).table.trainable is False


def test_two_channels_stand_side_by_side():
    embedding = built(TwoChannelEmbedding(4, 2))
    own = embedding.table(np.arange(4)).numpy()
    embedding.start_from(VECTORS, FOUND)
    assert embedding.output_dim == 4
    np.testing.assert_array_equal(embedding(np.array([[1, 2]]))[0], [[1, 2, 1, 2], [*own[2], 0, 0]])
    assert [weight.path.split("/")[-2] for weight in embedding.trainable_weights] == ["embedding"]
    assert LearntEmbedding(4, 2).output_dim == 2


def test_a_file_without_an_embedding_that_starts_from_it():
    with pytest.raises(UsageError, match="embedding: learnt has no use for an embedding_file"):
        load_config("masked_lstm", None, ["embedding_file=glove.txt"])


def settings_of(file, *settings):
    return load_config("masked_lstm", None, [*SMALL, f"embedding_file={file}", *settings])


def test_a_training_starts_from_the_file(data, tmp_path, capsys):
    file = tmp_path / "vectors.txt"
    file.write_text("w3 1 2\nnowhere 9 9\nw11 3 4\n")
    settings = ["embedding=two_channel", "epochs=2"]
    train(str(data), str(tmp_path / "model"), settings_of(file, *settings))
    assert f"vectors of {file}: 2 of 11 tokens found\n" in capsys.readouterr().out
    embedding = load_model(tmp_path / "model" / model_directory.BEST_MODEL).encoder.embedding
    expected = np.zeros((13, 2))
    expected[[3, 11]] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(embedding.frozen.embeddings, expected)
    learnt = keras.ops.convert_to_numpy(embedding.table.embeddings)
    assert np.all(learnt[[3, 11]] != expected[[3, 11]])
    np.testing.assert_allclose(learnt[[3, 11]], expected[[3, 11]], atol=0.5)


def test_without_a_file_the_vectors_come_from_the_train_split(data, tmp_path, capsys):
    config = load_config("masked_lstm", None, [*SMALL, "embedding=two_channel", "epochs=1"])
    train(str(data), str(tmp_path / "model"), config)
    assert "learning word vectors from " in capsys.readouterr().out
    frozen = load_model(tmp_path / "model" / model_directory.BEST_MODEL).encoder.embedding.frozen.embeddings.numpy()
    manifest = data_directory.read_manifest(data)
    corpus = read_corpus(data, manifest)
    vectors, _ = skip_gram(corpus, Settings(2, seed=config.seed))
    np.testing.assert_allclose(frozen, np.where((corpus.counts > 0)[:, None], vectors, 0), atol=1e-6)
    assert np.any(frozen[3] != 0)


def test_a_file_that_changed_does_not_go_with_a_killed_training(data, tmp_path, monkeypatch):
    file = tmp_path / "vectors.txt"
    file.write_text("w3 1 2\n")
    config = settings_of(file, "embedding=pretrained", "epochs=3")

    def interrupt(callback, batch, logs=None):
        if callback.epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StopOnNaN, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(str(data), str(tmp_path / "model"), config)
    file.write_text("w3 1 3\n")
    with pytest.raises(UsageError, match=r"with other settings \(the content of embedding_file\)"):
        train(str(data), str(tmp_path / "model"), config)
    file.write_text("w3 1 2\n")
    assert train(str(data), str(tmp_path / "model"), config).epoch == 3


def test_a_file_that_is_missing(data, tmp_path):
    with pytest.raises(UsageError, match="can't read embedding_file .*nowhere.txt"):
        train(str(data), str(tmp_path / "model"), settings_of(tmp_path / "nowhere.txt", "embedding=pretrained"))
    assert not (tmp_path / "model").exists()
