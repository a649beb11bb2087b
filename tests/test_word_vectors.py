"""Files of word vectors: both formats, odd lines, what is refused."""

import gzip

import numpy as np
import pytest

from schemas import data_directory
from schemas.exit_status import UsageError
from tests.data_directories import WORDS, small_data_directory
from trainer.word_vectors import read_texts, read_vectors, write_vectors

TOKENS = ["", "hello", "酒店", ".", "nowhere", "b c", ""]
GLOVE = "hello 0.5 -1e-2\nother 1 2\n酒店 3 4\nb c 5 6\n. . 7 8\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file of this content; gives its path."""
    def write(content, name="vectors.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


def check(path):
    vectors, found = read_vectors(path, TOKENS, 2)
    np.testing.assert_array_equal(found, [False, True, True, False, False, True, False])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, 0], [0.5, -0.01], [3, 4], [0, 0], [0, 0], [5, 6], [0, 0]], rtol=1e-6)


def test_glove(write):
    check(write(GLOVE))


def test_word2vec_with_its_first_line_and_spaces_at_the_ends(write):
    check(write("5 2\n" + GLOVE.replace("\n", " \n")))


def test_gzip(write):
    check(write(gzip.compress(GLOVE.encode()), "vectors.txt.gz"))


def test_a_token_that_comes_twice_counts_once(write):
    check(write(f"{GLOVE}hello 8 9\n"))


def test_lines_of_other_tokens_are_not_looked_into(write):
    check(write(GLOVE.encode() + b"\xff\xfe 1\nother x y z\n"))


@pytest.mark.parametrize(("content", "message"), [
    ("hello 1 2 3\n", "vectors.txt, line 1: a vector of 3 numbers; embedding_dim is 2"),
    ("other 1 2 3\nhello 1 2\n", "vectors.txt, line 1: a vector of 3 numbers; embedding_dim is 2"),
    ("5 3\nhello 1 2 3\n", "vectors.txt, line 1: vectors of 3 numbers; embedding_dim is 2"),
    ("other 1 2\nhello 1\n", "vectors.txt, line 2: a vector of 1 numbers; embedding_dim is 2"),
    ("other 1 2\nhello 1 2 3\n", "vectors.txt, line 2: a vector of 3 numbers; embedding_dim is 2"),
    ("other 1 2\nhello 1 x\n", r"line 2: a vector must be 2 finite numbers \(embedding_dim\)"),
    ("hello nan 1\n", "line 1: a vector must be 2 finite numbers"),
    ("hello 1 1e39\n", "line 1: a vector must be 2 finite numbers"),
    ("\n", "line 1: a vector of 0 numbers"),
    ("other 1 2\n", "vectors.txt has no vector for any token of the vocabulary"),
    ("", "has no vector for any token"),
])
def test_refused(write, content, message):
    with pytest.raises(UsageError, match=message):
        read_vectors(write(content), TOKENS, 2)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(GLOVE.encode())[:-9]])
def test_damaged_gzip(write, content):
    with pytest.raises(UsageError, match="can't read the word vectors .*vectors.gz"):
        read_vectors(write(content, "vectors.gz"), TOKENS, 2)


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match="can't read the word vectors .*nowhere"):
        read_vectors(tmp_path / "nowhere", TOKENS, 2)


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz"])
def test_what_is_written_is_read(tmp_path, name):
    vectors = np.array([[0.125, -1e-7], [3, 4]], np.float32)
    write_vectors(tmp_path / name, ["5", "b c"], vectors)
    first = (tmp_path / name).read_bytes()
    write_vectors(tmp_path / name, ["5", "b c"], vectors)
    assert (tmp_path / name).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [name]
    read, found = read_vectors(tmp_path / name, ["b c", "", "5"], 2)
    np.testing.assert_array_equal(read, vectors[[1, 0, 0]] * [[1], [0], [1]])
    assert found.tolist() == [True, False, True]


def test_word2vec_text_to_the_letter(tmp_path):
    write_vectors(tmp_path / "v.txt", ["a", "取"], np.array([[0.5, -2], [1e-9, 3]], np.float32))
    assert (tmp_path / "v.txt").read_text("utf-8") == "2 2\na 0.5 -2\n取 1e-09 3\n"


def test_the_text_of_each_token_id(tmp_path):
    small_data_directory(tmp_path / "data")
    texts = ["", "w1", *WORDS, ""]
    assert read_texts(tmp_path / "data", 13) == texts
    assert read_texts(tmp_path / "data", 3) == ["", "w1", ""]
    asset = tmp_path / "data" / data_directory.VOCABULARY_ASSET
    asset.write_text("w1\n")
    with pytest.raises(UsageError, match="has 1 words; there must be 11"):
        read_texts(tmp_path / "data", 13)
