"""`trainer retrain`: new logs in, a better model in service or the old one untouched, and a trail that explains it."""

import argparse
import datetime
import re
import signal

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer retrain`."""
    parser.add_argument("--config", required=True, metavar="FILE", help="retrain.yaml")
    parser.add_argument("--date", type=_date, metavar="YYYY-MM-DD", help="the day of the run (default: today)")
    parser.add_argument("--run_id", type=run_id, help="its name (default: the date); one that was cut short goes on")
    parser.add_argument("--overwrite", action="store_true", help="make the run anew if it is there")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors; the libraries' messages go "
                                                               "into the run's log")


def run(args: argparse.Namespace) -> None:
    """Makes a run, or goes on with it.

    Args:
        args: with `config`, `date`, `run_id`, `overwrite` and `verbose`.
    """
    from trainer.retrain_config import read_retrain_config
    from trainer.retraining import retrain

    # A timer ends a run with this signal; as an interrupt, it lets the stage end and the record say so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    retrain(read_retrain_config(args.config), args.date, args.run_id, overwrite=args.overwrite, verbose=args.verbose)


def run_id(text: str) -> str:
    """A flag's type: the name of a run."""
    if not _RUN_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed are up to 100 letters, digits, '.', '_' and '-', the "
                                         "first one a letter or digit")
    return text


def _date(text: str) -> datetime.date:
    """A flag's type: a day."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed is a day as YYYY-MM-DD") from error
