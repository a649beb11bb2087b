"""What a model says of every window of a split."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.exit_status import DataRefused, UsageError
from trainer.changes import Change, rearranged
from trainer.windows import speaker_names

BATCH_SIZE = 1024
READ_BESIDE = ("texts", "raw_numeric", "conversation_id", "turn_index")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Bulk predictions, one row a window in the shards' order.

    Attributes:
        label_names: K names, the order of the columns below.
        labels: true multi-hot labels, bool [N, K].
        scores: probabilities, float32 [N, K].
        raw_scores: the same before calibration, float32 [N, K]; equal to `scores` when a SavedModel was asked.
        thresholds: the model's, from which on a label is said, float32 [K].
        attention: weight of each history slot (newest first), float32 [N, H].
        gate: how much of the memory is let through, float32 [N].
        turn_lengths: tokens of each slot, slot 0 the current turn, int64 [N, 1 + H]; 0 is an empty slot.
        turn_keys: equal for equal turns, int64 [N, 1 + H].
        speakers: ids of the slots' speakers as in the shards, int64 [N, 1 + H].
        texts: the current turn's words, str [N] as objects.
        conversation_ids: str [N].
        turn_indices: int64 [N].
        missing_labels: labels of the data that the model does not know; their scores are 0.
        extra_labels: labels of the model that the data do not have; they are in no column.
    """

    label_names: list[str]
    labels: np.ndarray
    scores: np.ndarray
    raw_scores: np.ndarray
    thresholds: np.ndarray
    attention: np.ndarray
    gate: np.ndarray
    turn_lengths: np.ndarray
    turn_keys: np.ndarray
    speakers: np.ndarray
    texts: np.ndarray
    conversation_ids: np.ndarray
    turn_indices: np.ndarray
    missing_labels: list[str] = dataclasses.field(default_factory=list)
    extra_labels: list[str] = dataclasses.field(default_factory=list)

    @property
    def predicted(self) -> np.ndarray:
        """The labels that are said, bool [N, K]; a label that the model does not know never is."""
        known = np.array([label not in self.missing_labels for label in self.label_names], bool)
        return (self.scores >= self.thresholds) & known


def predict(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, split: str, *, change: Change | None = None,
            limit: int | None = None, batch_size: int = BATCH_SIZE) -> Predictions:
    """Scores a split with a model, the quickest way that the two allow.

    Where the data directory has the vocabulary, labels and sizes that a model directory was trained on, its best.keras
    reads the shards' token ids; any other model, and a bare SavedModel, is asked with the raw texts.

    Args:
        model_dir: a model directory of a finished training, or a SavedModel.
        data_dir: a data directory.
        split: `train`, `validation` or `test`.
        change: what is done to the windows first.
        limit: score only so many windows, the first ones.
        batch_size: windows at a time.

    Raises:
        UsageError: when the model is not finished, can't be loaded, or takes windows of other sizes.
        DataRefused: when a shard is damaged, or the split is empty.
    """
    manifest = data_directory.read_manifest(data_dir)
    if not fits(model_dir, data_dir, manifest):
        return predict_by_signature(model_dir, data_dir, split, change=change, limit=limit, batch_size=batch_size)
    from trainer.decisions import read_decision

    decision, forward = read_decision(model_dir), _network(pathlib.Path(model_dir) / model_directory.BEST_MODEL)

    def ask(windows, beside):
        outputs = {name: value.numpy() for name, value in forward(windows).items()}
        return {**outputs, "raw_scores": outputs["scores"], "scores": decision.probabilities(outputs["scores"])}

    labels = data_directory.read_labels(data_dir)
    return _predictions(labels, decision.thresholds, _asked(ask, data_dir, manifest, split, change, limit, batch_size))


def predict_by_signature(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, split: str, *,
                         change: Change | None = None, limit: int | None = None,
                         batch_size: int = BATCH_SIZE) -> Predictions:
    """Scores a split by asking a SavedModel for the raw texts, as its clients do; labels are matched by name.

    Arguments and errors are those of `predict`.
    """
    from trainer.saved_models import load_saved_model

    manifest, labels = data_directory.read_manifest(data_dir), data_directory.read_labels(data_dir)
    model = load_saved_model(model_dir)
    model.require_windows_of(manifest)
    description = model.description
    names = np.array(speaker_names(manifest), object)
    places = {label: place for place, label in enumerate(description.labels)}
    columns = np.array([places.get(label, -1) for label in labels], np.int64)
    thresholds = np.append(np.array(description.thresholds, np.float32), np.float32(1))[columns]

    def ask(windows, beside):
        outputs = model(beside["texts"], names[windows["speakers"]], beside["raw_numeric"])
        scores = np.where(columns >= 0, outputs["scores"][:, columns], np.float32(0))
        return {**outputs, "scores": scores, "raw_scores": scores}

    predictions = _predictions(labels, thresholds, _asked(ask, data_dir, manifest, split, change, limit, batch_size))
    return dataclasses.replace(
        predictions, missing_labels=[label for label in labels if label not in places],
        extra_labels=[label for label in description.labels if label not in labels])


def fits(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, manifest: Manifest) -> bool:
    """Whether the token ids and labels of a data directory mean the same to a model.

    Raises:
        UsageError: when a model directory is not finished or damaged, or the path holds no model.
    """
    from trainer.training import describe_data

    path = pathlib.Path(model_dir)
    if (path / model_directory.SAVED_MODEL_FILE).is_file():
        return False
    model_directory.require_completed(path)
    try:
        trained = model_directory.read_config(path)["data"]
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path / model_directory.CONFIG} lacks the data of the training") from error
    given = describe_data(pathlib.Path(data_dir), manifest)
    return all(trained.get(key) == given[key] for key in
               ("labels", "numeric_features", "speakers", "history", "sizes", "transform_sha256"))


def _network(path: pathlib.Path):
    """A function from a batch of windows to the network's outputs.

    That of the last file is kept: one evaluation asks it many times, and to load and trace it takes seconds.
    """
    return _kept_network(path, path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache(maxsize=1)
def _kept_network(path: pathlib.Path, changed: int):
    """That of the file as it was at a time."""
    import tensorflow as tf

    from trainer.models import load_model

    model = load_model(path)
    return tf.function(lambda windows: model(windows, training=False), reduce_retracing=True)


def _asked(ask, data_dir, manifest: Manifest, split: str, change: Change | None, limit: int | None,
           batch_size: int) -> Iterator[dict[str, np.ndarray]]:
    """The columns of `Predictions`, batch by batch; `ask` gives the model's outputs of windows and raw features."""
    from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards, verify_shards, window_count

    if not window_count(manifest, split):
        raise DataRefused(f"{data_dir} has no windows in its {split} split")
    verify_shards(data_dir, manifest)
    first = 0
    with refusing_bad_shards(data_dir):
        for windows, labels, beside in evaluation_dataset(data_dir, manifest, split, batch_size, beside=READ_BESIDE):
            left = None if limit is None else max(0, limit - first)
            windows, beside = ({name: value.numpy()[:left] for name, value in given.items()}
                               for given in (windows, beside))
            facts = {
                "labels": labels.numpy()[:left] > 0, "turn_lengths": windows["turn_lengths"].astype(np.int64),
                "turn_keys": windows["turn_keys"], "speakers": windows["speakers"].astype(np.int64),
                "texts": beside["texts"][:, 0], "conversation_ids": beside["conversation_id"],
                "turn_indices": beside["turn_index"],
            }
            if change:
                windows, beside = _changed(change, windows, beside, first)
            outputs = ask(windows, beside)
            yield {**facts, **{name: outputs[name] for name in ("scores", "raw_scores", "attention", "gate")}}
            first += len(facts["labels"])
            if limit is not None and first >= limit:
                return


def _changed(change: Change, windows: dict, beside: dict, first: int) -> tuple[dict, dict]:
    """Windows and raw features with a change made to them; `first` is the number of the first window."""
    source = change.slots(windows["turn_lengths"] > 0, first)
    windows = {**windows, **{name: rearranged(windows[name], source, np.zeros((), windows[name].dtype)) for name in
                             ("token_ids", "turn_lengths", "turn_keys", "speakers")}}
    beside = {**beside, "texts": rearranged(beside["texts"], source, b"")}
    if not change.keep_numeric:
        windows["numeric"] = np.zeros_like(windows["numeric"])
        beside["raw_numeric"] = np.full_like(beside["raw_numeric"], np.nan)
    return windows, beside


def _predictions(labels: list[str], thresholds: np.ndarray, batches: Iterator[dict[str, np.ndarray]]) -> Predictions:
    """All batches together."""
    parts = list(batches)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    ids = np.array([text.decode("utf-8") for text in columns.pop("conversation_ids")], str)
    texts = np.array([text.decode("utf-8") for text in columns.pop("texts")], object)
    return Predictions(label_names=labels, thresholds=thresholds.astype(np.float32), conversation_ids=ids, texts=texts,
                       **columns)
