"""Command line of the trainer: its commands, with their flags and what they call."""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import NoReturn

import trainer
from schemas.exit_status import leave, run_command
from schemas.quiet_import import import_module
from trainer import (
    ablate,
    bless,
    compare,
    drift,
    evaluate,
    predict,
    pretrain,
    promote,
    retrain,
    rollback,
    runs,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit status."""
    args = parse_args(argv)
    # tensorflow_transform sets it, and a child process inherits it; with it, Keras is not Keras 3.
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return run_command(lambda: args.run(args), args.verbose)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line; wrong usage ends the program with status 2."""
    parser = argparse.ArgumentParser("turnwise-trainer", description=trainer.__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model_dir", required=True, help="the model directory")
    common.add_argument("--data_dir", required=True, help="a data directory that `pipeline prepare` wrote")
    common.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")
    _add_train(commands, common)
    _add_evaluate(commands, common)
    _add_predict(commands, common)
    _add_compare(commands)
    _add_bless(commands)
    _add_drift(commands)
    _add_ablate(commands)
    _add_pretrain(commands)
    _add_retrain(commands)
    return parser.parse_args(argv)


def _add_train(commands, common: argparse.ArgumentParser) -> None:
    """Adds the command `train`."""
    parser = commands.add_parser("train", parents=[common], help="train a model and export it", allow_abbrev=False,
                                 description="Trains a model, goes on with a killed training, exports a SavedModel.")
    parser.add_argument("--preset", help="the settings to start from: default, masked_lstm or weekly_report "
                        "(default: default)")
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings that differ from the preset's")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings",
                        help="one setting that differs from the preset's; may be given several times")
    parser.add_argument("--warm_start", metavar="MODEL_DIR", help="start from the weights of this model, rows of words "
                        "and labels by name; the same as --set warm_start=MODEL_DIR")
    parser.add_argument("--overwrite", action="store_true", help="remove a model that is in the model directory")
    parser.set_defaults(run=_train)


def _add_evaluate(commands, common: argparse.ArgumentParser) -> None:
    """Adds the command `evaluate`."""
    parser = commands.add_parser("evaluate", parents=[common], help="score a split and report", allow_abbrev=False,
                                 description="Scores a split of a data directory with a model and writes the report.")
    evaluate.add_arguments(parser)
    parser.set_defaults(run=_evaluate)


def _add_predict(commands, common: argparse.ArgumentParser) -> None:
    """Adds the command `predict`."""
    parser = commands.add_parser("predict", parents=[common], help="show what the exported model says",
                                 allow_abbrev=False, description="Shows some windows of a split as words, with their "
                                 "labels and what the exported SavedModel says of them.")
    predict.add_arguments(parser)
    parser.set_defaults(run=_predict)


def _add_compare(commands) -> None:
    """Adds the command `compare`."""
    parser = commands.add_parser("compare", help="compare two models on the same data", allow_abbrev=False,
                                 description="Scores a split with two models and writes a page of what differs.")
    compare.add_arguments(parser)
    parser.set_defaults(run=compare.run)


def _add_bless(commands) -> None:
    """Adds the command `bless`."""
    parser = commands.add_parser("bless", help="decide whether a new model may go into service", allow_abbrev=False,
                                 description="Checks a candidate against a policy and the model in service, and "
                                 "writes the verdict. Ends with status 0 when it is blessed, 4 when it is refused.")
    bless.add_arguments(parser)
    parser.set_defaults(run=bless.run)


def _add_drift(commands) -> None:
    """Adds the command `drift`."""
    parser = commands.add_parser("drift", help="compare new data with an earlier run's", allow_abbrev=False,
                                 description="Compares a new data directory with a reference, and writes a page of "
                                 "what differs. Ends with status 3 when the new data are too different.")
    drift.add_arguments(parser)
    parser.set_defaults(run=drift.run)


def _add_ablate(commands) -> None:
    """Adds the command `ablate`."""
    parser = commands.add_parser("ablate", help="train and compare variants of the settings", allow_abbrev=False,
                                 description="Trains every variant of a grid on every data set with every seed, and "
                                 "compares them on the validation split. Run again, it goes on where it was ended.")
    ablate.add_arguments(parser)
    parser.set_defaults(run=ablate.run)


def _add_pretrain(commands) -> None:
    """Adds the command `pretrain`."""
    parser = commands.add_parser("pretrain", help="learn word vectors to start from", allow_abbrev=False,
                                 description="Learns word vectors from the train split's texts, without labels, for "
                                 "`train --set embedding_file=...` to start from.")
    pretrain.add_arguments(parser)
    parser.set_defaults(run=_pretrain)


def _add_retrain(commands) -> None:
    """Adds the command `retrain` and those that go with it."""
    for name, module, summary, description in (
        ("retrain", retrain, "new logs in, a better model in service",
         "Prepares, trains, judges, and puts a better model into service, as retrain.yaml says. Run again, it goes on "
         "where it was cut short. Ends with status 0 when a model was promoted or there was nothing new to learn from, "
         "3 when the data are refused, 4 when the model is, 75 when another run is under way."),
        ("promote", promote, "put a model into service",
         "Copies a model into the serving directory and makes it the one in service, whether or not it is better."),
        ("rollback", rollback, "put an earlier version back into service",
         "Makes an earlier version the one in service; no version is deleted."),
        ("runs", runs, "list the runs of retrain", "Lists the runs of retrain: what became of them, and why."),
    ):
        parser = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)


def _train(args: argparse.Namespace) -> None:
    """Trains."""
    import_module("keras", args.verbose)
    from trainer.config import load_config
    from trainer.training import train

    config = load_config(args.preset, args.config, args.settings)
    if args.warm_start:
        config = dataclasses.replace(config, warm_start=args.warm_start)
    train(args.data_dir, args.model_dir, config, overwrite=args.overwrite)


def _evaluate(args: argparse.Namespace) -> None:
    """Evaluates."""
    import_module("keras", args.verbose)
    evaluate.run(args)


def _predict(args: argparse.Namespace) -> None:
    """Predicts."""
    import_module("keras", args.verbose)
    predict.run(args)


def _pretrain(args: argparse.Namespace) -> None:
    """Learns word vectors."""
    import_module("keras", args.verbose)
    pretrain.run(args)


def command_line() -> NoReturn:
    """Runs a command and ends the process with its exit status."""
    leave(main())


if __name__ == "__main__":
    command_line()
