"""`trainer predict`: what the exported SavedModel says of some windows of a split, for people to read."""

import argparse
import dataclasses
import pathlib

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.examples import FIRST_SPEAKER_ID, parsing_spec
from schemas.exit_status import DataRefused, UsageError
from schemas.visible_text import visible
from trainer.flags import whole_number

# Where a word was unknown when the data were prepared, one of these stands in the text: a token of its own to every
# tokenizer, and unknown again.
UNKNOWN_MARKS = tuple(map(chr, range(0x25A1, 0x2600)))


@dataclasses.dataclass(frozen=True)
class Window:
    """A window as a client of the SavedModel would know it; slot 0 is the current turn, slot k the turn k before it.

    Attributes:
        conversation_id: the conversation.
        turn_index: the current turn's place in it.
        texts: the words of each slot; "" for none.
        speakers: of each slot; "" where it is empty or was unseen in training.
        labels: the true ones.
    """

    conversation_id: str
    turn_index: int
    texts: tuple[str, ...]
    speakers: tuple[str, ...]
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the SavedModel says of a window.

    Attributes:
        scores: {label: probability}.
        predicted: the labels that reach their thresholds.
        attention: the weight of each history slot, the newest first.
    """

    scores: dict[str, float]
    predicted: tuple[str, ...]
    attention: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer predict` beside `--model_dir` and `--data_dir`, which all commands share."""
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--windows", type=whole_number(1), default=10,
                        help="how many to show, taken from all over the split (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Prints windows and predictions.

    Args:
        args: with `model_dir`, `data_dir`, `split` and `windows`.

    Raises:
        UsageError: when a directory is missing or damaged, or the model takes other windows than the data hold.
        DataRefused: when the split is empty or a shard is damaged.
    """
    model_directory.require_completed(args.model_dir)
    manifest = data_directory.read_manifest(args.data_dir)
    windows = read_windows(args.data_dir, manifest, args.split, args.windows)
    for window, answer in zip(windows, ask(args.model_dir, windows, manifest), strict=True):
        print(f"{describe(window, answer)}\n")


def read_windows(data_dir: str | pathlib.Path, manifest: Manifest, split: str, count: int) -> list[Window]:
    """So many windows of a split, or all if it has fewer, at equal distances over its shards.

    Raises:
        DataRefused: when the split is empty or a shard is damaged.
        UsageError: when the vocabulary can't be read.
    """
    import tensorflow as tf

    from trainer.input_pipeline import COMPRESSION, refusing_bad_shards

    path, words, labels = pathlib.Path(data_dir), read_words(data_dir), data_directory.read_labels(data_dir)
    places = spread([shard.records for shard in manifest.shards_of(split)], count)
    if not places:
        raise DataRefused(f"{data_dir} has no windows in its {split} split")
    spec, windows = parsing_spec(manifest.sizes), []
    for shard, index in places:
        file = path / manifest.shards_of(split)[shard].name
        with refusing_bad_shards(data_dir):
            records = list(tf.data.TFRecordDataset(str(file), COMPRESSION).skip(index).take(1))
            if not records:
                raise DataRefused(f"{file} has fewer records than the manifest says: run `prepare` again")
            example = tf.io.parse_single_example(records[0], spec)
        windows.append(_window({name: value.numpy() for name, value in example.items()}, words, labels, manifest))
    return windows


def spread(records: list[int], count: int) -> list[tuple[int, int]]:
    """Places at equal distances, (shard, index in it), in shards of so many records; all of them if they are fewer."""
    total = sum(records)
    count = min(count, total)
    wanted = [(2 * n + 1) * total // (2 * count) for n in range(count)]
    places, first = [], 0
    for shard, size in enumerate(records):
        places += [(shard, place - first) for place in wanted if first <= place < first + size]
        first += size
    return places


def read_words(data_dir: str | pathlib.Path) -> list[str]:
    """The word of each token id; "" for padding, a mark that is no word for the last id, unknown words.

    Raises:
        UsageError: when the vocabulary can't be read.
    """
    path = pathlib.Path(data_dir) / data_directory.VOCABULARY_ASSET
    try:
        words = path.read_bytes().decode("utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the vocabulary {path}: {error}") from error
    known = set(words)
    return ["", *words, next(mark for mark in UNKNOWN_MARKS if mark not in known)]


def ask(model_dir: str | pathlib.Path, windows: list[Window], manifest: Manifest) -> list[Answer]:
    """What the SavedModel of a model directory says of the windows, all scalars taken as missing.

    Raises:
        UsageError: when it can't be loaded or takes windows of other sizes.
    """
    import numpy as np
    import tensorflow as tf

    path = pathlib.Path(model_dir) / model_directory.SAVED_MODEL
    try:
        model = tf.saved_model.load(str(path))
        serve = model.signatures["serving_default"]
        labels = model.signatures[model_directory.LABELS_SIGNATURE]()["labels"].numpy()
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"can't load the SavedModel {path}: {error}") from error
    _require_sizes(serve, manifest, path)
    outputs = serve(
        texts=tf.constant([window.texts for window in windows]),
        speakers=tf.constant([window.speakers for window in windows]),
        numeric=tf.constant(np.nan, tf.float32, [len(windows), len(manifest.numeric_features)]),
    )
    names = [label.decode("utf-8") for label in labels]
    columns = (outputs[name].numpy() for name in ("scores", "predicted", "attention"))
    return [Answer(dict(zip(names, scores.tolist(), strict=True)),
                   tuple(name for name, said in zip(names, predicted, strict=True) if said), tuple(attention.tolist()))
            for scores, predicted, attention in zip(*columns, strict=True)]


def describe(window: Window, answer: Answer) -> str:
    """The window and the answer as a few lines that are safe for a terminal."""
    present = [slot for slot, text in enumerate(window.texts) if slot and text]
    history = "(none)"
    if present:
        slot = max(present, key=lambda slot: answer.attention[slot - 1])
        history = f"{_turn(window, slot)}  ({slot} back, attention {answer.attention[slot - 1]:.2f})"
    best = sorted(answer.scores, key=answer.scores.get, reverse=True)
    said = [_scored(label, answer) for label in best if label in answer.predicted]
    return "\n".join((
        f"conversation {visible(window.conversation_id)}  turn {window.turn_index}",
        f"  turn       {_turn(window, 0)}",
        f"  history    {history}",
        f"  labels     {', '.join(map(visible, window.labels)) or '(none)'}",
        f"  predicted  {', '.join(said) or f'(none; nearest: {_scored(best[0], answer)})'}",
    ))


def _window(example: dict, words: list[str], labels: list[str], manifest: Manifest) -> Window:
    """The window of a parsed Example."""
    ends = example["turn_lengths"].cumsum()
    slots = zip(ends - example["turn_lengths"], ends, strict=True)
    texts = tuple(" ".join(words[token] for token in example["token_ids"][start:end]) for start, end in slots)
    names = dict(enumerate(manifest.speakers, FIRST_SPEAKER_ID))
    return Window(
        conversation_id=example["conversation_id"].decode("utf-8"), turn_index=int(example["turn_index"]), texts=texts,
        speakers=tuple(names.get(speaker, "") for speaker in example["speakers"]),
        labels=tuple(label for label, there in zip(labels, example["labels"], strict=True) if there))


def _require_sizes(serve, manifest: Manifest, path: pathlib.Path) -> None:
    """Raises a UsageError unless the signature takes windows of the manifest's sizes."""
    inputs = serve.structured_input_signature[1]
    taken = (inputs["texts"].shape[1], inputs["numeric"].shape[1])
    given = (manifest.sizes.slots, manifest.sizes.numeric)
    if taken != given:
        raise UsageError(f"{path} takes windows of {taken[0]} slots and {taken[1]} scalars, but the data directory's "
                         f"have {given[0]} and {given[1]}")


def _turn(window: Window, slot: int) -> str:
    """Who said what."""
    speaker, text = visible(window.speakers[slot] or "?"), visible(window.texts[slot] or "(no words)")
    return f"{speaker}: {text}"


def _scored(label: str, answer: Answer) -> str:
    """A label with its score."""
    return f"{visible(label)} {answer.scores[label]:.2f}"
