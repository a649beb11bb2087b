"""`trainer compare`: two models on the same split of a data directory, and one page on how they differ."""

import argparse
import dataclasses
import pathlib

from schemas import data_directory
from schemas.quiet_import import import_module

# Changed windows of each kind that the page shows.
EXAMPLES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer compare`."""
    parser.add_argument("a", metavar="A", help="the first model: a model directory or a SavedModel")
    parser.add_argument("b", metavar="B", help="the second model, likewise; differences are B's figures less A's")
    parser.add_argument("--data_dir", required=True, help="a data directory that `pipeline prepare` wrote")
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--output_dir", required=True, help="where compare.html, .md and .json go")
    parser.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Compares, then prints the main figures and where the page lies.

    Args:
        args: with `a`, `b`, `data_dir`, `split`, `output_dir` and `verbose`.

    Raises:
        UsageError: when a directory is missing or damaged, or a model takes other windows than the data hold.
        DataRefused: when the split is empty or a shard is damaged.
        TurnwiseError: when a model's scores are no finite numbers.
    """
    manifest = data_directory.read_manifest(args.data_dir)
    import_module("keras", args.verbose)
    from trainer.comparison import changed_rows, compare_predictions, spoken
    from trainer.comparison_report import HTML, Subject, examples_of, write_report
    from trainer.predictions import predict
    from trainer.windows import read_windows

    a, b = (predict(model, args.data_dir, args.split) for model in (args.a, args.b))
    comparison = compare_predictions(a, b)
    changed = changed_rows(a, b, EXAMPLES)
    fixed, broken = (examples_of(rows, read_windows(args.data_dir, manifest, args.split, rows), a, b)
                     for rows in dataclasses.astuple(changed))
    subject = Subject(args.a, args.b, args.data_dir, args.split)
    write_report(comparison, fixed, broken, subject, pathlib.Path(args.output_dir))
    print(f"{comparison.windows} windows of {comparison.conversations} conversations, {args.split} split")
    print(f"{'':<16}{'A':>8}{'B':>8}{'B - A':>9}  {100 * comparison.confidence:g} % interval")
    for measure in ("micro_f1", "macro_f1", "exact_match"):
        difference = comparison.overall[measure]
        between = " to ".join(f"{bound:+.4f}" for bound in difference.interval or ()) or "unknown"
        print(f"{spoken(measure):<16}{difference.a:>8.4f}{difference.b:>8.4f}{difference.difference:>+9.4f}"
              f"  {between}")
    print(f"windows that are right: {comparison.right.only_b} fixed by B, {comparison.right.only_a} broken by B")
    print(f"report: {pathlib.Path(args.output_dir) / HTML}")
