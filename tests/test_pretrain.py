"""`trainer pretrain`: the parts of skip-gram by hand, what it learns, its files."""

import dataclasses
import html
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest

from schemas import data_directory
from schemas.exit_status import DATA_REFUSED, DONE, USAGE
from tests.data_directories import Turn, Window, small_data_directory, write_data_directory
from trainer import skip_gram as skip_gram_module
from trainer.__main__ import main
from trainer.pretrain import report_path
from trainer.pretrain_report import nearest, neighbours_of_frequent_words
from trainer.skip_gram import (
    NOISE_WORDS,
    Corpus,
    Settings,
    SkipGram,
    batches,
    keep_probabilities,
    negative_sampling_loss,
    noise_ends,
    read_corpus,
    skip_gram,
    word_pairs,
)
from trainer.word_vectors import read_vectors

SETTINGS = Settings(dim=8, window=2, negatives=3, epochs=4, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small data directory; its words are w1 to w11."""
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return path


def corpus_of(turns, vocabulary_size):
    counts = np.bincount(np.concatenate(turns), minlength=vocabulary_size)
    counts[[0, -1]] = 0
    return Corpus(np.concatenate(turns).astype(np.int32), np.cumsum([0, *map(len, turns)]), counts)


def test_each_turn_of_a_conversation_once(tmp_path):
    greeting, asked, answered = (Turn(words, (0.0, 0.0)) for words in (("w2", "w3"), ("w4",), ("w5", "w12")))
    windows = [Window("a", 1, (asked, greeting), (0, 0, 0, 0)),
               Window("a", 4, (asked, answered, asked, greeting), (0, 0, 0, 0)),
               Window("b", 0, (greeting,), (0, 0, 0, 0))]
    manifest = write_data_directory(tmp_path / "data", {"train": windows, "test": windows}, shards=1, transform=False)
    corpus = read_corpus(tmp_path / "data", manifest)
    turns = [turn.tolist() for turn in np.split(corpus.token_ids, corpus.offsets[1:-1])]
    assert turns == [[4], [2, 3], [5, 12], [2, 3]]
    # The last id, unknown words, has no vector.
    assert corpus.counts.tolist() == [0, 0, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert corpus.known().tolist() == [2, 3, 4, 5]


def test_keep_probabilities_by_hand():
    # Shares of 0.9, 0.0999 and 0.0001 of the text; the square root of 0.001 / share, at most 1.
    np.testing.assert_allclose(keep_probabilities(np.array([0, 9000, 999, 1])), [0, 0.033333, 0.100050, 1], atol=1e-6)


def test_noise_ends_by_hand():
    # 16^0.75 = 8 and 1^0.75 = 1: parts of 0.8, 0.1 and 0.1.
    np.testing.assert_allclose(noise_ends(np.array([0, 16, 0, 1, 1, 0])), [0, 0.8, 0.8, 0.9, 1, 1], rtol=1e-6)


def test_word_pairs_by_hand():
    pairs = word_pairs(np.array([5, 6, 7, 8], np.int32), np.array([0, 0, 0, 1]), np.array([2, 1, 1, 2]))
    assert sorted(map(tuple, pairs.tolist())) == [(5, 6), (5, 7), (6, 5), (6, 7), (7, 6)]
    assert word_pairs(np.zeros(0, np.int32), np.zeros(0), np.zeros(0, int)).shape == (0, 2)


def test_the_loss_by_hand():
    # -log s(0) = log 2; -log s(-1) = log(1 + e) = 1.313262 and -log s(1) = 0.313262, in the mean 0.813262, 3 times.
    loss = negative_sampling_loss(np.zeros((1, 1), np.float32), np.array([[1, -1]], np.float32), 3)
    np.testing.assert_allclose(loss, np.log(2) + 3 * 0.813262, rtol=1e-5)


def test_the_model_multiplies_words_with_neighbours_and_noise():
    model = SkipGram(np.array([0, 0, 5, 0]), dataclasses.replace(SETTINGS, dim=2))
    model(np.zeros((1, 2), np.int32))
    model.words.embeddings.assign([[9, 9], [1, 2], [9, 9], [9, 9]])
    model.neighbours.embeddings.assign([[9, 9], [9, 9], [3, 4], [5, 6]])
    true, noise = model(np.array([[1, 3]], np.int32))
    np.testing.assert_array_equal(true, [[17]])
    # All noise is the only word that was counted.
    np.testing.assert_array_equal(noise, np.full((1, NOISE_WORDS), 11))


def test_pairs_follow_from_seed_and_epoch(monkeypatch):
    monkeypatch.setattr(skip_gram_module, "SAMPLED_SHARE", 1.0)
    monkeypatch.setattr(skip_gram_module, "CHUNK_TURNS", 2)
    corpus = corpus_of([[1, 2], [3, 9, 4, 5], [6], [7, 8], [1, 2]], 10)

    def pairs(seed, epoch):
        settings = dataclasses.replace(SETTINGS, window=1, seed=seed)
        return np.concatenate(list(batches(corpus, settings, epoch))).tolist()

    assert pairs(1, 0) == pairs(1, 0)
    assert pairs(1, 0) not in (pairs(1, 1), pairs(2, 0))
    # 9, an unknown word, is left out before neighbours are told.
    expected = [[1, 2], [2, 1], [3, 4], [4, 3], [4, 5], [5, 4], [7, 8], [8, 7], [1, 2], [2, 1]]
    assert sorted(pairs(1, 0)) == sorted(pairs(1, 1)) == sorted(expected)


def test_words_of_like_use_are_near(monkeypatch):
    """Two topics of ten words each: a word's nearest words are those of its topic."""
    monkeypatch.setattr(skip_gram_module, "SAMPLED_SHARE", 1.0)
    random = np.random.default_rng(0)
    turns = [random.integers(1, 11, 8) + 10 * (number % 2) for number in range(2000)]
    corpus = corpus_of(turns, 22)
    table, losses = skip_gram(corpus, SETTINGS)
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == SETTINGS.epochs
    for word in range(1, 21):
        near = nearest(table, word, corpus.known(), 9)
        assert {(other - 1) // 10 for other, _ in near} == {(word - 1) // 10}, word
    again, _ = skip_gram(corpus, SETTINGS)
    np.testing.assert_array_equal(again, table)


def test_nearest_by_hand():
    table = np.array([[9, 9], [1, 0], [2, 2], [-3, 0], [0, 5], [9, 9]], np.float32)
    near = nearest(table, 1, np.array([1, 2, 3, 4]), 8)
    assert [token for token, _ in near] == [2, 4, 3]
    np.testing.assert_allclose([cosine for _, cosine in near], [0.5**0.5, 0, -1], atol=1e-6)


def test_the_frequent_words_that_are_shown():
    words = ["", ".", *(f"w{number}" for number in range(2, 200)), ""]
    counts = np.array([0, 999, *range(400, 202, -1), 0])
    corpus = Corpus(np.zeros(0, np.int32), np.zeros(1, np.int64), counts)
    table = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    shown = neighbours_of_frequent_words(table, corpus, words)
    assert [word for word, _ in shown] == [f"w{number}" for number in range(2, 98, 6)]
    assert {len(near) for _, near in shown} == {8}


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz", "vectors.vec"])
def test_where_the_report_goes(name):
    assert report_path(pathlib.Path("out") / name) == pathlib.Path("out/vectors.html")


def pretrain(data, output, *flags):
    return main(["pretrain", "--data_dir", str(data), "--output", str(output), "--dim", "4", "--epochs", "2", *flags])


def test_the_command(data, tmp_path, capsys):
    """The vectors are read by `embedding_file`, equal runs write equal files, the report needs nothing else."""
    output = tmp_path / "new" / "vectors.txt.gz"
    assert pretrain(data, output) == DONE
    said = capsys.readouterr().out
    assert re.search(r"^[0-9]+ turns, [0-9]+ tokens, 10 words$", said, re.MULTILINE)
    assert re.search(r"^  w5: w[0-9]+(, w[0-9]+){7}$", said, re.MULTILINE)
    assert {path.name for path in output.parent.iterdir()} == {"vectors.txt.gz", "vectors.html"}
    vectors, found = read_vectors(output, [f"w{number}" for number in range(1, 12)], 4)
    assert found.tolist() == [False] + [True] * 10
    assert len(np.unique(vectors[found], axis=0)) == 10
    page = (output.parent / "vectors.html").read_text("utf-8")
    assert "<svg" in page and "<script" not in page and "http-equiv=\"Content-Security-Policy\"" in page
    assert f"<bdi>{html.escape(str(output))}</bdi>" in page
    first = output.read_bytes()
    assert pretrain(data, output) == USAGE
    assert pretrain(data, output, "--overwrite") == DONE
    assert output.read_bytes() == first
    assert pretrain(data, output, "--overwrite", "--seed", "7") == DONE
    assert output.read_bytes() != first


def test_words_are_shown_as_the_text_they_are(data, tmp_path, capsys):
    evil = tmp_path / "data"
    shutil.copytree(data, evil)
    asset = evil / data_directory.VOCABULARY_ASSET
    asset.write_text(asset.read_text().replace("w5\n", "<script>alert(1)</script>\u202e\x1b\n"))
    assert pretrain(evil, tmp_path / "vectors.txt") == DONE
    page = (tmp_path / "vectors.html").read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\u001b" in page
    assert "<script>alert(1)</script>\\u202e\\u001b: " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "message"), [
    ("vectors.html", "is the report's ending"), ("there", "there exists"),
    ("file/vectors.txt", "can't make the directory")])
def test_outputs_that_can_not_be(data, tmp_path, capsys, name, message):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("mine")
    assert pretrain(data, tmp_path / name) == USAGE
    assert message in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("windows", [[], [Window("a", 0, (Turn(("w2",), (0.0, 0.0)),), (0, 0, 0, 0))]])
def test_too_few_words(tmp_path, capsys, windows):
    write_data_directory(tmp_path / "data", {"train": windows, "test": []})
    assert pretrain(tmp_path / "data", tmp_path / "vectors.txt") == DATA_REFUSED
    assert "the train split has too few words" in capsys.readouterr().err
    assert not (tmp_path / "vectors.txt").exists()


def test_the_tables_do_not_depend_on_what_ran_before():
    corpus = corpus_of([[1, 2, 3, 4]] * 300, 6)
    table, _ = skip_gram(corpus, SETTINGS)
    keras.random.normal((3,))
    np.testing.assert_array_equal(skip_gram(corpus, SETTINGS)[0], table)
