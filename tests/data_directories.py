"""Makes small data directories for the trainer's tests, as `pipeline prepare` would write them."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from schemas import data_directory
from schemas.data_directory import Books, InputFile, Manifest, Shard
from schemas.examples import EXAMPLE_FEATURES

WORDS = tuple(f"w{number}" for number in range(2, 12))
LABELS = ("buy", "hotel|price", "obrigado", "取消")
NUMERIC = ("turn_index", "seconds_since_previous_turn")
MEANS, SCALES = np.array([3.0, 10.0], np.float32), np.array([2.0, 5.0], np.float32)
SPEAKERS = ("agent", "user")
SLOTS, MAX_TOKENS = 6, 7


@dataclasses.dataclass(frozen=True)
class Turn:
    """One turn: its words and its raw scalars."""

    words: tuple[str, ...]
    numeric: tuple[float, ...]

    @property
    def ids(self) -> list[int]:
        """Token ids: `w2` is 2; at most MAX_TOKENS."""
        return [int(word[1:]) for word in self.words[:MAX_TOKENS]]

    @property
    def text(self) -> str:
        """The raw text."""
        return " ".join(self.words)


@dataclasses.dataclass(frozen=True)
class Window:
    """One window: its turns (the current one first, fewer than SLOTS at the start) and its labels."""

    conversation_id: str
    turn_index: int
    turns: tuple[Turn, ...]
    labels: tuple[int, ...]


def make_windows(conversations: int, seed: int, prefix: str = "c") -> list[Window]:
    """Conversations of 1 to 8 turns; label k is said by word w(2 + k), label 3 by that word in the turn before."""
    random = np.random.default_rng(seed)
    windows = []
    for number in range(conversations):
        turns = []
        for index in range(random.integers(1, 9)):
            words = tuple(random.choice(WORDS, random.integers(0 if index else 1, MAX_TOKENS + 3)))
            turns.insert(0, Turn(words, (float(index), float(random.integers(0, 30)) if index else float("nan"))))
            labels = [int(f"w{2 + k}" in words) for k in range(3)]
            labels.append(int(len(turns) > 1 and "w5" in turns[1].words))
            windows.append(Window(f"{prefix}{number}", index, tuple(turns[:SLOTS]), tuple(labels)))
    return windows


def features_of(window: Window) -> dict:
    """The values of the Example's features."""
    ids = [turn.ids for turn in window.turns] + [[]] * (SLOTS - len(window.turns))
    scaled = (np.array(window.turns[0].numeric, np.float32) - MEANS) / SCALES
    return {
        "token_ids": sum(ids, []),
        "turn_lengths": [len(turn) for turn in ids],
        "turn_keys": [hash(tuple(turn)) if turn else 0 for turn in ids],
        "speakers": [2 + slot % 2 if turn else 0 for slot, turn in enumerate(ids)],
        "numeric": np.nan_to_num(scaled).tolist(),
        "raw_numeric": list(window.turns[0].numeric),
        "labels": list(window.labels),
        "texts": [turn.text.encode() for turn in window.turns] + [b""] * (SLOTS - len(window.turns)),
        "conversation_id": [window.conversation_id.encode()],
        "turn_index": [window.turn_index],
    }


def serialize(window: Window) -> bytes:
    """The serialized Example of a window."""
    values, example = features_of(window), tf.train.Example()
    fields = {"int64": "int64_list", "float32": "float_list", "bytes": "bytes_list"}
    for feature in EXAMPLE_FEATURES:
        getattr(example.features.feature[feature.name], fields[feature.dtype]).value.extend(values[feature.name])
    return example.SerializeToString(deterministic=True)


def write_shard(path: pathlib.Path, windows: list[Window]) -> None:
    """Writes one shard."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for window in windows:
            writer.write(serialize(window))


def write_data_directory(path: pathlib.Path, splits: dict[str, list[Window]], shards: int = 2,
                         transform: bool = True) -> Manifest:
    """Writes a completed data directory of the given windows, each split in so many shards."""
    path.mkdir(parents=True)
    listed = []
    for split, windows in splits.items():
        for index in range(shards):
            name = data_directory.shard_name(split, index, shards)
            mine = [window for window in windows if sum(window.conversation_id.encode()) % shards == index]
            write_shard(path / name, mine)
            listed.append(Shard(name, split, len(mine), data_directory.sha256_of(path / name)))
    counts = {split: len(windows) for split, windows in splits.items()}
    total = sum(counts.values())
    manifest = Manifest(
        inputs=(InputFile("logs.jsonl", 1),), shards=tuple(sorted(listed, key=lambda shard: shard.name)),
        vocabulary_size=13, max_tokens=MAX_TOKENS, history_turns=SLOTS - 1, history="all", labels=len(LABELS),
        speakers=SPEAKERS, target_speakers=("user",), numeric_features=NUMERIC,
        books=Books(total, {}, 0, total, counts, {}))
    train_counts = np.sum([window.labels for window in splits.get("train", [])], axis=0, dtype=int).tolist()
    (path / data_directory.LABELS).write_text(
        json.dumps({"labels": LABELS, "train_counts": train_counts}, ensure_ascii=False), "utf-8")
    (path / data_directory.CONFIG).write_text(json.dumps({"label_map": {}}), "utf-8")
    if transform:
        write_transform(path / data_directory.TRANSFORM_FN)
    (path / data_directory.MANIFEST).write_text(manifest.to_json(), "utf-8")
    (path / data_directory.COMPLETED).write_text("")
    return manifest


def small_data_directory(path: pathlib.Path, conversations: int = 24, **kwargs) -> Manifest:
    """Writes a completed data directory with windows in all three splits."""
    splits = {split: make_windows(conversations // divisor, seed, f"{split}-")
              for seed, (split, divisor) in enumerate({"train": 1, "validation": 3, "test": 3}.items())}
    return write_data_directory(path, splits, **kwargs)


class _Transform(tf.Module):
    """A transform graph with the inputs, the outputs and the vocabulary asset that tf.Transform gives it."""

    def __init__(self, vocabulary: str):
        super().__init__()
        initializer = tf.lookup.TextFileInitializer(vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                                    tf.lookup.TextFileIndex.LINE_NUMBER)
        self.table = tf.lookup.StaticVocabularyTable(initializer, 1)

    @tf.function(input_signature=[{
        "text": tf.TensorSpec([None], tf.string), "numeric": tf.TensorSpec([None, 2], tf.float32),
        "token": tf.TensorSpec([None], tf.string), "token_count": tf.TensorSpec([None], tf.int64),
        "numeric_mean": tf.TensorSpec([None, 2], tf.float32), "numeric_scale": tf.TensorSpec([None, 2], tf.float32)}])
    def transform_fn(self, inputs):
        words = tf.strings.split(inputs["text"])[:, :MAX_TOKENS]
        ids = tf.ragged.map_flat_values(lambda word: self.table.lookup(word) + 1, words).to_tensor(0)
        scaled = (inputs["numeric"] - MEANS) / SCALES
        return {"token_ids": ids, "numeric": tf.where(tf.math.is_nan(scaled), 0.0, scaled)}


def write_transform(path: pathlib.Path) -> None:
    """Writes a transform graph: ids of words as `Turn.ids` has them, scalars z-scored, NaN to 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vocabulary = path.parent / "tokens"
    vocabulary.write_text("\n".join(["w1", *WORDS]) + "\n")
    module = _Transform(str(vocabulary))
    tf.saved_model.save(module, str(path))
    vocabulary.unlink()
