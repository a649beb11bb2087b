"""`trainer evaluate`: measures a model on a split of a data directory and writes the report."""

import argparse
import json
import logging
import math
import numbers
import pathlib
import shutil
from typing import TYPE_CHECKING, Any

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.exit_status import UsageError
from schemas.visible_text import visible

if TYPE_CHECKING:
    from trainer.input_ablations import InputAblation
    from trainer.predictions import Predictions
    from trainer.split_summaries import SplitSummary

# Windows that the other splits and the ablations are scored on: enough for figures to stand beside those of the split
# evaluated, and few enough that a report on a large split does not take several times as long.
MOST_WINDOWS = 20_000

_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer evaluate` beside `--model_dir` and `--data_dir`, which all commands share."""
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--output_dir", help="where the report goes; default: MODEL_DIR/evaluation for the test split,"
                                             " MODEL_DIR/evaluation/SPLIT for another one; required for a SavedModel"
                                             " outside a model directory")


def run(args: argparse.Namespace) -> None:
    """Evaluates, then prints the main figures and where the report lies.

    Args:
        args: with `model_dir`, `data_dir`, `split` and `output_dir` (None for the default).
    """
    output_dir = pathlib.Path(args.output_dir or default_output_dir(args.model_dir, args.split))
    report = evaluate(args.model_dir, args.data_dir, args.split, output_dir)
    print(f"{report['windows']} windows of {report['conversations']} conversations, {args.split} split")
    print(f"{'':<12}{'precision':>12}{'recall':>12}{'F1':>12}   95 % interval of F1")
    for average in ("micro", "macro", "weighted"):
        scores = report[average]
        print(f"{average:<12}{scores['precision']:>12.4f}{scores['recall']:>12.4f}{scores['f1']:>12.4f}"
              f"   {_between(report['intervals'][f'{average}_f1'])}")
    for name, measure in (("exact match", "exact_match"), ("calibration error", "calibration_error")):
        print(f"{name:<36}{report[measure]:>12.4f}   {_between(report['intervals'][measure])}")
    if report["missing_labels"]:
        print(f"labels that the model does not know: {', '.join(map(visible, report['missing_labels']))}")
    print(f"report: {output_dir / 'report.html'}")


def _between(interval: tuple[float, float] | None) -> str:
    """An interval for reading."""
    return f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "unknown: one conversation"


def default_output_dir(model_dir: str | pathlib.Path, split: str) -> pathlib.Path:
    """Where the report goes by default: the test split's is the model's own, others lie below it.

    Raises:
        UsageError: for a SavedModel outside a model directory, which is no place for reports.
    """
    if _is_saved_model(model_dir):
        raise UsageError(f"{model_dir} is a SavedModel: say with --output_dir where the report goes")
    own = pathlib.Path(model_dir) / model_directory.EVALUATION
    return own if split == "test" else own / split


def _is_saved_model(path: str | pathlib.Path) -> bool:
    """Whether this is a SavedModel directory and no model directory."""
    return (pathlib.Path(path) / model_directory.SAVED_MODEL_FILE).is_file()


def evaluate(
    model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, split: str, output_dir: str | pathlib.Path
) -> dict[str, Any]:
    """Measures a model on a split, writes every file of the evaluation, and returns what report.json holds.

    Args:
        model_dir: a model directory of a finished training, or a SavedModel.
        data_dir: a data directory; labels are matched by name.
        split: `train`, `validation` or `test`.
        output_dir: made where it is missing; files of an earlier evaluation are replaced.

    Raises:
        UsageError: when a directory is missing, damaged or not completed, or the model knows none of the data's labels
            or takes other windows.
        DataRefused: when the split has no windows, or a shard is damaged.
        TurnwiseError: when the model gives a value that is no finite number.
    """
    trained = not _is_saved_model(model_dir)
    if trained:
        model_directory.require_completed(model_dir)
    manifest = data_directory.read_manifest(data_dir)

    # These import TensorFlow, scikit-learn and matplotlib, which no wrong flag should have to wait for.
    from trainer.evaluation import evaluate_predictions
    from trainer.predictions import predict
    from trainer.report import Subject, write_report
    from trainer.windows import read_windows, speaker_names
    from trainer.worst_errors import worst_errors

    predictions = predict(model_dir, data_dir, split)
    if len(predictions.missing_labels) == len(predictions.label_names):
        raise UsageError(f"{model_dir} knows none of the {len(predictions.label_names)} labels of {data_dir}")
    evaluation = evaluate_predictions(
        predictions, speaker_names(manifest), splits=_splits(model_dir, data_dir, manifest, split, predictions),
        ablations=_ablations(model_dir, data_dir, manifest, split, predictions))
    errors = worst_errors(predictions, lambda rows: read_windows(data_dir, manifest, split, rows))
    history = read_history(model_dir) if trained else {}
    report = write_report(evaluation, Subject(str(model_dir), str(data_dir), split), history, output_dir,
                          worst_errors=errors)
    if trained:
        _copy_thresholds(pathlib.Path(model_dir), pathlib.Path(output_dir))
    return report


def _splits(
    model_dir, data_dir, manifest: Manifest, evaluated: str, predictions: "Predictions"
) -> list["SplitSummary"]:
    """The main figures of every split that has windows; `predictions` are those of the split `evaluated`."""
    from trainer.input_pipeline import window_count
    from trainer.predictions import predict
    from trainer.split_summaries import split_summary

    return [
        split_summary(split, predictions if split == evaluated else
                      predict(model_dir, data_dir, split, limit=MOST_WINDOWS), window_count(manifest, split))
        for split in data_directory.SPLITS if window_count(manifest, split)
    ]


def _ablations(
    model_dir, data_dir, manifest: Manifest, split: str, predictions: "Predictions"
) -> list["InputAblation"]:
    """What the model makes of its history and its scalars, as far as the windows have any."""
    from trainer.changes import CHANGES
    from trainer.input_ablations import input_ablation
    from trainer.predictions import predict

    return [
        input_ablation(name, predictions, predict(model_dir, data_dir, split, change=change, limit=MOST_WINDOWS))
        for name, change in CHANGES.items()
        if (manifest.sizes.slots > 1 if change.keep_numeric else manifest.sizes.numeric)
    ]


def _copy_thresholds(model_dir: pathlib.Path, output_dir: pathlib.Path) -> None:
    """Puts the model's thresholds beside a report that lies outside its own evaluation directory."""
    own = model_dir / model_directory.THRESHOLDS
    if own.parent.resolve() != output_dir.resolve():
        shutil.copyfile(own, output_dir / own.name)


def read_history(model_dir: str | pathlib.Path) -> dict[str, list[float]]:
    """The metrics by epoch under `history` in history.json, {metric: values}; what is no list of numbers is left out.

    A report is worth having without its learning curves, so a missing or damaged file gives none.
    """
    path = pathlib.Path(model_dir) / model_directory.HISTORY
    try:
        series = json.loads(path.read_text("utf-8"))["history"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        _LOG.warning("no learning curves, as %s can't be read: %s", path, error)
        return {}
    return {name: [math.nan if value is None else float(value) for value in values]
            for name, values in series if _is_curve(values)}


def _is_curve(values: Any) -> bool:
    """Whether these are numbers, at least one; null stands for one that was no finite number."""
    return (isinstance(values, list) and any(value is not None for value in values)
            and all(value is None or isinstance(value, numbers.Real) for value in values))
