"""Training: exact epochs, killed and resumed, one and two replicas, what is refused."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from schemas import data_directory, model_directory
from schemas.exit_status import DataRefused, TurnwiseError, UsageError
from tests.data_directories import make_windows, small_data_directory, write_data_directory
from trainer.callbacks import Progress, StopOnNaN
from trainer.config import load_config
from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards
from trainer.models import load_model
from trainer.training import compile_model, train

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL = ("embedding_dim=6", "units=5", "global_batch_size=16", "shuffle_buffer=8")

KILLED = """
import os, signal, sys
from trainer.callbacks import StopOnNaN
from trainer.config import load_config
from trainer.training import train

def kill(self, batch, logs=None):
    if self.epoch == 2 and batch == 3:
        os.kill(os.getpid(), signal.SIGKILL)

StopOnNaN.on_train_batch_end = kill
train(sys.argv[1], sys.argv[2], load_config("masked_lstm", None, sys.argv[3:]))
"""

@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small data directory."""
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return path


def run_script(script, *arguments):
    """Runs Python code in a process of its own; gives its exit status and what it wrote to standard error."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stderr


def history_of(model_dir):
    """The figures of every epoch."""
    return json.loads((model_dir / model_directory.HISTORY).read_text())


def weights_of(model_dir):
    """The weights that were kept."""
    return [weight.numpy() for weight in load_model(model_dir / model_directory.BEST_MODEL).weights]


EVERYTHING = ("schedule=cosine", "warmup=0.2", "ema_momentum=0.9", "global_clipnorm=0.5", "oversampling=2", "l2=0.001",
              "initializer=he_normal", "mixed_precision=true")


@pytest.mark.parametrize("more", [(), pytest.param(EVERYTHING, marks=pytest.mark.slow)], ids=["plain", "everything"])
def test_killed_and_resumed_ends_like_uninterrupted(data, tmp_path, capsys, more):
    settings = [*SMALL, "epochs=5", "early_stopping_patience=3", *more]
    config = load_config("masked_lstm", None, settings)
    train(str(data), str(tmp_path / "whole"), config)
    status, _ = run_script(KILLED, data, tmp_path / "killed", *settings)
    assert status == -signal.SIGKILL
    assert not (tmp_path / "killed" / model_directory.COMPLETED).exists()
    with pytest.raises(UsageError, match="unfinished training with other settings.*units: 5 there, 4 here"):
        train(str(data), str(tmp_path / "killed"), load_config("masked_lstm", None, [*settings, "units=4"]))
    train(str(data), str(tmp_path / "killed"), config)
    assert "going on after epoch 2" in capsys.readouterr().out
    assert history_of(tmp_path / "killed") == history_of(tmp_path / "whole")
    for resumed, whole in zip(weights_of(tmp_path / "killed"), weights_of(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(resumed, whole)


def test_averages_are_validated_and_kept_while_training_goes_on_without_them(data, tmp_path):
    settings = [*SMALL, "epochs=3", "optimizer=sgd", "learning_rate=0.3", "keep_best=false"]
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    train(str(data), str(plain), load_config("masked_lstm", None, settings))
    config = load_config("masked_lstm", None, [*settings, "ema_momentum=0.9"])
    train(str(data), str(averaged), config)
    ours, theirs = history_of(averaged)["history"], history_of(plain)["history"]
    assert ours["loss"] == theirs["loss"]
    assert ours["val_loss"] != theirs["val_loss"]
    model, manifest = load_model(averaged / model_directory.BEST_MODEL), data_directory.read_manifest(data)
    compile_model(model, config, 1)
    figures = model.evaluate(evaluation_dataset(data, manifest, "validation", 16), return_dict=True, verbose=0)
    assert figures["loss"] == pytest.approx(ours["val_loss"][-1], rel=1e-5)


def test_finished_models_are_kept_unless_overwritten(data, tmp_path):
    config = load_config("weekly_report", None, [*SMALL, "epochs=1"])
    progress = train(str(data), str(tmp_path), config)
    assert (progress.epoch, progress.best_epoch, progress.stopped) == (1, 1, False)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(model_directory.NAMES)
    evaluation = tmp_path / model_directory.EVALUATION
    assert [path.name for path in evaluation.iterdir()] == ["thresholds.json"]
    assert {path.name for path in (tmp_path / model_directory.METRICS).iterdir()} == {"train", "validation"}
    with pytest.raises(UsageError, match="holds a finished model"):
        train(str(data), str(tmp_path), config)
    (evaluation / "report.html").write_text("of the model that is replaced")
    (tmp_path / "notes.txt").write_text("mine")
    train(str(data), str(tmp_path), load_config("weekly_report", None, [*SMALL, "epochs=2"]), overwrite=True)
    assert len(history_of(tmp_path)["history"]["loss"]) == 2
    assert {path.name for path in tmp_path.iterdir()} == left | {"notes.txt"}
    assert [path.name for path in evaluation.iterdir()] == ["thresholds.json"]


def test_early_stopping_keeps_the_best_epoch():
    config = load_config("masked_lstm", None, ["early_stopping_patience=2", "monitor=val_loss"])
    progress = Progress()
    kept = [progress.add({"val_loss": value}, config) for value in (3.0, 2.0, 2.5, 2.0)]
    assert kept == [True, True, False, False]
    assert (progress.best_epoch, progress.stopped) == (2, True)


def test_no_number_is_never_the_best():
    config = load_config("masked_lstm", None, ["early_stopping_patience=2", "monitor=val_loss"])
    progress = Progress()
    assert [progress.add({"val_loss": value}, config) for value in (3.0, float("nan"), 2.0)] == [True, False, True]


def test_training_goes_on_while_the_loss_falls():
    config = load_config("masked_lstm", None, ["early_stopping_patience=2"])
    progress = Progress()
    for loss in (3.0, 2.5, 2.0):
        progress.add({"val_micro_f1": 0.0, "val_loss": loss}, config)
    assert (progress.best_epoch, progress.stopped) == (1, False)
    for loss in (2.1, 2.2):
        progress.add({"val_micro_f1": 0.0, "val_loss": loss}, config)
    assert (progress.best_epoch, progress.stopped) == (1, True)


def test_keeping_the_last_epoch_stops_by_the_best_one():
    config = load_config("masked_lstm", None, ["early_stopping_patience=2", "keep_best=false"])
    progress = Progress()
    kept = [progress.add({"val_micro_f1": value, "val_loss": 1.0}, config) for value in (0.5, 0.4, 0.45)]
    assert kept == [True, True, True]
    assert (progress.best_epoch, progress.stopped) == (3, True)


def test_no_validation_windows(tmp_path, capsys):
    write_data_directory(tmp_path / "data", {"train": make_windows(8, 1), "validation": []})
    config = load_config("masked_lstm", None, [*SMALL, "epochs=2", "early_stopping_patience=1"])
    progress = train(str(tmp_path / "data"), str(tmp_path / "model"), config)
    assert (progress.epoch, progress.best_epoch, progress.stopped) == (2, 2, False)
    assert "the validation split is empty" in capsys.readouterr().out


def test_no_training_windows(tmp_path):
    write_data_directory(tmp_path / "data", {"train": [], "validation": make_windows(2, 1)})
    with pytest.raises(DataRefused, match="train split is empty"):
        train(str(tmp_path / "data"), str(tmp_path / "model"), load_config("masked_lstm"))


def test_a_loss_that_is_no_number_ends_the_training(data, tmp_path):
    config = load_config("masked_lstm", None, [*SMALL, "optimizer=sgd", "learning_rate=3e38"])
    with pytest.raises(TurnwiseError, match="the loss is (nan|inf) in epoch 1, batch [0-9]+: train with a lower"):
        train(str(data), str(tmp_path), config)
    assert not (tmp_path / model_directory.COMPLETED).exists()


def test_an_ordinary_loss_goes_on():
    callback = StopOnNaN()
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(0, {"loss": 1e30})


def test_a_damaged_backup(data, tmp_path):
    (tmp_path / model_directory.BACKUP).mkdir()
    (tmp_path / model_directory.BACKUP / "training.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(TurnwiseError, match="training.npz is damaged"):
        train(str(data), str(tmp_path), load_config("masked_lstm", None, SMALL))


def test_a_transform_graph_that_is_missing(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / data_directory.TRANSFORM)
    with pytest.raises(UsageError, match="no transform graph"):
        train(str(tmp_path / "data"), str(tmp_path / "model"), load_config("masked_lstm", None, SMALL))


@pytest.mark.parametrize(("split", "change", "found"), [("train", -1, "at least"), ("validation", 1, "only")])
def test_a_manifest_that_counts_wrong(data, tmp_path, split, change, found):
    shutil.copytree(data, tmp_path / "data")
    path = tmp_path / "data" / data_directory.MANIFEST
    values = json.loads(path.read_text())
    shard = next(shard for shard in values["shards"] if shard["split"] == split)
    shard["records"] += change
    path.write_text(json.dumps(values))
    with pytest.raises(DataRefused, match=f"can't read the shards .* expected to contain .* but contained {found}"):
        train(str(tmp_path / "data"), str(tmp_path / "model"), load_config("masked_lstm", None, [*SMALL, "epochs=1"]))


def test_a_fault_of_the_network_is_not_the_shards():
    faulty = tf.function(lambda row: tf.gather(tf.range(3), row))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in"), refusing_bad_shards("data"):
        faulty(tf.constant(4))
