"""`trainer runs`: the runs of `trainer retrain`, what became of them and why."""

import argparse
import sys

from schemas.visible_text import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer runs`."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--config", metavar="FILE", help="retrain.yaml")
    place.add_argument("--runs_dir", help="where the runs are, instead")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Prints a table, the oldest run first.

    Args:
        args: with `config` or `runs_dir`.

    Raises:
        UsageError: when there are no runs.
    """
    from trainer.retrain_config import read_retrain_config
    from trainer.run_record import read_runs
    from trainer.runs_table import HEADER, row_of

    records, problems = read_runs(args.runs_dir or read_retrain_config(args.config).runs_dir)
    rows = [HEADER, *map(row_of, records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    for row in rows:
        print(visible("  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]))))
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
