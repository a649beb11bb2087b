"""Names of the files of a model directory, as `train` writes it and `evaluate`, `score` and `retrain` read it."""

import json
import pathlib

from schemas.exit_status import UsageError

CONFIG = "config.json"
HISTORY = "history.json"
METRICS = "metrics"
BACKUP = "backup"
BEST_MODEL = "best.keras"
SAVED_MODEL = "saved_model"
# The file by which a directory is known for a SavedModel.
SAVED_MODEL_FILE = "saved_model.pb"
EVALUATION = "evaluation"
# Calibration and thresholds; written by `train`, inside the SavedModel too.
THRESHOLDS = f"{EVALUATION}/thresholds.json"
COMPLETED = "COMPLETED"
# COMPLETED first: what is left of a removal that was cut short must not pass for a model.
NAMES = (COMPLETED, CONFIG, HISTORY, METRICS, BACKUP, BEST_MODEL, SAVED_MODEL, EVALUATION)

# The SavedModel's asset with the label names, one JSON list of strings.
LABELS_ASSET = "labels.json"
LABELS_SIGNATURE = "labels"


def require_completed(model_dir: str | pathlib.Path) -> pathlib.Path:
    """The model directory as a path.

    Raises:
        UsageError: when it is missing or its training did not end.
    """
    path = pathlib.Path(model_dir)
    if not (path / COMPLETED).is_file():
        raise UsageError(f"{model_dir} is no completed model directory: it has no {COMPLETED} (run `train` first)")
    return path


def read_config(model_dir: str | pathlib.Path) -> dict:
    """What config.json holds: `config` (every setting), `data` (the data directory's sizes) and `versions`.

    Raises:
        UsageError: when it can't be read.
    """
    path = pathlib.Path(model_dir) / CONFIG
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"can't read {path}: {error}") from error
