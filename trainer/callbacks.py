"""What happens between batches and epochs of a training."""

import dataclasses
import json
import math
import os
import pathlib

import keras
import tensorflow as tf

from schemas import model_directory
from schemas.exit_status import TurnwiseError
from trainer.acceleration import as_float32
from trainer.backup import write_backup
from trainer.config import Config


@dataclasses.dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: epochs that are done.
        history: {figure: its value after each epoch}.
        best_epoch: the epoch whose weights are kept, from 1; 0 for none yet.
        stopped: whether early stopping ended the training.
    """

    epoch: int = 0
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    best_epoch: int = 0
    stopped: bool = False

    def add(self, figures: dict[str, float], config: Config) -> bool:
        """Takes in an epoch's figures; says whether its weights are to be kept."""
        self.epoch += 1
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        if config.monitor not in figures:
            # No validation windows: there is nothing to choose by.
            self.best_epoch = self.epoch
            return True
        monitored = self._best(config.monitor)
        keep = not config.keep_best or monitored == self.epoch
        if keep:
            self.best_epoch = self.epoch
        patience = config.early_stopping_patience
        # F1 may stand still for a while, most of all at the start, when no score has come above the threshold yet.
        self.stopped = patience is not None and self.epoch - max(monitored, self._best("val_loss")) >= patience
        return keep

    def _best(self, name: str) -> int:
        """The first epoch, from 1, with the best value of a figure; no number is worse than any."""
        sign = -1 if name == "val_loss" else 1
        values = [sign * value if math.isfinite(value) else -math.inf for value in self.history[name]]
        return 1 + values.index(max(values))


class KeepProgress(keras.callbacks.Callback):
    """After each epoch: notes the figures, keeps the best weights, writes the backup, stops early.

    Where the optimizer keeps averages of the weights, those are validated and kept, and training goes on without them.
    """

    def __init__(self, model_dir: pathlib.Path, config: Config, progress: Progress, fingerprint: dict):
        """Makes the callback.

        Args:
            model_dir: where the files go.
            config: of the training.
            progress: brought up to date after each epoch.
            fingerprint: what must be equal for the backup to be of use, JSON values.
        """
        super().__init__()
        self.model_dir, self.config, self.progress, self.fingerprint = model_dir, config, progress, fingerprint

    def on_test_begin(self, logs=None):
        """Puts the averages in."""
        swap_averages(self.model)

    def on_test_end(self, logs=None):
        """Takes the averages out."""
        swap_averages(self.model)

    def on_epoch_end(self, epoch, logs=None):
        """Takes in the figures of an epoch."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        if self.progress.add(figures, self.config):
            swap_averages(self.model)
            save_model(self.model, self.model_dir / model_directory.BEST_MODEL)
            swap_averages(self.model)
        state = {"fingerprint": self.fingerprint, "progress": dataclasses.asdict(self.progress)}
        write_backup(self.model_dir / model_directory.BACKUP, training_variables(self.model), state)
        if self.progress.stopped:
            self.model.stop_training = True


class StopOnNaN(keras.callbacks.Callback):
    """Ends the training with an error as soon as the loss is no number."""

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch for the message."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Checks the mean loss of the epoch so far.

        Raises:
            TurnwiseError: when it is infinite or no number.
        """
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TurnwiseError(f"the loss is {loss} in epoch {self.epoch + 1}, batch {batch + 1}: "
                                "train with a lower learning_rate, or look for extreme values in the numeric features")


class WriteMetrics(keras.callbacks.Callback):
    """After each epoch: writes the figures for TensorBoard, those of training and of validation as two curves.

    Keras' own callback needs the package tensorboard at training time; the event files do not.
    """

    def __init__(self, directory: pathlib.Path):
        """Makes the callback; `directory` is what TensorBoard is to be shown."""
        super().__init__()
        self.directory = directory

    def on_epoch_end(self, epoch, logs=None):
        """Writes the figures of an epoch."""
        for run, prefix in (("train", ""), ("validation", "val_")):
            figures = {name.removeprefix("val_"): value for name, value in (logs or {}).items()
                       if name.startswith("val_") == bool(prefix)}
            if figures:
                _write_scalars(self.directory / run, figures, epoch + 1)


def _write_scalars(directory: pathlib.Path, figures: dict[str, float], step: int) -> None:
    """Adds an event file with one point of each curve."""
    metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR")
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default():
        for name, value in figures.items():
            tf.summary.write(f"epoch_{name}", tf.constant(value, tf.float32), step, metadata)
    writer.close()


def swap_averages(model: keras.Model) -> None:
    """Exchanges the weights and their averages, where the optimizer keeps such.

    Keras' own SwapEMAWeights adds and subtracts, which rounds: a weight would not come back as it was.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return
    for weight, average in zip(model.trainable_weights, optimizer._model_variables_moving_average, strict=True):
        value = keras.ops.convert_to_numpy(weight)
        weight.assign(keras.ops.convert_to_numpy(average))
        average.assign(value)


def training_variables(model: keras.Model) -> list:
    """All that changes in training: weights, the dropout's random states, the optimizer's variables."""
    return [*model.variables, *model.optimizer.variables]


def save_model(model: keras.Model, path: pathlib.Path) -> None:
    """Writes a `.keras` file without the optimizer, which computes in 32 bits, in one step."""
    temporary = path.with_name(f"tmp-{path.name}")
    as_float32(model).save(temporary, include_optimizer=False)
    os.replace(temporary, path)


def write_json(path: pathlib.Path, values) -> None:
    """Writes a JSON file in one step."""
    temporary = path.with_name(f"tmp-{path.name}")
    temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(temporary, path)
