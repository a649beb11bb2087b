"""What a model says of every window of a split."""

import dataclasses
import pathlib

import numpy as np

from schemas import data_directory, model_directory
from schemas.exit_status import DataRefused, UsageError


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Bulk predictions, one row a window in the shards' order.

    Attributes:
        label_names: K names, the order of the columns below.
        labels: true multi-hot labels, bool [N, K].
        scores: probabilities, float32 [N, K].
        attention: weight of each history slot (newest first), float32 [N, H].
        gate: how much of the memory is let through, float32 [N].
        turn_lengths: tokens of each slot, slot 0 the current turn, int64 [N, 1 + H]; 0 is an empty slot.
        turn_keys: equal for equal turns, int64 [N, 1 + H].
        conversation_ids: str [N].
        turn_indices: int64 [N].
    """

    label_names: list[str]
    labels: np.ndarray
    scores: np.ndarray
    attention: np.ndarray
    gate: np.ndarray
    turn_lengths: np.ndarray
    turn_keys: np.ndarray
    conversation_ids: np.ndarray
    turn_indices: np.ndarray


def predict(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, split: str,
            batch_size: int = 1024) -> Predictions:
    """Scores a split with a model directory's best.keras.

    Args:
        model_dir: of a finished training.
        data_dir: a data directory made with the transform graph and the labels that the model was trained on.
        split: `train`, `validation` or `test`.
        batch_size: windows at a time.

    Raises:
        UsageError: when the model is not finished or was trained on other labels or another vocabulary.
        DataRefused: when a shard is damaged, or the split is empty.
    """
    from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards, verify_shards, window_count
    from trainer.models import load_model

    path = model_directory.require_completed(model_dir)
    manifest = data_directory.read_manifest(data_dir)
    label_names = data_directory.read_labels(data_dir)
    _require_same_transform(path, pathlib.Path(data_dir), manifest)
    if not window_count(manifest, split):
        raise DataRefused(f"{data_dir} has no windows in its split {split}")
    verify_shards(data_dir, manifest)
    model = load_model(path / model_directory.BEST_MODEL)
    with refusing_bad_shards(data_dir):
        parts = _score(model, evaluation_dataset(data_dir, manifest, split, batch_size, with_ids=True))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    ids = columns.pop("conversation_ids")
    return Predictions(label_names=label_names, conversation_ids=np.array([text.decode("utf-8") for text in ids], str),
                       **columns)


def _score(model, dataset) -> list[dict[str, np.ndarray]]:
    """The columns of `Predictions`, batch by batch."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def forward(windows):
        return model(windows, training=False)

    parts = []
    for windows, labels, ids in dataset:
        outputs = forward(windows)
        columns = {
            **{name: outputs[name] for name in ("scores", "attention", "gate")},
            "labels": labels > 0,
            "turn_lengths": tf.cast(windows["turn_lengths"], tf.int64),
            "turn_keys": windows["turn_keys"],
            "conversation_ids": ids["conversation_id"],
            "turn_indices": ids["turn_index"],
        }
        parts.append({name: column.numpy() for name, column in columns.items()})
    return parts


def _require_same_transform(model_dir, data_dir, manifest) -> None:
    """Raises a UsageError when ids or labels do not mean the same to the model and in the data."""
    from trainer.training import describe_data

    trained, given = model_directory.read_config(model_dir)["data"], describe_data(data_dir, manifest)
    for key, meaning in (("labels", "labels"), ("numeric_features", "numeric features"), ("sizes", "sizes"),
                         ("transform_sha256", "vocabulary")):
        if trained[key] != given[key]:
            raise UsageError(f"{data_dir} was prepared with other {meaning} than what {model_dir} was trained on")
