"""`trainer evaluate`: measures a trained model on a split of a data directory and writes the report."""

import argparse
import json
import logging
import math
import numbers
import pathlib
from typing import Any

from schemas import data_directory, model_directory
from schemas.exit_status import DataRefused, UsageError

_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer evaluate` beside `--model_dir` and `--data_dir`, which all commands share."""
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--output_dir", help="where the report goes; default: MODEL_DIR/evaluation for the test split,"
                                             " MODEL_DIR/evaluation/SPLIT for another one")


def run(args: argparse.Namespace) -> None:
    """Evaluates, then prints the main figures and where the report lies.

    Args:
        args: with `model_dir`, `data_dir`, `split` and `output_dir` (None for the default).
    """
    output_dir = pathlib.Path(args.output_dir or default_output_dir(args.model_dir, args.split))
    report = evaluate(args.model_dir, args.data_dir, args.split, output_dir)
    print(f"{report['windows']} windows of {report['conversations']} conversations, {args.split} split")
    print(f"{'':<10}{'precision':>10}{'recall':>10}{'F1':>10}")
    for average in ("micro", "macro"):
        scores = report[average]
        print(f"{average:<10}{scores['precision']:>10.4f}{scores['recall']:>10.4f}{scores['f1']:>10.4f}")
    print(f"exact match {report['exact_match']:.4f}")
    print(f"report: {output_dir / 'report.html'}")


def default_output_dir(model_dir: str | pathlib.Path, split: str) -> pathlib.Path:
    """Where the report goes by default: the test split's is the model's own, others lie below it."""
    own = pathlib.Path(model_dir) / model_directory.EVALUATION
    return own if split == "test" else own / split


def evaluate(
    model_dir: str | pathlib.Path, data_dir: str | pathlib.Path, split: str, output_dir: str | pathlib.Path
) -> dict[str, Any]:
    """Measures a model on a split, writes every file of the evaluation, and returns what report.json holds.

    Raises:
        UsageError: when a directory is missing, damaged or not completed, or the model's labels are not the data's.
        DataRefused: when the split has no windows.
    """
    model_directory.require_completed(model_dir)
    manifest = data_directory.read_manifest(data_dir)
    labels = data_directory.read_labels(data_dir)
    model_labels, threshold = _labels_and_threshold(model_dir)
    _check_labels(model_labels, labels)
    if not sum(shard.records for shard in manifest.shards_of(split)):
        raise DataRefused(f"{data_dir} has no windows in its {split} split")

    # These import TensorFlow, scikit-learn and matplotlib, which no wrong flag should have to wait for.
    import numpy as np

    from trainer.evaluation import evaluate_predictions
    from trainer.predictions import predict
    from trainer.report import Subject, write_report

    predictions = predict(model_dir, data_dir, split)
    evaluation = evaluate_predictions(predictions, np.full(len(labels), threshold))
    subject = Subject(str(model_dir), str(data_dir), split)
    return write_report(evaluation, subject, read_history(model_dir), output_dir)


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


def _check_labels(model_labels: list[str], data_labels: list[str]) -> None:
    """Raises a UsageError unless both have the same names in the same order."""
    if model_labels == data_labels:
        return
    missing = [label for label in data_labels if label not in model_labels]
    extra = [label for label in model_labels if label not in data_labels]
    differences = [f"the model lacks {missing}"] * bool(missing) + [f"the data lack {extra}"] * bool(extra)
    raise UsageError("the model's labels must be those of the data directory, in their order; "
                     + (" and ".join(differences) or "their order differs"))


def _labels_and_threshold(model_dir: str | pathlib.Path) -> tuple[list[str], float]:
    """The names of the model's outputs, and the score from which on it predicts a label."""
    config = model_directory.read_config(model_dir)
    try:
        return config["data"]["labels"], float(config["config"]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        path = pathlib.Path(model_dir) / model_directory.CONFIG
        raise UsageError(f"{path} lacks data.labels or a number config.threshold") from error
