"""`trainer bless`: says of a new model whether it may take the place of the one in use, and why not."""

import argparse
import dataclasses
import pathlib

from schemas import data_directory
from schemas.exit_status import MODEL_REFUSED, TurnwiseError, UsageError
from schemas.quiet_import import import_module
from schemas.visible_text import visible

BLESSING = "blessing.json"
# What stands in the file until the verdict is there, should the candidate bring the whole process down.
UNFINISHED = "the verdict did not come to its end"


class ModelRefused(TurnwiseError):
    """The candidate is not blessed."""

    exit_status = MODEL_REFUSED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer bless`."""
    parser.add_argument("--candidate", required=True, metavar="DIR", help="the new model: a model directory or a "
                                                                         "SavedModel")
    parser.add_argument("--baseline", metavar="DIR", help="the model in use, likewise, which is scored again on the "
                        "same windows; without it only the policy's floors are judged")
    parser.add_argument("--data_dir", required=True, help="a data directory that `pipeline prepare` wrote")
    parser.add_argument("--policy", required=True, metavar="FILE", help="YAML file with floors and allowed drops; an "
                                                                       "empty one is the default policy")
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--output", required=True, metavar="FILE", help=f"where the verdict goes, e.g. {BLESSING}")
    parser.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Judges, writes the verdict and prints it.

    Args:
        args: with `candidate`, `baseline`, `data_dir`, `policy`, `split`, `output` and `verbose`.

    Raises:
        UsageError: when the policy is wrong, or a directory is missing.
        DataRefused: when the split is empty, without labels, or a shard is damaged.
        ModelRefused: when the candidate is not blessed, with the reasons.
    """
    from trainer.blessing_policy import read_policy

    output = pathlib.Path(args.output)
    if output.is_dir():
        raise UsageError(f"--output {output}: expected a file, but this is a directory")
    # First of all, lest the verdict on an earlier candidate pass for this one's.
    output.unlink(missing_ok=True)
    policy = read_policy(args.policy)
    for flag, path in (("--candidate", args.candidate), ("--baseline", args.baseline)):
        if path is not None and not pathlib.Path(path).is_dir():
            raise UsageError(f"{flag} {path}: there is no such directory")
    data_directory.read_manifest(args.data_dir)
    import_module("keras", args.verbose)
    from trainer.pages import json_text, write_files
    from trainer.verdict import Subject, Verdict, describe, judge

    def write(verdict: Verdict) -> None:
        write_files(output.parent, {output.name: json_text({**dataclasses.asdict(verdict), **described})})

    subject = Subject(args.candidate, args.baseline, args.data_dir, args.split)
    described = describe(subject, policy)
    write(Verdict(False, [UNFINISHED], []))
    verdict = judge(subject, policy)
    write(verdict)
    _print(verdict.checks)
    print(f"verdict: {output}")
    if not verdict.blessed:
        raise ModelRefused(visible(f"{args.candidate} is refused: {'; '.join(verdict.reasons)}"))
    print("blessed")


def _print(checks: list) -> None:
    """The checks as a table; what did not pass says why."""
    outcomes = {True: "passed", False: "FAILED", None: "not judged"}
    print(f"{'':<10}  {'value':>9}  {'limit':>9}  check")
    for check in checks:
        value, limit = ("" if number is None else f"{number:.4g}" for number in (check.value, check.limit))
        why = "" if check.passed else f": {check.detail}"
        print(visible(f"{outcomes[check.passed]:<10}  {value:>9}  {limit:>9}  {check.name}{why}"))
