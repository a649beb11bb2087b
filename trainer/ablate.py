"""`trainer ablate`: trains every variant of a grid on every data set with every seed, and compares them."""

import argparse
import signal

from schemas.exit_status import UsageError
from schemas.quiet_import import import_module


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer ablate`."""
    parser.add_argument("--grid", required=True, metavar="FILE",
                        help="YAML file with the data sets, the seeds, the base settings and the variants")
    parser.add_argument("--output_dir", required=True, help="where the trainings and the results go")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="trainings at a time, each with its share of the cores (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Trains what is not trained yet, and writes the results.

    Args:
        args: with `grid`, `output_dir`, `jobs` and `verbose`.
    """
    if args.jobs < 1:
        raise UsageError(f"--jobs: {args.jobs} is out of range; allowed: at least 1")
    # Else the trainings would outlive an ablation that is ended by a signal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    import_module("keras", args.verbose)
    from trainer.ablation import ablate

    ablate(args.grid, args.output_dir, args.jobs, args.verbose)
