"""Command line of the data job."""

import argparse
import importlib
import logging
import os
from typing import NoReturn

from schemas.exit_status import leave, run_command
from schemas.quiet_import import import_module

COMMANDS = {
    "synthesize": ("pipeline.synthesize", "pipeline.synthesize", "write generated conversations, to try things out"),
    "convert": ("pipeline.convert", "pipeline.convert", "turn a published dialogue set into a turn log"),
    "prepare": ("pipeline.options", "pipeline.prepare", "turn logs into a data directory"),
    "score": ("pipeline.score_options", "pipeline.score", "predict the labels of logs with a trained model"),
    "inspect": ("pipeline.inspect", "pipeline.inspect", "show the windows of a shard, or check a data directory"),
}
BEAM_COMMANDS = {"prepare", "score"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each one's flags are defined beside it."""
    parser = argparse.ArgumentParser(prog="turnwise-pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (flags, _, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        importlib.import_module(flags).add_arguments(command)
        command.add_argument("--verbose", action="store_true", help="show logs, and tracebacks of errors")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs a command and gives its exit status."""
    parser = build_parser()
    args, beam_flags = parser.parse_known_args(argv)
    if beam_flags and args.command not in BEAM_COMMANDS:
        parser.error(f"unknown flags: {' '.join(beam_flags)}")
    _quiet(args.verbose)

    def command() -> None:
        run = import_module(COMMANDS[args.command][1], args.verbose).run
        if args.command in BEAM_COMMANDS:
            run(args, beam_flags)
        else:
            run(args)

    return run_command(command, args.verbose)


def _quiet(verbose: bool) -> None:
    """Keeps the libraries' own logs away, unless asked for."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR)
    # tf.Transform would set it anyway. Set before TensorFlow is imported, it saves importing Keras.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"


def command_line() -> NoReturn:
    """Runs a command and ends the process with its exit status."""
    leave(main())


if __name__ == "__main__":
    command_line()
