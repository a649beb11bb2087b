"""Trains a network on a data directory and fills a model directory."""

import contextlib
import dataclasses
import pathlib
import shutil
import sys
import time

import keras
import tensorflow as tf

from schemas import data_directory, model_directory
from schemas.data_directory import LabelCounts, Manifest
from schemas.exit_status import DataRefused, UsageError
from trainer.backup import read_state, restore_variables
from trainer.callbacks import KeepProgress, Progress, StopOnNaN, WriteMetrics, training_variables, write_json
from trainer.config import Config
from trainer.export import export
from trainer.input_pipeline import (
    evaluation_dataset,
    refusing_bad_shards,
    steps_per_epoch,
    training_dataset,
    verify_shards,
    window_count,
)
from trainer.losses import make_loss
from trainer.models import IntentClassifier, Sizes, build_model
from trainer.optimizers import make_optimizer
from trainer.training_metrics import MacroF1, MicroScores
from trainer.word_vectors import give_words


def train(data_dir: str, model_dir: str, config: Config, *, overwrite: bool = False) -> Progress:
    """Trains, keeps the best weights, exports; takes up a killed training where its last whole epoch ended.

    Args:
        data_dir: a completed data directory.
        model_dir: where the model goes.
        config: the settings.
        overwrite: remove what is in `model_dir` first.

    Raises:
        UsageError: when the directories or the settings do not fit.
        DataRefused: when there is nothing to train on or a shard is damaged.
        TurnwiseError: when the loss becomes infinite or no number.
    """
    data, model = pathlib.Path(data_dir), pathlib.Path(model_dir)
    manifest = data_directory.read_manifest(data)
    if not window_count(manifest, "train"):
        raise DataRefused(f"{data_dir} has no windows to train on: its train split is empty")
    verify_shards(data, manifest)
    fingerprint = fingerprint_of(data, manifest, config)
    progress = _start(model, fingerprint, overwrite)
    write_json(model / model_directory.CONFIG, {**fingerprint, "versions": _versions()})
    strategy = local_strategy(config.global_batch_size)
    started = time.perf_counter()
    resumed_at = progress.epoch
    _fit(data, manifest, model, config, progress, fingerprint, strategy)
    seconds = time.perf_counter() - started
    write_json(model / model_directory.HISTORY, dataclasses.asdict(progress))
    export(model, data)
    (model / model_directory.COMPLETED).write_text("")
    seen = (progress.epoch - resumed_at) * window_count(manifest, "train")
    _print_summary(model, progress, seen, seconds)
    return progress


def fingerprint_of(data_dir: pathlib.Path, manifest: Manifest, config: Config) -> dict:
    """What tells a training from others, as JSON values."""
    return {"config": config.to_dict(), "data": describe_data(data_dir, manifest),
            "embedding_sha256": embedding_sha256(config.embedding_file)}


def describe_data(data_dir: pathlib.Path, manifest: Manifest) -> dict:
    """What a model must know of its data directory, and what tells it from others, as JSON values."""
    return {
        "manifest_sha256": data_directory.sha256_of(data_dir / data_directory.MANIFEST),
        "transform_sha256": transform_sha256(data_dir),
        "labels": data_directory.read_labels(data_dir),
        "numeric_features": list(manifest.numeric_features),
        "speakers": list(manifest.speakers),
        "sizes": dataclasses.asdict(Sizes.of(manifest)),
    }


def transform_sha256(data_dir: pathlib.Path) -> str:
    """The sha256 of the vocabulary inside a data directory's transform graph.

    Raises:
        UsageError: when it can't be read.
    """
    try:
        return data_directory.sha256_of(data_dir / data_directory.VOCABULARY_ASSET)
    except OSError as error:
        raise UsageError(f"{data_dir} has no transform graph: {error}") from error


def embedding_sha256(file: str | None) -> str | None:
    """The sha256 of the file of word vectors, if there is one.

    Raises:
        UsageError: when it can't be read.
    """
    try:
        return data_directory.sha256_of(file) if file else None
    except OSError as error:
        raise UsageError(f"can't read embedding_file {file}: {error}") from error


def local_strategy(global_batch_size: int) -> tf.distribute.Strategy | None:
    """A MirroredStrategy over all GPUs, or all logical CPU devices where there is no GPU; None for one device.

    Raises:
        UsageError: when the batch can't be shared out evenly.
    """
    devices = [device.name for kind in ("GPU", "CPU") for device in tf.config.list_logical_devices(kind)]
    kinds = {name.split(":")[-2] for name in devices}
    devices = [name for name in devices if "GPU" not in kinds or ":GPU:" in name]
    if len(devices) == 1:
        return None
    if global_batch_size % len(devices):
        raise UsageError(f"global_batch_size: {global_batch_size} is not divisible by the {len(devices)} devices of "
                         "this machine")
    return tf.distribute.MirroredStrategy(devices)


def compile_model(model: IntentClassifier, config: Config, steps_per_epoch: int,
                  label_counts: LabelCounts | None = None) -> None:
    """Gives the model its loss, optimizer and metrics, and makes the optimizer's variables.

    `label_counts` are those of the train split, for a loss that weighs the labels by them.
    """
    optimizer = make_optimizer(config, steps_per_epoch * config.epochs)
    threshold = config.threshold
    # Distinct turns make the shapes change from batch to batch: XLA would compile each anew.
    model.compile(optimizer, make_loss(config, label_counts), jit_compile=False,
                  metrics=[keras.metrics.BinaryAccuracy(threshold=threshold), MicroScores(threshold),
                           MacroF1(model.head.labels, threshold)])
    optimizer.build(model.trainable_variables)


def _start(model_dir: pathlib.Path, fingerprint: dict, overwrite: bool) -> Progress:
    """Makes the model directory ready; gives the progress of a killed training, or a fresh one."""
    if overwrite:
        for name in model_directory.NAMES:
            _remove(model_dir / name)
    if (model_dir / model_directory.COMPLETED).exists():
        raise UsageError(f"{model_dir} holds a finished model; give another --model_dir, or --overwrite to replace it")
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't make --model_dir {model_dir}: {error}") from error
    state = read_state(model_dir / model_directory.BACKUP)
    if state is None:
        return Progress()
    changes = differences(state["fingerprint"], fingerprint)
    if changes:
        raise UsageError(f"{model_dir} holds an unfinished training with other settings ({'; '.join(changes)}); give "
                         "the same settings to go on with it, another --model_dir, or --overwrite to start anew")
    progress = Progress(**state["progress"])
    print(f"going on after epoch {progress.epoch} of an unfinished training in {model_dir}")
    return progress


def _remove(path: pathlib.Path) -> None:
    """Removes a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def differences(old: dict, new: dict) -> list[str]:
    """In words, what two fingerprints do not share."""
    config = {**old["config"], **new["config"]}
    changes = [f"{key}: {old['config'].get(key)!r} there, {new['config'].get(key)!r} here"
               for key in config if old["config"].get(key) != new["config"].get(key)]
    contents = {"data": "the data directory's content", "embedding_sha256": "the content of embedding_file"}
    return changes + [content for key, content in contents.items() if old.get(key) != new[key]]


def _fit(data_dir, manifest, model_dir, config, progress, fingerprint, strategy) -> None:
    """Trains the epochs that are left."""
    keras.utils.set_random_seed(config.seed)
    steps = steps_per_epoch(window_count(manifest, "train"), config.global_batch_size)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build_model(config, Sizes.of(manifest))
        if not progress.epoch:
            give_words(model, data_dir, manifest.vocabulary_size, config.embedding_file)
        compile_model(model, config, steps, data_directory.read_label_counts(data_dir, manifest))
        if progress.epoch:
            restore_variables(model_dir / model_directory.BACKUP, training_variables(model))
    if progress.stopped or progress.epoch >= config.epochs:
        return
    dataset = training_dataset(data_dir, manifest, batch_size=config.global_batch_size, seed=config.seed,
                               shuffle_buffer=config.shuffle_buffer, first_epoch=progress.epoch, epochs=config.epochs)
    validation = None
    if window_count(manifest, "validation"):
        validation = evaluation_dataset(data_dir, manifest, "validation", config.global_batch_size)
    else:
        print("the validation split is empty: training all epochs and keeping the last weights")
    callbacks = [
        StopOnNaN(),
        WriteMetrics(model_dir / model_directory.METRICS),
        KeepProgress(model_dir, config, progress, fingerprint),
    ]
    with refusing_bad_shards(data_dir):
        model.fit(dataset, validation_data=validation, initial_epoch=progress.epoch, epochs=config.epochs,
                  steps_per_epoch=steps, shuffle=False, callbacks=callbacks,
                  verbose=1 if sys.stdout.isatty() else 2)


def _versions() -> dict[str, str]:
    """What the model was made with."""
    return {"python": sys.version.split()[0], "tensorflow": tf.__version__, "keras": keras.__version__}


def _print_summary(model_dir: pathlib.Path, progress: Progress, windows: int, seconds: float) -> None:
    """Says how it went and where things are."""
    last = progress.best_epoch - 1
    figures = ", ".join(f"{name} {values[last]:.4f}" for name, values in sorted(progress.history.items())
                        if name in ("loss", "val_loss", "micro_f1", "val_micro_f1"))
    ended = "stopped early" if progress.stopped else "done"
    print(f"{ended} after {progress.epoch} epochs, {windows / seconds:.0f} windows/s")
    print(f"kept epoch {progress.best_epoch}: {figures}")
    print(f"SavedModel:  {model_dir / model_directory.SAVED_MODEL}")
    print(f"Keras model: {model_dir / model_directory.BEST_MODEL}")
    print(f"TensorBoard: tensorboard --logdir {model_dir / model_directory.METRICS}")
