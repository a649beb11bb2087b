"""`trainer rollback`: puts an earlier version back into service."""

import argparse

from schemas.exit_status import TurnwiseError, UsageError
from trainer.flags import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer rollback`."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--config", metavar="FILE", help="retrain.yaml")
    place.add_argument("--serving_dir", help="where the models in service are, instead")
    parser.add_argument("--to", type=whole_number(1), metavar="VERSION", help="default: the one before the one in "
                                                                             "service")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Moves the link; no version is deleted.

    Args:
        args: with `config` or `serving_dir`, and `to`.

    Raises:
        UsageError: when there is no such version, or none before the one in service.
        TurnwiseError: when the link can't be moved.
    """
    from trainer import serving
    from trainer.retrain_config import read_retrain_config

    place = args.serving_dir or read_retrain_config(args.config).serving_dir
    with serving.serving_lock(place):
        current, there = serving.current(place), serving.versions(place)
        earlier = [version for version in there if current is not None and version < current]
        if args.to is None and not earlier:
            raise UsageError(f"{place} has no version before the one in service, {current or 'none'}; there are "
                             f"{', '.join(map(str, there)) or 'none'}")
        version = earlier[-1] if args.to is None else args.to
        try:
            serving.set_current(place, version)
        except OSError as error:
            raise TurnwiseError(f"can't put {version} of {place} into service: {error.strerror}") from error
    print(f"in service: {version}, before: {current or 'none'}")
