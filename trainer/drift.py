"""`trainer drift`: compares new data with the data of an earlier run, and refuses data that are too different."""

import argparse
import pathlib

from schemas import data_directory
from schemas.exit_status import DataRefused
from schemas.quiet_import import import_module
from schemas.visible_text import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer drift`."""
    parser.add_argument("--data_dir", required=True,
                        help="the new data, a data directory that `pipeline prepare` wrote")
    parser.add_argument("--reference", required=True, metavar="DIR", help="the data directory to compare with, such as "
                                                                         "that of the last blessed model")
    parser.add_argument("--model_dir", help="a model directory or a SavedModel whose answers on both are compared too")
    parser.add_argument("--thresholds", metavar="FILE", help="YAML file that says how far the new data may lie from "
                        "the reference; what it leaves out has its default")
    parser.add_argument("--output_dir", required=True, help="where drift.json and drift.html go")
    parser.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Measures the drift, writes it and prints the checks.

    Args:
        args: with `data_dir`, `reference`, `model_dir`, `thresholds`, `output_dir` and `verbose`.

    Raises:
        UsageError: when the thresholds are wrong, or a directory is missing or damaged.
        DataRefused: when a check fails, with the reasons, or a shard is damaged.
    """
    from trainer.drift_thresholds import read_thresholds

    thresholds = read_thresholds(args.thresholds)
    for directory in (args.reference, args.data_dir):
        data_directory.read_manifest(directory)
    import_module("keras", args.verbose)
    from trainer.drift_measures import measure_drift
    from trainer.drift_report import HTML, JSON, Subject, write_report

    output = pathlib.Path(args.output_dir)
    for name in (JSON, HTML):  # Those of other data must not pass for these data's.
        (output / name).unlink(missing_ok=True)
    drift = measure_drift(args.data_dir, args.reference, args.model_dir, thresholds)
    write_report(drift, thresholds, Subject(args.data_dir, args.reference, args.model_dir), output)
    _print(drift.checks)
    print(f"drift: {output / HTML}")
    if drift.refused:
        raise DataRefused(visible(f"{args.data_dir} is refused: {'; '.join(drift.reasons)}"))
    print("accepted")


def _print(checks: list) -> None:
    """The checks, what failed first, each with what was found."""
    outcomes = {False: "FAILED", None: "not judged", True: "passed"}
    for outcome, spoken in outcomes.items():
        for check in checks:
            if check.passed is outcome:
                print(visible(f"{spoken:<10}  {check.detail}"))
