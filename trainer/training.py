"""Trains a network on a data directory and fills a model directory."""

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
from trainer.acceleration import check_xla, precision_of
from trainer.backup import read_state, restore_variables
from trainer.callbacks import KeepProgress, Progress, StopOnNaN, WriteMetrics, training_variables, write_json
from trainer.config import Config
from trainer.data_size import fitted
from trainer.decisions import learn_decision, write_decision
from trainer.distribution import Team, gather_team, noticing_absence
from trainer.export import export
from trainer.input_pipeline import (
    evaluation_dataset,
    refusing_bad_shards,
    steps_per_epoch,
    training_dataset,
    verify_shards,
    window_count,
    windows_shown,
)
from trainer.kernels import set_up_kernels
from trainer.losses import make_loss
from trainer.models import IntentClassifier, Sizes, build_model
from trainer.optimizers import make_optimizer
from trainer.oversampling import Oversampling
from trainer.training_metrics import MacroF1, MicroScores
from trainer.warm_start import read_source, warm_start
from trainer.word_vectors import give_words, read_texts, starting_vectors


def train(data_dir: str, model_dir: str, config: Config, *, overwrite: bool = False) -> Progress:
    """Trains, keeps the best weights, exports; takes up a killed training where its last whole epoch ended.

    On several machines, all but the chief train along without writing anything; see `distribution`.

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
    config = fitted(config, window_count(manifest, "train"))
    fingerprint = fingerprint_of(data, manifest, config)
    team = gather_team(config.global_batch_size)
    if team.is_chief:
        progress = _start(model, fingerprint, overwrite)
        write_json(model / model_directory.CONFIG, {**fingerprint, "versions": _versions()})
    # The others find the directory as the chief leaves it.
    team.wait()
    if not team.is_chief:
        progress = _start(model, fingerprint, overwrite=False)
    started = time.perf_counter()
    resumed_at = progress.epoch
    _fit(data, manifest, model, config, progress, fingerprint, team)
    seconds = time.perf_counter() - started
    if team.is_chief:
        write_json(model / model_directory.HISTORY, dataclasses.asdict(progress))
        write_decision(model, learn_decision(model, data, manifest, config))
        export(model, data)
        (model / model_directory.COMPLETED).write_text("")
        seen = (progress.epoch - resumed_at) * window_count(manifest, "train")
        _print_summary(model, progress, seen, seconds)
    team.wait()
    return progress


def fingerprint_of(data_dir: pathlib.Path, manifest: Manifest, config: Config) -> dict:
    """What tells a training from others, as JSON values."""
    return {"config": config.to_dict(), "data": describe_data(data_dir, manifest),
            "embedding_sha256": sha256_of_file(config.embedding_file, "embedding_file"),
            "warm_start_sha256": sha256_of_file(
                config.warm_start and pathlib.Path(config.warm_start) / model_directory.BEST_MODEL, "warm_start")}


def describe_data(data_dir: pathlib.Path, manifest: Manifest) -> dict:
    """What a model must know of its data directory, and what tells it from others, as JSON values."""
    return {
        "manifest_sha256": data_directory.sha256_of(data_dir / data_directory.MANIFEST),
        "transform_sha256": transform_sha256(data_dir),
        "labels": data_directory.read_labels(data_dir),
        "numeric_features": list(manifest.numeric_features),
        "speakers": list(manifest.speakers),
        "target_speakers": list(manifest.target_speakers),
        "history": manifest.history,
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


def sha256_of_file(file: str | pathlib.Path | None, setting: str) -> str | None:
    """The sha256 of the file that a setting names, if it names one.

    Raises:
        UsageError: when it can't be read.
    """
    try:
        return data_directory.sha256_of(file) if file else None
    except OSError as error:
        raise UsageError(f"can't read {setting} {file}: {error}") from error


def compile_model(model: IntentClassifier, config: Config, steps_per_epoch: int,
                  label_counts: LabelCounts | None = None) -> None:
    """Gives the model its loss, optimizer and metrics, and makes the optimizer's variables.

    `label_counts` are those of the train split, for a loss that weighs the labels by them.
    """
    optimizer = make_optimizer(config, steps_per_epoch * config.epochs)
    threshold = config.threshold
    model.compile(optimizer, make_loss(config, label_counts), jit_compile=config.jit_compile,
                  metrics=[keras.metrics.BinaryAccuracy(threshold=threshold), MicroScores(threshold),
                           MacroF1(model.head.labels, threshold)])
    # Not `optimizer`: for float16, Keras has wrapped it.
    model.optimizer.build(model.trainable_variables)


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
    contents = {"data": "the data directory's content", "embedding_sha256": "the content of embedding_file",
                "warm_start_sha256": "the content of warm_start"}
    return changes + [content for key, content in contents.items() if old.get(key) != new[key]]


def _fit(data_dir, manifest, model_dir, config, progress, fingerprint, team: Team) -> None:
    """Trains the epochs that are left."""
    if not progress.epoch:
        words = read_texts(data_dir, manifest.vocabulary_size)
        source = read_source(config.warm_start) if config.warm_start else None
        vectors = None if source else starting_vectors(data_dir, manifest, config, words)
    keras.utils.set_random_seed(config.seed)
    counts = data_directory.read_label_counts(data_dir, manifest)
    oversampling = Oversampling.of(counts, config.oversampling, config.seed) if config.oversampling > 1 else None
    with refusing_bad_shards(data_dir):
        shown = windows_shown(data_dir, manifest, oversampling, config.epochs)
    steps = steps_per_epoch(max(shown), config.global_batch_size)
    with team.scope():
        with precision_of(config):
            model = build_model(config, Sizes.of(manifest))
        set_up_kernels(model, config)
        if config.jit_compile:
            check_xla(model, team.devices)
        if not progress.epoch:
            if source:
                warm_start(model, source, config, data_dir, manifest)
            give_words(model, words, vectors)
        compile_model(model, config, steps, counts)
        if progress.epoch:
            restore_variables(model_dir / model_directory.BACKUP, training_variables(model))
    if progress.stopped or progress.epoch >= config.epochs:
        return
    dataset = team.dataset(lambda share: training_dataset(
        data_dir, manifest, batch_size=config.global_batch_size, shuffle_buffer=config.shuffle_buffer,
        seed=config.seed, first_epoch=progress.epoch, shown=shown, oversampling=oversampling, share=share))
    validation, validation_steps = None, None
    if window_count(manifest, "validation"):
        validation_steps = steps_per_epoch(window_count(manifest, "validation"), config.global_batch_size)
        validation = team.dataset(lambda share: evaluation_dataset(
            data_dir, manifest, "validation", config.global_batch_size, share=share))
    else:
        print("the validation split is empty: training all epochs and keeping the last weights")
    with refusing_bad_shards(data_dir), noticing_absence(), team.output_directory(model_dir) as written:
        callbacks = [
            StopOnNaN(),
            WriteMetrics(written / model_directory.METRICS),
            KeepProgress(written, config, progress, fingerprint),
        ]
        model.fit(dataset, validation_data=validation, initial_epoch=progress.epoch, epochs=config.epochs,
                  steps_per_epoch=steps, validation_steps=validation_steps, shuffle=False, callbacks=callbacks,
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
