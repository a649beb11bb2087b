"""What a model says, given its network's scores: calibration and thresholds, learnt from validation windows."""

import dataclasses
import json
import pathlib

import numpy as np

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.exit_status import UsageError
from trainer.config import Config
from trainer.thresholds import choose_thresholds, parse_policy

BATCH_SIZE = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """From scores to probabilities and labels; what thresholds.json holds.

    Attributes:
        labels: K names.
        policy: by which the thresholds were chosen, see `thresholds.parse_policy`.
        shrinkage: of the thresholds towards the common one.
        calibration: a name of `calibration.CALIBRATIONS`.
        windows: of validation, from which this was learnt; 0: nothing was, and each threshold is the policy's or 1/2.
        common_threshold: of all labels together.
        supports: validation windows that bear each label, int [K].
        scale, shift: of the calibration, float32 [K].
        thresholds: a label is said where its probability is at least this, float32 [K].
    """

    labels: tuple[str, ...]
    policy: str
    shrinkage: float
    calibration: str
    windows: int
    common_threshold: float
    supports: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    thresholds: np.ndarray

    def probabilities(self, scores):
        """Probabilities float32 [N, K] of the network's scores, a tensor float32 [N, K]."""
        from trainer.calibration import NONE, calibrated

        return scores if self.calibration == NONE else calibrated(scores, self.scale, self.shift)

    def to_json(self) -> str:
        """The text of thresholds.json."""
        values = {name: getattr(self, name) for name in
                  ("policy", "shrinkage", "calibration", "windows", "common_threshold")}
        columns = zip(self.labels, self.thresholds, self.scale, self.shift, self.supports, strict=True)
        values["labels"] = {label: {"threshold": float(threshold), "scale": float(scale), "shift": float(shift),
                                    "support": int(support)} for label, threshold, scale, shift, support in columns}
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """Reads the text of thresholds.json.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: when it is none.
        """
        values = json.loads(text)
        labels = values.pop("labels")
        columns = {name: np.array([label[key] for label in labels.values()], dtype) for name, key, dtype in (
            ("thresholds", "threshold", np.float32), ("scale", "scale", np.float32), ("shift", "shift", np.float32),
            ("supports", "support", np.int64))}
        return cls(labels=tuple(labels), **values, **columns)


def decide(labels: list[str], scores: np.ndarray, truth: np.ndarray, config: Config) -> Decision:
    """Learns calibration and thresholds.

    Args:
        labels: K names.
        scores: the network's, of N validation windows, float32 [N, K].
        truth: the true labels, bool [N, K].
        config: with `calibration`, `threshold_policy` and `threshold_shrinkage`.
    """
    from trainer.calibration import CALIBRATIONS, NONE, calibrated

    method = config.calibration if truth.any() else NONE
    scale, shift = CALIBRATIONS[method](scores, truth)
    probabilities = scores if method == NONE else calibrated(scores, scale, shift).numpy()
    common, thresholds = choose_thresholds(parse_policy(config.threshold_policy), probabilities, truth,
                                           config.threshold_shrinkage)
    return Decision(tuple(labels), config.threshold_policy, config.threshold_shrinkage, method, len(scores), common,
                    truth.sum(axis=0), scale, shift, thresholds)


def learn_decision(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, manifest: Manifest,
                   config: Config) -> Decision:
    """Learns calibration and thresholds of a model directory's best.keras from the validation split.

    Args:
        model_dir: holds best.keras.
        data_dir: the data directory that the model was trained on.
        manifest: of the data directory.
        config: see `decide`.

    Raises:
        DataRefused: when a shard is damaged.
    """
    import tensorflow as tf

    from trainer.input_pipeline import evaluation_dataset, refusing_bad_shards, window_count
    from trainer.models import load_model

    labels = data_directory.read_labels(data_dir)
    scores, truth = [np.empty((0, len(labels)), np.float32)], [np.empty((0, len(labels)), bool)]
    if window_count(manifest, "validation"):
        model = load_model(pathlib.Path(model_dir) / model_directory.BEST_MODEL)
        forward = tf.function(lambda windows: model(windows, training=False)["scores"], reduce_retracing=True)
        with refusing_bad_shards(data_dir):
            for windows, present in evaluation_dataset(data_dir, manifest, "validation", BATCH_SIZE):
                scores.append(forward(windows).numpy())
                truth.append(present.numpy() > 0)
    return decide(labels, np.concatenate(scores), np.concatenate(truth), config)


def write_decision(model_dir: str | pathlib.Path, decision: Decision) -> None:
    """Writes thresholds.json of a model directory."""
    path = pathlib.Path(model_dir) / model_directory.THRESHOLDS
    path.parent.mkdir(exist_ok=True)
    path.write_text(decision.to_json(), "utf-8")


def read_decision(model_dir: str | pathlib.Path) -> Decision:
    """The decision of a model directory.

    Raises:
        UsageError: when its thresholds.json is missing or damaged.
    """
    path = pathlib.Path(model_dir) / model_directory.THRESHOLDS
    try:
        return Decision.from_json(path.read_text("utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"can't read {path}: {error!r}") from error
