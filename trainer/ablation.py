"""Trains what a grid lists, each training in a process of its own, and gathers the figures of the validation split."""

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.exit_status import LOCKED, DataRefused, TurnwiseError, UsageError
from schemas.visible_text import visible
from trainer.ablation_grid import Grid, Variant, as_arguments, directory_name, read_grid
from trainer.ablation_report import HTML, RunResult, write_results
from trainer.config import Config
from trainer.data_size import fitted
from trainer.input_pipeline import window_count
from trainer.training import differences, fingerprint_of

RUNS = "runs"
LOCK = "LOCK"
# What the last process that trained a run printed, beside the model.
LOG = "train.log"
SECONDS_BETWEEN_LOOKS = 0.1
# The line in which `train` says how fast it was.
_SPEED = re.compile(r"after \d+ epochs, (\d+) windows/s")


class Locked(TurnwiseError):
    """The directory is in use."""

    exit_status = LOCKED


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One training: of a variant on a data set with a seed.

    Attributes:
        data: name of the data set.
        data_dir: its data directory.
        manifest: of the data directory.
        variant: the settings.
        seed: of the training.
        model_dir: where the model goes.
    """

    data: str
    data_dir: str
    manifest: Manifest
    variant: Variant
    seed: int
    model_dir: pathlib.Path

    @property
    def settings(self) -> dict[str, object]:
        """All settings that differ from the default preset's."""
        return {**self.variant.settings, "seed": self.seed}

    @property
    def config(self) -> Config:
        """What they come to."""
        return dataclasses.replace(self.variant.config, seed=self.seed)

    def result(self, **figures) -> RunResult:
        """What came of it."""
        return RunResult(self.data, self.variant.name, self.seed, self.settings, str(self.model_dir), **figures)


def ablate(grid_file: str, output_dir: str, jobs: int = 1, verbose: bool = False) -> None:
    """Trains what is not trained yet, and writes ablation.json, .csv, .md and .html.

    Args:
        grid_file: see `ablation_grid`.
        output_dir: where the trainings and the results go.
        jobs: trainings at a time.
        verbose: whether the logs of the trainings hold TensorFlow's messages and tracebacks.

    Raises:
        UsageError: when the grid or a directory does not fit.
        DataRefused: when a data set has no windows to train on, or to compare by.
        TurnwiseError: when trainings failed.
    """
    grid = read_grid(grid_file)
    output = pathlib.Path(output_dir)
    runs = _runs(grid, output)
    results: dict[Run, RunResult] = {}
    with _locked(output) as lock:
        threads = max(1, len(os.sched_getaffinity(0)) // jobs)
        print(f"{len(runs)} runs: {len(grid.data)} data sets, {len(grid.variants)} variants, {len(grid.seeds)} seeds; "
              f"{jobs} at a time with {threads} threads each", flush=True)
        print(f"logs: {output / RUNS}/*/*/*/{LOG}", flush=True)
        for run in runs:
            kept = _kept(run)
            if kept:
                results[run] = kept
                _print_result(kept, len(results), len(runs), " (kept)")
        waiting = [run for run in runs if run not in results]
        with contextlib.closing(_train(waiting, jobs, lambda run: _start(run, threads, verbose, lock))) as trained:
            for run, error in trained:
                results[run] = run.result(error=error) if error else _figures(run)
                _print_result(results[run], len(results), len(runs))
                _write(results, runs, grid, output)
        _write(results, runs, grid, output)
    print(f"results: {output / HTML}")
    failed = sum(result.error is not None for result in results.values())
    if failed:
        raise TurnwiseError(f"{failed} of {len(runs)} runs failed; {output / HTML} and the lines above say why")


def _runs(grid: Grid, output: pathlib.Path) -> list[Run]:
    """All runs, seed after seed, so that an ablation that is under way has something to compare."""
    manifests = {name: _manifest(name, path) for name, path in grid.data.items()}
    return [Run(name, path, manifests[name], variant, seed,
                output / RUNS / directory_name(name) / directory_name(variant.name) / str(seed))
            for seed in grid.seeds for variant in grid.variants for name, path in grid.data.items()]


def _manifest(name: str, data_dir: str) -> Manifest:
    """The manifest of a data set that can be trained on and compared by."""
    try:
        manifest = data_directory.read_manifest(data_dir)
    except UsageError as error:
        raise UsageError(f"data.{name}: {error}") from error
    for split in ("train", "validation"):
        if not window_count(manifest, split):
            raise DataRefused(f"data.{name}: {data_dir} has no windows in its {split} split")
    return manifest


@contextlib.contextmanager
def _locked(output: pathlib.Path) -> Iterator[int]:
    """Makes the directory and locks it, giving the lock's file descriptor.

    The lock holds as long as a process has the descriptor: a training that has outlived its ablation, too.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        file = open(output / LOCK, "a")
    except OSError as error:
        raise UsageError(f"can't make --output_dir {output}: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(f"{output} is in use by another ablation, or by a training that one left behind: wait "
                         "until it ends, or end it") from error
        yield file.fileno()


def _kept(run: Run) -> RunResult | None:
    """What an earlier ablation has left of the run; None when there is something to train."""
    finished = (run.model_dir / model_directory.COMPLETED).exists()
    if not finished and not (run.model_dir / model_directory.BACKUP).exists():
        return None
    try:
        old = model_directory.read_config(run.model_dir)
        config = fitted(run.config, window_count(run.manifest, "train"))
        new = fingerprint_of(pathlib.Path(run.data_dir), run.manifest, config)
    except UsageError as error:
        return run.result(error=str(error))
    changes = differences(old, new)
    if changes:
        return run.result(error=f"was trained with other settings ({'; '.join(changes)}): remove {run.model_dir} to "
                          "train it anew, or give another --output_dir")
    return _figures(run) if finished else None


def _train(
    waiting: Sequence[Run], jobs: int, start: Callable[[Run], subprocess.Popen]
) -> Iterator[tuple[Run, str | None]]:
    """Trains so many at a time; gives each run when it has ended, and why it failed, if so.

    Trainings that are under way when the iterator is closed are ended.
    """
    waiting, running = list(waiting), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                running[run] = start(run)
            ended = [run for run, process in running.items() if process.poll() is not None]
            for run in ended:
                status = running.pop(run).returncode
                yield run, _reason(run, status) if status else None
            if not ended:
                time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(run: Run, threads: int, verbose: bool, lock: int) -> subprocess.Popen:
    """Starts a training; it goes on where an earlier one has stopped."""
    command = [sys.executable, "-m", "trainer", "train", f"--data_dir={run.data_dir}", f"--model_dir={run.model_dir}",
               *(f"--set={setting}" for setting in as_arguments(run.settings)), *["--verbose"] * verbose]
    environment = {
        **os.environ,
        **dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(threads)),
        # Else the first training on a GPU would take all of its memory.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    run.model_dir.mkdir(parents=True, exist_ok=True)
    with open(run.model_dir / LOG, "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                env=environment, pass_fds=(lock,))


def _reason(run: Run, status: int) -> str:
    """Why a training failed."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    errors = [line for line in _log(run).splitlines() if line.startswith("error: ")]
    return errors[-1].removeprefix("error: ") if errors else f"ended with status {status}; see {run.model_dir / LOG}"


def _log(run: Run) -> str:
    """What the last process that trained the run printed."""
    try:
        return (run.model_dir / LOG).read_text("utf-8", "replace")
    except OSError:
        return ""


def _figures(run: Run) -> RunResult:
    """The figures of a finished run's best epoch."""
    path = run.model_dir / model_directory.HISTORY
    try:
        progress = json.loads(path.read_text("utf-8"))
        epochs, best_epoch = progress["epoch"], progress["best_epoch"]
        best = {name: _finite(progress["history"][name][best_epoch - 1])
                for name in ("val_micro_f1", "val_macro_f1", "val_loss")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        return run.result(error=f"can't read {path}: {error!r}")
    # The speed is that of the last part, if the training was interrupted, and 0 where that had no epoch to train.
    printed = _SPEED.search(_log(run))
    speed = int(printed[1]) or None if printed else None
    seconds = epochs * window_count(run.manifest, "train") / speed if speed else None
    return run.result(**best, epochs=epochs, best_epoch=best_epoch, seconds=seconds, windows_per_second=speed)


def _finite(value: float) -> float | None:
    """The number, or None for what JSON has no word for."""
    return value if math.isfinite(value) else None


def _print_result(result: RunResult, number: int, count: int, remark: str = "") -> None:
    """Prints the line of a run that has ended or is kept."""
    if result.error:
        outcome = f"failed: {result.error}"
    else:
        outcome = f"val micro-F1 {result.val_micro_f1:.4f}" if result.val_micro_f1 is not None else "no val micro-F1"
        outcome += f" in {result.seconds:.0f} s" if result.seconds is not None else ""
    run = f"{result.data}, {result.variant}, seed {result.seed}"
    print(visible(f"run {number} of {count}: {run}: {outcome}{remark}"), flush=True)


def _write(results: Mapping[Run, RunResult], runs: Sequence[Run], grid: Grid, output: pathlib.Path) -> None:
    """Writes the results that there are, in the order of the runs."""
    write_results([results[run] for run in runs if run in results], grid, output)
