"""The bag of hashed n-grams: golden hashes, hand-worked states, and its buckets through save and reload."""

import keras
import numpy as np
import pytest

from trainer.ngram_encoder import NO_BUCKET, NgramBagEncoder, character_ngrams, fnv1a, ngram_buckets

TEXTS = ["", "cat", "a", "cats", ""]


@pytest.mark.parametrize(("text", "value"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)])
def test_fnv1a(text, value):
    """Values of the hash's authors' test suite."""
    assert fnv1a(text) == value


@pytest.mark.parametrize(("text", "sizes", "expected"), [
    ("cat", (4, 3), ["<ca", "cat", "at>", "<cat", "cat>"]),
    ("酒店", (3,), ["<酒店", "酒店>"]),
    ("我", (2, 3, 4), ["<我", "我>"]),
    ("我", (3, 4, 5), []),
    ("", (1, 2), []),
])
def test_character_ngrams(text, sizes, expected):
    assert character_ngrams(text, sizes) == expected


def test_buckets_of_ngrams_by_hand():
    ids = np.array([[7, 5, 6, 0], [5, 0, 5, 6]], np.int64)
    pairs, triples = (np.array(buckets).tolist() for buckets in ngram_buckets(ids, (2, 3), 1000))
    # A pair's hash is second * 1000003 + first: 5000022 for (7, 5), 6000023 for (5, 6); then modulo 1000.
    assert pairs == [[NO_BUCKET, 22, 23, NO_BUCKET], [NO_BUCKET, NO_BUCKET, NO_BUCKET, 23]]
    triple = ((6 * 1_000_003 + 5) * 1_000_003 + 7) % (2**31 - 1) % 1000
    assert triples == [[NO_BUCKET, NO_BUCKET, triple, NO_BUCKET], [NO_BUCKET] * 4]


def test_ngrams_longer_than_the_batch():
    found = ngram_buckets(np.array([[4]], np.int64), (2, 5), 9)
    assert [np.array(buckets).tolist() for buckets in found] == [[[NO_BUCKET]], [[NO_BUCKET]]]


def made(units=2, **settings):
    """An encoder of vectors of size 2, its rows numbered: row i is (i, -i) for n-grams, (100 i, 0) for characters."""
    settings = {"ngram_sizes": (2,), "ngram_buckets": 50, "character_ngram_sizes": (3,), **settings}
    encoder = NgramBagEncoder(units, 5, **settings)
    encoder.build((None, None, 2))
    rows = np.arange(50.0)
    encoder.ngrams.embeddings.assign(np.stack([rows, -rows], 1)[:, :units])
    encoder.character_ngrams.embeddings.assign(np.stack([100 * rows, 0 * rows], 1)[:, :units])
    return encoder


def test_states_by_hand():
    encoder = made()
    encoder.adapt_vocabulary(TEXTS)
    vectors = np.array([[[0.5, 0], [0.25, 1], [0, 2], [0, 3]]], np.float32)
    states = encoder(vectors, np.array([3], np.int32), np.array([[1, 2, 3, 3]]))
    cat = np.mean([fnv1a(ngram) % 50 for ngram in (b"<ca", b"cat", b"at>")])
    cats = np.mean([fnv1a(ngram) % 50 for ngram in (b"<ca", b"cat", b"ats", b"ts>")])
    # "a" has no character n-gram of 3 but "<a>", the whole. Pairs (1, 2), (2, 3): 2000007 and 3000011 modulo 50.
    expected = [[0.5 + 100 * cat, 0], [0.25 + 7, 1 - 7], [11 + 100 * cats, 2 - 11]]
    np.testing.assert_allclose(states[0, :3], expected, rtol=1e-6)


def test_without_texts_a_token_is_an_ngram_of_itself():
    states = made()(np.zeros((1, 2, 2), np.float32), np.array([2], np.int32), np.array([[3, 4]]))
    np.testing.assert_allclose(states, [[[300, 0], [400 + 15, -15]]])


def test_unknown_words_and_padding_have_no_characters():
    encoder = made()
    encoder.adapt_vocabulary(TEXTS)
    np.testing.assert_array_equal(encoder.token_buckets[0], encoder.token_buckets[4])
    assert np.all(np.array(encoder.token_buckets[4]) == NO_BUCKET)
    states = encoder(np.zeros((1, 2, 2), np.float32), None, np.array([[0, 4]]))
    np.testing.assert_array_equal(states, np.zeros((1, 2, 2)))


def test_vectors_of_another_size_are_projected():
    assert made().projection is None
    encoder = made(units=1)
    encoder.projection.kernel.assign([[10.0], [1.0]])
    states = encoder(np.array([[[2, 3]]], np.float32), np.array([1], np.int32), np.array([[4]]))
    np.testing.assert_allclose(states, [[[23 + 400]]])


def test_a_long_word_has_its_first_ngrams_only():
    encoder = made()
    encoder.adapt_vocabulary(["", "x" * 100, "", "", ""])
    assert np.all(np.array(encoder.token_buckets[1]) != NO_BUCKET)


def test_the_texts_outlive_the_vocabulary(tmp_path):
    encoder = made()
    encoder.adapt_vocabulary(TEXTS)
    vectors, ids = keras.Input((None, 2)), keras.Input((None,), dtype="int32")
    model = keras.Model([vectors, ids], encoder(vectors, None, ids))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    given = [np.ones((1, 3, 2), np.float32), np.array([[1, 2, 3]])]
    np.testing.assert_array_equal(loaded(given), model(given))
    np.testing.assert_array_equal(loaded.layers[-1].token_buckets, encoder.token_buckets)
