"""Windows as their logs have them, for people to read and for asking a SavedModel."""

import dataclasses
import pathlib
from collections.abc import Sequence

from schemas import data_directory
from schemas.data_directory import Manifest
from schemas.examples import FIRST_SPEAKER_ID, parsing_spec
from schemas.exit_status import DataRefused

FEATURES = ("speakers", "raw_numeric", "labels", "texts", "conversation_id", "turn_index")


@dataclasses.dataclass(frozen=True)
class Window:
    """A window as a client of the SavedModel would know it; slot 0 is the current turn, slot k the turn k before it.

    Attributes:
        conversation_id: the conversation.
        turn_index: the current turn's place in it.
        texts: the words of each slot; "" for none.
        speakers: of each slot; "" where it is empty or was unseen in training.
        numeric: the current turn's raw scalars; NaN is missing.
        labels: the true ones.
    """

    conversation_id: str
    turn_index: int
    texts: tuple[str, ...]
    speakers: tuple[str, ...]
    numeric: tuple[float, ...]
    labels: tuple[str, ...]


def read_windows(data_dir: str | pathlib.Path, manifest: Manifest, split: str, rows: Sequence[int]) -> list[Window]:
    """Some windows of a split.

    Args:
        data_dir: the data directory.
        manifest: of the data directory.
        split: `train`, `validation` or `test`.
        rows: their numbers in the order of the shards, from 0; the windows come in the order of `rows`.

    Raises:
        DataRefused: when a shard is damaged.
    """
    import tensorflow as tf

    from trainer.input_pipeline import COMPRESSION, refusing_bad_shards

    labels = data_directory.read_labels(data_dir)
    spec, windows, first = parsing_spec(manifest.sizes, FEATURES), {}, 0
    for shard in manifest.shards_of(split):
        wanted = {row - first for row in rows if first <= row < first + shard.records}
        file = pathlib.Path(data_dir) / shard.name
        with refusing_bad_shards(data_dir):
            records = tf.data.TFRecordDataset(str(file), COMPRESSION).take(max(wanted, default=-1) + 1)
            for place, record in enumerate(records):
                if place in wanted:
                    example = tf.io.parse_single_example(record, spec)
                    values = {name: value.numpy() for name, value in example.items()}
                    windows[first + place] = _window(values, labels, manifest)
        first += shard.records
    if not set(rows) <= set(windows):
        raise DataRefused(f"the {split} shards of {data_dir} have fewer records than the manifest says: run `prepare` "
                          "again")
    return [windows[row] for row in rows]


def spread(total: int, count: int) -> list[int]:
    """So many of `total` rows at equal distances; all of them if they are fewer."""
    count = min(count, total)
    return [(2 * number + 1) * total // (2 * count) for number in range(count)]


def speaker_names(manifest: Manifest) -> list[str]:
    """The name of each speaker id; "" for an empty slot and for a speaker unseen in training."""
    return [""] * FIRST_SPEAKER_ID + list(manifest.speakers)


def _window(example: dict, labels: list[str], manifest: Manifest) -> Window:
    """The window of a parsed Example."""
    names = speaker_names(manifest)
    return Window(
        conversation_id=example["conversation_id"].decode("utf-8"), turn_index=int(example["turn_index"]),
        texts=tuple(text.decode("utf-8") for text in example["texts"]),
        speakers=tuple(names[speaker] for speaker in example["speakers"]),
        numeric=tuple(example["raw_numeric"].tolist()),
        labels=tuple(label for label, there in zip(labels, example["labels"], strict=True) if there))
