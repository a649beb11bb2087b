"""Which engine runs a job, and one line for what went wrong on it."""

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from pipeline import progress
from schemas.exit_status import TurnwiseError, UsageError

IN_PROCESS_RUNNER = "FnApiRunner"
TRACEBACK = "Traceback (most recent call last):"


def beam_options(flags: list[str]) -> PipelineOptions:
    """Beam's options; the runner is FnApiRunner unless the flags name another.

    Raises:
        UsageError: for flags that neither this command nor Beam knows.
    """
    options = PipelineOptions(flags)
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = IN_PROCESS_RUNNER
    if standard.runner == "DirectRunner":
        print(f"warning: DirectRunner may download another engine; {IN_PROCESS_RUNNER} does not", file=sys.stderr)
    known = options.get_all_options()
    unknown = [name for name in options.get_all_options(retain_unknown_options=True) if name not in known]
    if standard.runner != IN_PROCESS_RUNNER:
        if unknown:  # A runner has options of its own, which only it knows.
            print(f"warning: --{unknown[0]} is left to {standard.runner}; see --help for ours", file=sys.stderr)
        return options
    if unknown:
        raise UsageError(f"unknown flag --{unknown[0]}; see --help, and Beam's own for {IN_PROCESS_RUNNER}")
    mode = options.view_as(DirectOptions).direct_running_mode
    if mode == "multi_processing" and shlex.quote(sys.executable) != sys.executable:
        # Beam starts its workers by a shell command in which the path is not quoted, and waits for them for ever.
        raise UsageError(f"--direct_running_mode=multi_processing can't start {sys.executable!r}: it has a space")
    return options


def run_pipeline(options: PipelineOptions, build: Callable[[beam.Pipeline], None], stages: dict[str, int]) -> None:
    """Runs a job to its end.

    Args:
        options: Beam's.
        build: adds the job's steps to a pipeline.
        stages: {stage: how many items it works off}, for the progress.

    Raises:
        TurnwiseError: when a worker in another process has failed.
    """
    progress.start(stages)
    pipeline = beam.Pipeline(options=options)
    try:
        with _servers_stopped(pipeline.runner), pipeline:
            build(pipeline)
    except Exception as error:
        if TRACEBACK in str(error):
            raise TurnwiseError(last_error(str(error))) from error
        raise
    finally:
        progress.stop()


@contextlib.contextmanager
def _servers_stopped(runner: beam.runners.PipelineRunner) -> Iterator[None]:
    """Ends the job server that a runner starts for itself: Beam leaves it to the interpreter's exit, which we skip."""
    with contextlib.ExitStack() as servers:
        if isinstance(runner, PortableRunner):
            start = runner.default_job_server

            def noted(options: PipelineOptions):
                server = start(options)
                servers.callback(server.stop)
                return server

            runner.default_job_server = noted
        yield


def last_error(text: str) -> str:
    """The error in a text with a worker's traceback: runners hand on the traceback, with their own before and after."""
    lines = text.rpartition(TRACEBACK)[2].splitlines()
    # Whatever belongs to the traceback itself, Python's or Java's, is indented.
    return next((line for line in lines if line.strip() and not line[0].isspace()), text)
