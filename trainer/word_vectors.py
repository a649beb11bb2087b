"""Word vectors in text files, of GloVe or word2vec, and what a network takes from the words of a data directory."""

import gzip
import os
import pathlib
import zlib
from collections.abc import Sequence

import numpy as np

from schemas.data_directory import VOCABULARY_ASSET, Manifest
from schemas.exit_status import DataRefused, UsageError
from trainer.config import Config
from trainer.embeddings import EMBEDDINGS
from trainer.skip_gram import Settings, read_corpus, skip_gram

# So many turns say enough about their words.
MOST_TURNS = 200_000


def starting_vectors(data_dir: str | pathlib.Path, manifest: Manifest, config: Config,
                     words: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """What `start_from` of an embedding takes: vectors from `embedding_file`, or else from the train split.

    The latter are learnt as `trainer pretrain` does, with its settings, from the first `MOST_TURNS` turns.

    Args:
        data_dir: the data directory.
        manifest: of the data directory.
        config: of the training.
        words: the text of each token id.

    Returns:
        float32 [V, embedding_dim], and bool [V], whether there is one; None for an embedding that starts from none.

    Raises:
        UsageError: when the file can't be read, or does not fit.
        DataRefused: when a shard is damaged.
    """
    if not hasattr(EMBEDDINGS[config.embedding], "start_from"):
        return None
    if config.embedding_file:
        vectors, found = read_vectors(config.embedding_file, words, config.embedding_dim)
        print(f"vectors of {config.embedding_file}: {found.sum():,} of {len(words) - 2:,} tokens found")
        return vectors, found
    corpus = read_corpus(data_dir, manifest, MOST_TURNS)
    print(f"learning word vectors from {corpus.turns:,} turns of the train split", flush=True)
    try:
        vectors, _ = skip_gram(corpus, Settings(config.embedding_dim, seed=config.seed))
    except DataRefused as error:
        print(f"{error}: they start at random")
        return np.zeros((len(words), config.embedding_dim), np.float32), np.zeros(len(words), bool)
    return vectors, corpus.counts > 0


def give_words(model, words: Sequence[str], vectors: tuple[np.ndarray, np.ndarray] | None) -> None:
    """Gives a fresh network what it takes from words and not from windows.

    Layers with `start_from` get the vectors, layers with `adapt_vocabulary` the text of each token id.

    Args:
        model: with fresh weights.
        words: the text of each token id.
        vectors: of `starting_vectors`.
    """
    for layer in model._flatten_layers():
        if vectors and hasattr(layer, "start_from"):
            layer.start_from(*vectors)
        if hasattr(layer, "adapt_vocabulary"):
            layer.adapt_vocabulary(words)


def read_texts(data_dir: str | pathlib.Path, vocabulary_size: int) -> list[str]:
    """The text of each of so many token ids; "" for padding and for the last id, unknown words.

    Raises:
        UsageError: when the vocabulary can't be read or has fewer words.
    """
    return read_vocabulary(pathlib.Path(data_dir) / VOCABULARY_ASSET, vocabulary_size)


def read_vocabulary(path: pathlib.Path, vocabulary_size: int) -> list[str]:
    """The same of a vocabulary file, one word a line.

    Raises:
        UsageError: when it can't be read or has fewer words.
    """
    try:
        found = path.read_bytes().decode("utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the vocabulary {path}: {error}") from error
    # tf.Transform writes a word where it found none: the manifest knows better.
    words = found[: vocabulary_size - 2]
    if len(words) < vocabulary_size - 2:
        raise UsageError(f"the vocabulary {path} has {len(words)} words; there must be {vocabulary_size - 2}")
    return ["", *words, ""]


def read_vectors(path: str | pathlib.Path, tokens: Sequence[str], dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that a file has for tokens.

    The file has a line a token: the token, then `dim` numbers, parted by spaces. In word2vec's format a line with the
    number of tokens and `dim` comes first. A token may itself hold spaces. Where a token comes twice, the first counts.
    Only the first line and those of the tokens asked for are looked into: files have millions of lines.

    Args:
        path: of the file; gzip when it ends in .gz.
        tokens: "" gets no vector.
        dim: numbers of a vector.

    Returns:
        float32 [len(tokens), dim], zeros where the file has no vector, and bool [len(tokens)], where it has one.

    Raises:
        UsageError: when the file can't be read, has vectors of another size, or none for any of the tokens.
    """
    places = {token.encode("utf-8"): place for place, token in enumerate(tokens) if token}
    starts = {token.split(b" ", 1)[0] for token in places}
    vectors, found = np.zeros((len(tokens), dim), np.float32), np.zeros(len(tokens), bool)
    try:
        with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if number > 1 and line.split(b" ", 1)[0] not in starts:
                    continue
                where = f"{path}, line {number}"
                if number == 1 and _is_header(line, where, dim):
                    continue
                token, vector = _parsed(line, where, dim)
                place = places.get(token)
                if place is not None and not found[place]:
                    vectors[place], found[place] = vector, True
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"can't read the word vectors {path}: {error}") from error
    if not found.any():
        raise UsageError(f"{path} has no vector for any token of the vocabulary")
    return vectors, found


def write_vectors(path: str | pathlib.Path, tokens: Sequence[str], vectors: np.ndarray) -> None:
    """Writes vectors float32 [len(tokens), D] in word2vec's text format, in one step; gzip when `path` ends in .gz."""
    path = pathlib.Path(path)
    lines = [f"{len(tokens)} {vectors.shape[1]}"]
    lines += [" ".join([token, *(f"{value:.6g}" for value in vector)])
              for token, vector in zip(tokens, vectors.tolist(), strict=True)]
    content = "".join(f"{line}\n" for line in lines).encode("utf-8")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # Without a time in it, equal vectors give equal files.
    temporary.write_bytes(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
    os.replace(temporary, path)


def _is_header(line: bytes, where: str, dim: int) -> bool:
    """Whether a file's first line is word2vec's.

    Raises:
        UsageError: when it is, and its vectors have another size.
    """
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return False
    if int(parts[1]) != dim:
        raise UsageError(f"{where}: vectors of {int(parts[1])} numbers; embedding_dim is {dim}")
    return True


def _parsed(line: bytes, where: str, dim: int) -> tuple[bytes, np.ndarray]:
    """The token and the vector of a line.

    Raises:
        UsageError: when it has not so many numbers, or other things.
    """
    parts = line.rstrip().rsplit(b" ", dim)
    numbers = [_number(part) for part in line.rstrip().split(b" ")[1:]]
    if len(parts) <= dim or b" " in parts[0] and None not in numbers:
        raise UsageError(f"{where}: a vector of {len(numbers)} numbers; embedding_dim is {dim}")
    with np.errstate(over="ignore"):
        vector = np.array(numbers[-dim:], np.float64).astype(np.float32)
    if not np.isfinite(vector).all():
        raise UsageError(f"{where}: a vector must be {dim} finite numbers (embedding_dim)")
    return parts[0], vector


def _number(text: bytes) -> float | None:
    """The number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None
