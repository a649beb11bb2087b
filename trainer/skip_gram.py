"""Skip-gram with negative sampling: word vectors from the texts of a data directory.

A word's vector tells the words around it: for a word t and a neighbour c, the objective is

    log s(v_t u_c) + k E[log s(-v_t u_n)],    s the logistic function, n random words, p(n) ~ count(n)^(3/4)

with one table of vectors v, which are kept, and another of u. Frequent words are left out at random. Source: the
textbook (6.2.2, 6.3; its code has one table for both, unlike Mikolov et al. 2013).
"""

import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from schemas.data_directory import Manifest
from schemas.examples import PADDING_ID
from schemas.exit_status import DataRefused
from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards, window_count

# A word that makes up more than this share of the text is thinned out.
SAMPLED_SHARE = 1e-3
BATCH_PAIRS = 2048
# Random words of a batch, shared by its pairs: their mean, times k, stands for k words a pair.
NOISE_WORDS = 64
LEARNING_RATE = 5e-3
# Turns whose pairs are made and shuffled at a time.
CHUNK_TURNS = 50_000
READ_WINDOWS = 1024


@dataclasses.dataclass(frozen=True)
class Settings:
    """How vectors are learnt.

    Attributes:
        dim: numbers of a vector.
        window: the farthest neighbour of a word; each word draws its own, from 1 on, so that near ones count more.
        negatives: k, the weight of random words.
        epochs: times that the texts are read.
        seed: of everything that is drawn.
    """

    dim: int
    window: int = 4
    negatives: int = 5
    epochs: int = 5
    seed: int = 20200701


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Texts as token ids.

    Attributes:
        token_ids: int32 [T], one turn after another.
        offsets: int64 [turns + 1], where each turn begins, and the end.
        counts: int64 [V], how often each token id occurs; 0 for padding and for unknown words, which have no vector.
    """

    token_ids: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray

    @property
    def turns(self) -> int:
        """Number of turns."""
        return len(self.offsets) - 1

    def known(self) -> np.ndarray:
        """The token ids that get a vector."""
        return np.flatnonzero(self.counts)


def read_corpus(data_dir: str | pathlib.Path, manifest: Manifest, most_turns: int | None = None) -> Corpus:
    """The turns of the train split, current ones and history: each turn of a conversation once.

    Windows share their turns, and turns without labels lie in no other place. A turn that is said again word for word
    in the same conversation counts as the same.

    Args:
        data_dir: the data directory.
        manifest: of the data directory.
        most_turns: read no more than this, give or take a batch; None for all.

    Raises:
        DataRefused: when a shard can't be read.
    """
    turns, conversation, seen = [], None, set()
    if window_count(manifest, "train"):
        with refusing_bad_shards(data_dir):
            read = evaluation_dataset(data_dir, manifest, "train", READ_WINDOWS, beside=("conversation_id",))
            for windows, _, ids in read:
                if most_turns is not None and len(turns) >= most_turns:
                    break
                tokens, lengths, keys = (windows[name].numpy() for name in ("token_ids", "turn_lengths", "turn_keys"))
                for row, name in enumerate(ids["conversation_id"].numpy()):
                    if name != conversation:
                        conversation, seen = name, set()
                    for slot in np.flatnonzero(lengths[row]):
                        if keys[row, slot] not in seen:
                            seen.add(keys[row, slot])
                            turns.append(tokens[row, slot, :lengths[row, slot]])
    token_ids = np.concatenate(turns) if turns else np.zeros(0, np.int32)
    counts = np.bincount(token_ids, minlength=manifest.vocabulary_size)
    counts[[PADDING_ID, -1]] = 0
    return Corpus(token_ids, np.cumsum([0, *map(len, turns)]), counts)


def keep_probabilities(counts: np.ndarray) -> np.ndarray:
    """The share of a word's places that stay, min(1, sqrt(t / f)) for a share f of the text; 0 for count 0.

    Source: Mikolov et al. 2013. The textbook's `make_sampling_table` takes f from a word's rank, by Zipf's law.
    """
    shares = counts / max(counts.sum(), 1)
    kept = np.sqrt(np.divide(SAMPLED_SHARE, shares, out=np.zeros(len(counts)), where=counts > 0))
    return np.minimum(kept, 1)


def noise_ends(counts: np.ndarray) -> np.ndarray:
    """Where each word's part of [0, 1) ends when its size is its noise probability ~ count^(3/4); float32 [V]."""
    ends = np.cumsum(counts.astype(np.float64) ** 0.75)
    return (ends / ends[-1]).astype(np.float32)


def word_pairs(token_ids: np.ndarray, turns: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Words and their neighbours in the same turn, int32 [N, 2].

    Args:
        token_ids: int32 [T].
        turns: number of each token's turn [T].
        reach: how far each token looks to both sides [T].
    """
    pairs = [np.zeros((0, 2), np.int32)]
    for distance in range(1, int(reach.max(initial=0)) + 1):
        left, right = token_ids[:-distance], token_ids[distance:]
        together = turns[:-distance] == turns[distance:]
        for centre, other, far in ((left, right, reach[:-distance]), (right, left, reach[distance:])):
            chosen = together & (far >= distance)
            pairs.append(np.stack([centre[chosen], other[chosen]], axis=1))
    return np.concatenate(pairs)


def batches(corpus: Corpus, settings: Settings, epoch: int) -> Iterator[np.ndarray]:
    """The pairs of an epoch, int32 [at most BATCH_PAIRS, 2], in an order that follows from seed and epoch alone."""
    random = np.random.default_rng([settings.seed, epoch])
    kept_share = keep_probabilities(corpus.counts)
    starts = range(0, corpus.turns, CHUNK_TURNS)
    for start in random.permutation(starts):
        offsets = corpus.offsets[start:start + CHUNK_TURNS + 1]
        token_ids = corpus.token_ids[offsets[0]:offsets[-1]]
        kept = random.random(len(token_ids)) < kept_share[token_ids]
        turns = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[kept]
        pairs = word_pairs(token_ids[kept], turns, random.integers(1, settings.window + 1, kept.sum()))
        random.shuffle(pairs)
        for first in range(0, len(pairs), BATCH_PAIRS):
            yield pairs[first:first + BATCH_PAIRS]


class SkipGram(keras.Model):
    """The two tables; see the module."""

    def __init__(self, counts: np.ndarray, settings: Settings):
        """Makes the tables: small random vectors for words, zeros for neighbours, as in Mikolov's program."""
        super().__init__()
        self.negatives = settings.negatives
        self.noise_ends = tf.constant(noise_ends(counts))
        start = keras.initializers.RandomUniform(-0.5 / settings.dim, 0.5 / settings.dim, seed=settings.seed)
        self.words = keras.layers.Embedding(len(counts), settings.dim, start, name="words")
        self.neighbours = keras.layers.Embedding(len(counts), settings.dim, "zeros", name="neighbours")
        self.seeds = keras.random.SeedGenerator(settings.seed)

    def call(self, pairs, training=None):
        """Logits of the true neighbours float32 [B, 1] and of random words [B, NOISE_WORDS], of pairs int32 [B, 2]."""
        drawn = keras.random.uniform((NOISE_WORDS,), seed=self.seeds)
        # Words without a part of their own, padding at the start among them, end where the word before ends.
        noise = self.neighbours(tf.searchsorted(self.noise_ends, drawn, side="right"))
        words = self.words(pairs[:, 0])
        true = ops.sum(words * self.neighbours(pairs[:, 1]), axis=-1, keepdims=True)
        return true, ops.matmul(words, ops.transpose(noise))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective's negative, in the mean over the pairs."""
        return negative_sampling_loss(*y_pred, self.negatives)


def negative_sampling_loss(true, noise, negatives: int):
    """-log s(true) - k mean(log s(-noise)), in the mean over pairs, of logits float32 [B, 1] and [B, N]."""
    return ops.mean(ops.softplus(-true)) + negatives * ops.mean(ops.softplus(noise))


def skip_gram(corpus: Corpus, settings: Settings) -> tuple[np.ndarray, list[float]]:
    """Learns vectors, float32 [V, dim]; gives them and the loss of each epoch.

    Raises:
        DataRefused: when there are no pairs to learn from.
    """
    steps = sum(1 for _ in batches(corpus, settings, 0))
    if not steps:
        raise DataRefused("the train split has too few words to learn vectors from")
    keras.utils.set_random_seed(settings.seed)
    model = SkipGram(corpus.counts, settings)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), jit_compile=False)
    model(np.zeros((1, 2), np.int32))
    # How many pairs an epoch has is a matter of chance: each takes as many batches as the first has.
    dataset = tf.data.Dataset.from_generator(
        lambda: itertools.chain.from_iterable(batches(corpus, settings, epoch) for epoch in itertools.count()),
        output_signature=tf.TensorSpec([None, 2], tf.int32))
    history = model.fit(dataset.prefetch(tf.data.AUTOTUNE), epochs=settings.epochs, steps_per_epoch=steps,
                        shuffle=False, verbose=1 if sys.stdout.isatty() else 2)
    return ops.convert_to_numpy(model.words.embeddings), history.history["loss"]
