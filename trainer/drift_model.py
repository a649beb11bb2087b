"""What a reference's vocabulary and a model make of the windows of two data directories.

Only validation and test windows are looked at. Vocabulary and model were learnt on the reference's train split, and
know it better than anything that comes later; which conversations are held out follows from their ids, so that those of
the new data were not in the reference's train split either, even where both have days in common.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from schemas import data_directory
from schemas.data_directory import Manifest
from schemas.exit_status import UsageError
from trainer.bootstrap import sums_by_conversation
from trainer.divergence import Ratio
from trainer.predictions import BATCH_SIZE, Predictions, predict

HELD_OUT = ("validation", "test")
# Of each split; which conversations are in the first shards is as good as drawn by lot.
MAX_WINDOWS = 20_000


def out_of_vocabulary(data_dir: str | pathlib.Path, reference_dir: str | pathlib.Path) -> Ratio | None:
    """The share of unknown tokens in the held-out windows of a data directory, under the reference's vocabulary.

    Tokens are counted as a model reads them, in all slots of each window, and are what the reference's own transform
    graph makes of the raw texts.

    Args:
        data_dir: whose windows are read; the reference's own for its rate.
        reference_dir: the data directory whose transform graph is asked.

    Returns:
        None where no windows are held out.

    Raises:
        UsageError: when a directory is missing or damaged.
        DataRefused: when a shard is damaged.
    """
    from trainer.export import Transform, load_transform

    manifest = data_directory.read_manifest(data_dir)
    transform = Transform(load_transform(reference_dir))
    unknown_id = data_directory.read_manifest(reference_dir).vocabulary_size - 1
    parts = [_unknown_tokens(transform, unknown_id, texts, ids)
             for split in HELD_OUT for texts, ids in _texts(data_dir, manifest, split)]
    if not parts:
        return None
    ids, unknown, tokens = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _ratio(ids, unknown, tokens)


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of the held-out windows of a data directory.

    Attributes:
        conversation_ids: str [N].
        top_scores: the highest probability of each window, float32 [N].
        label_names: K labels that are in both data directories and that the model knows.
        labels: true ones, bool [N, K].
        predicted: bool [N, K].
    """

    conversation_ids: np.ndarray
    top_scores: np.ndarray
    label_names: list[str]
    labels: np.ndarray
    predicted: np.ndarray

    @property
    def micro_f1(self) -> Ratio:
        """Of what the model says against the labels that the data bear."""
        hits = (self.labels & self.predicted).sum(axis=1)
        return _ratio(self.conversation_ids, 2 * hits, (self.labels.sum(axis=1) + self.predicted.sum(axis=1)))


def ask(
    model_dir: str | pathlib.Path, reference_dir: str | pathlib.Path, data_dir: str | pathlib.Path
) -> tuple[Answers, Answers] | str:
    """A model's answers on the reference and on the new data; in words why, where they can't be had.

    Raises:
        UsageError: when a directory is missing or damaged.
        DataRefused: when a shard is damaged.
    """
    from trainer.saved_models import load_saved_model

    if not pathlib.Path(model_dir).is_dir():
        raise UsageError(f"--model_dir {model_dir}: there is no such directory")
    model = load_saved_model(model_dir)
    both = []
    for directory in (reference_dir, data_dir):
        manifest = data_directory.read_manifest(directory)
        try:
            model.require_windows_of(manifest)
        except UsageError as error:
            return str(error)
        splits = [split for split in HELD_OUT if manifest.books.windows[split]]
        if not splits:
            return f"{directory} has no held-out windows"
        both.append([predict(model_dir, directory, split, limit=MAX_WINDOWS) for split in splits])
    names = [name for name in both[0][0].label_names
             if name in both[1][0].label_names and name in model.description.labels]
    if not names:
        return "the model knows no label that both data directories have"
    reference, new = (_answers(parts, names) for parts in both)
    return reference, new


def _answers(parts: list[Predictions], names: list[str]) -> Answers:
    """The predictions of some splits, for some labels."""
    columns = [parts[0].label_names.index(name) for name in names]

    def joined(values) -> np.ndarray:
        return np.concatenate([value[:, columns] for value in values])

    return Answers(
        np.concatenate([part.conversation_ids for part in parts]), joined([part.scores for part in parts]).max(axis=1),
        names, joined([part.labels for part in parts]), joined([part.predicted for part in parts]))


def _texts(
    data_dir: str | pathlib.Path, manifest: Manifest, split: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Texts, bytes [B, slots] as objects, and conversation ids, bytes [B] as objects, of the first windows."""
    from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards, verify_shards

    if not manifest.books.windows[split]:
        return
    verify_shards(data_dir, manifest)
    wanted = ("texts", "conversation_id")
    with refusing_bad_shards(data_dir):
        batches = evaluation_dataset(data_dir, manifest, split, BATCH_SIZE, beside=wanted)
        for _, _, beside in batches.take(-(-MAX_WINDOWS // BATCH_SIZE)):
            yield tuple(beside[name].numpy() for name in wanted)


def _unknown_tokens(transform, unknown_id: int, texts: np.ndarray, ids: np.ndarray) -> tuple:
    """Conversation ids, unknown tokens and all tokens of each window; a text that is there often is looked at once."""
    import tensorflow as tf

    distinct, places = np.unique(texts, return_inverse=True)
    token_ids = transform.token_ids(tf.constant(distinct, tf.string)).numpy()
    counts = np.stack([(token_ids == unknown_id).sum(axis=1), (token_ids > 0).sum(axis=1)])
    unknown, tokens = counts[:, places.reshape(texts.shape)].sum(axis=2)
    return ids, unknown, tokens


def _ratio(conversation_ids: np.ndarray, numerators: np.ndarray, denominators: np.ndarray) -> Ratio:
    """The ratio of sums over windows, those of a conversation added up."""
    names, conversations = np.unique(conversation_ids, return_inverse=True)
    return Ratio.of(*(sums_by_conversation(values, conversations, len(names)) for values in (numerators, denominators)))
