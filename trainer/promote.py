"""`trainer promote`: puts a model into service, without asking whether it is better."""

import argparse
import datetime
import pathlib

from schemas import model_directory
from schemas.exit_status import TurnwiseError, UsageError
from trainer.flags import whole_number
from trainer.retrain import run_id

NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer promote`."""
    from trainer.serving import MAX_VERSION

    parser.add_argument("--model_dir", required=True, help="a model directory of a finished training, or a SavedModel")
    parser.add_argument("--serving_dir", required=True, help="where the models in service are")
    parser.add_argument("--version", type=whole_number(1, MAX_VERSION), help="its number (default: the time)")
    parser.add_argument("--replaces", metavar="VERSION", help="the version that must be in service now, or none "
                                                              "(default: any)")
    parser.add_argument("--run_id", type=run_id, help="the run that it came from, for the record")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Copies the SavedModel, then moves the link.

    Args:
        args: with `model_dir`, `serving_dir`, `version`, `replaces` and `run_id`.

    Raises:
        UsageError: when there is no such model.
        TurnwiseError: when another version is in service than the one to replace, or the model can't be copied.
    """
    from trainer import serving

    model = pathlib.Path(args.model_dir)
    if not (model / model_directory.SAVED_MODEL_FILE).is_file():
        model = model_directory.require_completed(model) / model_directory.SAVED_MODEL
    if args.replaces not in (None, NONE) and not args.replaces.isdigit():
        raise UsageError(f"--replaces {args.replaces}: expected a version or {NONE}")
    with serving.serving_lock(args.serving_dir):
        now = datetime.datetime.now(datetime.UTC)
        current = serving.current(args.serving_dir)
        version = args.version or serving.next_version(args.serving_dir, now)
        if args.replaces is not None and current != version and str(current or NONE) != args.replaces:
            raise TurnwiseError(f"{args.serving_dir} has {current or NONE} in service, not {args.replaces}")
        promoted = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        serving.promote(model, args.serving_dir, version, serving.Provenance(args.run_id, str(model), promoted))
    print(f"in service: {pathlib.Path(args.serving_dir) / str(version)}, before: {current or NONE}")
