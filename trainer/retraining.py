"""One run of `retrain`: begun or gone on with, stage by stage, to its outcome."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import pathlib
import platform
import shutil
import time
from collections.abc import Callable

from schemas import data_directory
from schemas.exit_status import DATA_REFUSED, DONE, INTERRUPTED, MODEL_REFUSED, USAGE, TurnwiseError, UsageError
from schemas.visible_text import visible
from trainer import run_record, serving
from trainer.notices import notice_of, notify
from trainer.retention import drop_old
from trainer.retrain_config import RetrainConfig
from trainer.retrain_stages import (
    BLESS,
    BLESSING,
    BLESSING_ON_BASE,
    LOG,
    POLICY,
    STAGES,
    THRESHOLDS,
    Job,
    Stage,
    is_done,
    read_json,
)
from trainer.run_inputs import changed, days_of, list_files, new_files, thin_days
from trainer.run_lock import exclusive
from trainer.run_record import RunRecord, StageRecord, read_record, read_runs, write_record
from trainer.stage_process import Ended, run_logged
from trainer.whole_files import write_whole

PACKAGES = ("apache-beam", "keras", "numpy", "pyarrow", "tensorflow", "tensorflow-transform", "tfx-bsl", "turnwise")
# What of the configuration decides which model comes out; a run that is gone on with must have the same.
LEARNING = ("inputs", "prepare", "train", "drift", "policy", "score")
STATUSES = {run_record.PROMOTED: DONE, run_record.NOTHING_NEW: DONE, run_record.REFUSED: MODEL_REFUSED,
            run_record.DATA_REFUSED: DATA_REFUSED}


class RunFailed(TurnwiseError):
    """A run that did not come to a promoted model."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


def retrain(config: RetrainConfig, date: datetime.date | None = None, run_id: str | None = None, *,
            overwrite: bool = False, verbose: bool = False) -> RunRecord:
    """Makes a run, or goes on with it where it was cut short; a run that has ended is not made again.

    Args:
        config: retrain.yaml.
        date: the day of the run; None for that of the run if it was begun before, else today.
        run_id: its name; None for its date.
        overwrite: begin anew what there is of the run.
        verbose: whether its log holds the libraries' messages and tracebacks.

    Returns:
        The record of a run that promoted a model or found nothing new to learn from.

    Raises:
        Locked: when another run is under way in the same directory.
        RunFailed: when the data or the model are refused or a stage fails, with the run's exit status.
        UsageError: when the run was begun with another configuration.
        TurnwiseError: when files can't be written.
    """
    run_id = run_id or (date or datetime.date.today()).isoformat()
    with exclusive(config.runs_dir, run_id):
        job = _begin(config, date, run_id, overwrite, verbose)
        if job.record.outcome == run_record.RUNNING:
            job = _made(job)
        else:
            print(f"run {run_id} has ended before: {job.record.outcome}; --overwrite makes it anew", flush=True)
    return _ended_well(job)


def _begin(config: RetrainConfig, date: datetime.date | None, run_id: str, overwrite: bool, verbose: bool) -> Job:
    """The run as it is when its stages begin, or as it has ended."""
    run_dir = pathlib.Path(config.runs_dir) / run_id
    old = read_record(run_dir)
    fresh = _fresh(config, date or (old.day if old else datetime.date.today()), run_id)
    if old is None or overwrite or _begins_anew(old, fresh):
        record = fresh
        if run_dir.exists():
            _clear(run_dir, config)
    else:
        _require_same(old, fresh)
        record = old if old.outcome in STATUSES else _gone_on_with(old, config)
    job = Job(config, record, run_dir, verbose)
    if record is old:
        return job
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TurnwiseError(f"can't make {run_dir}: {error.strerror}") from error
    _save(job)
    write_whole(run_dir / POLICY, json.dumps(config.policy))
    write_whole(run_dir / THRESHOLDS, json.dumps(config.drift))
    return job


def _fresh(config: RetrainConfig, date: datetime.date, run_id: str) -> RunRecord:
    """The record of a run that is about to begin."""
    inputs = config.inputs
    files = list_files(inputs.patterns, days_of(date, inputs.window_days, inputs.lag_days))
    base = serving.current(config.serving_dir)
    origin = serving.provenance(config.serving_dir, base) if base is not None else None
    return RunRecord(
        run_id=run_id, date=date.isoformat(), started=_now(), config=config.record(), inputs=files,
        version=serving.next_version(config.serving_dir, datetime.datetime.now(datetime.UTC)),
        base_version=base, base_run=origin.run_id if origin else None, in_service=base, host=platform.node(),
        versions=_versions())


def _begins_anew(old: RunRecord, fresh: RunRecord) -> bool:
    """Whether what came to nothing for want of good data has got other data."""
    return old.outcome in (run_record.DATA_REFUSED, run_record.NOTHING_NEW) and old.inputs != fresh.inputs


def _require_same(old: RunRecord, fresh: RunRecord) -> None:
    """Raises a UsageError when a run was begun with other settings, or for another day."""
    # As JSON has them: tuples are lists there.
    known, wanted = (json.loads(json.dumps(record.config)) for record in (old, fresh))
    changes = [key for key in LEARNING if known.get(key) != wanted.get(key)]
    if old.date != fresh.date:
        changes.append("date")
    if changes:
        raise UsageError(f"run {old.run_id} was begun with another {' and '.join(changes)}; give another --run_id, or "
                         "--overwrite to make it anew")


def _gone_on_with(old: RunRecord, config: RetrainConfig) -> RunRecord:
    """The record of a run that was cut short, or failed, as it goes on."""
    in_service = serving.current(config.serving_dir)
    if in_service == old.version:
        in_service = old.in_service
    return dataclasses.replace(old, outcome=run_record.RUNNING, ended=None, exit_status=None, reasons=(),
                               in_service=in_service)


def _clear(run_dir: pathlib.Path, config: RetrainConfig) -> None:
    """Removes a run that is to be made anew.

    Raises:
        UsageError: when its model is in service: the next run will start from it.
    """
    version = serving.current(config.serving_dir)
    origin = serving.provenance(config.serving_dir, version) if version is not None else None
    if origin and origin.run_id == run_dir.name:
        raise UsageError(f"the model of run {run_dir.name} is in service; give another --run_id")
    shutil.rmtree(run_dir)


def _made(job: Job) -> Job:
    """Makes a run to its end, whatever that is, and tells of it."""
    try:
        job = _through_stages(job)
    except KeyboardInterrupt:
        _closed(_concluded(_as_written(job), run_record.FAILED, ["interrupted"], INTERRUPTED))
        raise
    except TurnwiseError as error:
        job = _concluded(_as_written(job), run_record.FAILED, [str(error)], error.exit_status)
    return _closed(job)


def _as_written(job: Job) -> Job:
    """The run as run.json has it."""
    return dataclasses.replace(job, record=read_record(job.run_dir) or job.record)


def _through_stages(job: Job) -> Job:
    """The run with its outcome."""
    runs, problems = read_runs(job.config.runs_dir)
    for problem in problems:
        _say(job, f"warning: {problem}")
    earlier = [run for run in runs if run.outcome in run_record.JUDGED and run.run_id != job.record.run_id]
    new = new_files(job.record.inputs, (file for run in earlier for file in run.inputs))
    if not new and not _learns_otherwise(job.record, earlier):
        return _concluded(job, run_record.NOTHING_NEW, [_nothing_new(job)])
    thin = thin_days(job.record.inputs, new, earlier, job.config.inputs.min_volume)
    if thin:
        return _concluded(job, run_record.DATA_REFUSED, thin)
    _say(job, f"{len(job.record.inputs)} input files, {len(new)} of them new; in service: "
              f"{job.record.in_service or 'nothing'}; starts from: {job.base_model or 'nothing'}")
    for stage in STAGES:
        if is_done(stage, job):
            _say(job, f"{stage.name}: done before")
        else:
            job = _through_stage(stage, job)
        if job.record.outcome != run_record.RUNNING:
            return job
    return _concluded(job, run_record.PROMOTED, [])


def _learns_otherwise(record: RunRecord, earlier: list[RunRecord]) -> bool:
    """Whether the same files would now be learnt from in another way."""
    if not earlier or not record.inputs:
        return False
    known, wanted = (json.loads(json.dumps(run.config)) for run in (earlier[-1], record))
    return any(known.get(key) != wanted.get(key) for key in ("prepare", "train", "policy"))


def _nothing_new(job: Job) -> str:
    found = len(job.record.inputs)
    if not found:
        return f"nothing new to learn from: no file matches {', '.join(job.config.inputs.patterns)}"
    return f"nothing new to learn from: the {found} files of the window are empty or were learnt from before"


def _through_stage(stage: Stage, job: Job) -> Job:
    """The run with one more stage; with an outcome when that did not end well."""
    command = stage.command(job)
    if command is None:
        return job
    if stage is STAGES[0]:
        _require_unchanged(job)
    old = job.record.stage(stage.name)
    begun = StageRecord(stage.name, _now(), attempts=old.attempts + 1 if old else 1)
    job = _save(dataclasses.replace(job, record=job.record.with_stage(begun)))
    started = time.monotonic()
    ended = run_logged([*command, *["--verbose"] * job.verbose], job.run_dir / LOG)
    seconds = round(time.monotonic() - started, 1)
    done = dataclasses.replace(begun, seconds=seconds, exit_status=ended.exit_status)
    job = dataclasses.replace(job, record=_with_findings(job.record.with_stage(done), job))
    if ended.exit_status:
        _say(job, f"{stage.name}: {seconds} s, status {ended.exit_status}")
        return _stopped(stage, job, ended)
    if stage is STAGES[0] and changed(job.record.inputs):
        # It may hold anything between the old and the new.
        (job.data / data_directory.COMPLETED).unlink()
        _require_unchanged(job)
    _say(job, f"{stage.name}: {seconds} s")
    return _save(job)


def _require_unchanged(job: Job) -> None:
    """Raises a TurnwiseError when an input is no longer as it was at the start of the run."""
    others = changed(job.record.inputs)
    if others:
        raise TurnwiseError(visible(f"{len(others)} inputs have changed since the run began, first {others[0]}; "
                                    "--overwrite makes the run anew"))


def _with_findings(record: RunRecord, job: Job) -> RunRecord:
    """The record with what the stages have found out so far."""
    report, history = read_json(job.evaluation / "report.json"), read_json(job.model / "history.json")
    metrics: dict[str, float | None] = {}
    if history:
        losses = history.get("history", {}).get("val_loss") or [None]
        best = min(history.get("best_epoch", 0), len(losses)) - 1
        metrics |= {"epochs": history.get("epoch"), "val_loss": losses[best]}
    if report:
        metrics |= {"windows": report["windows"], "micro_f1": report["micro"]["f1"], "macro_f1": report["macro"]["f1"],
                    "exact_match": report["exact_match"], "calibration_error": report["calibration_error"]}
    return dataclasses.replace(record, metrics=metrics, drift=read_json(job.drift / "drift.json") or None)


def _stopped(stage: Stage, job: Job, ended: Ended) -> Job:
    """The run with the outcome that a stage's exit status stands for."""
    if ended.exit_status == DATA_REFUSED:
        return _concluded(job, run_record.DATA_REFUSED, [f"{stage.name}: {ended.reason}"])
    if ended.exit_status == MODEL_REFUSED:
        verdict = read_json(job.run_dir / (BLESSING if stage.name == BLESS else BLESSING_ON_BASE))
        return _concluded(job, run_record.REFUSED, [f"{stage.name}: {text}" for text in verdict.get("reasons", [])])
    wrong_usage = ended.exit_status == USAGE and not ended.disk_full
    failed = USAGE if wrong_usage else TurnwiseError.exit_status
    return _concluded(job, run_record.FAILED, [f"{stage.name}: {ended.reason}"], failed)


def _concluded(job: Job, outcome: str, reasons: list[str], exit_status: int | None = None) -> Job:
    """The run with an outcome."""
    status = STATUSES[outcome] if exit_status is None else exit_status
    return dataclasses.replace(job, record=dataclasses.replace(
        job.record, outcome=outcome, exit_status=status, ended=_now(), reasons=tuple(map(visible, reasons))))


def _closed(job: Job) -> Job:
    """Writes what became of a run, drops what is no longer kept, and tells people; only the first must succeed."""
    try:
        _save(job)
    except TurnwiseError as error:  # Such as a full disk: what is told of the run is then all there is of it.
        status = job.record.exit_status or error.exit_status
        job = _concluded(job, run_record.FAILED, [*job.record.reasons, str(error)], status)
    chores: tuple[Callable[[], list[str]], ...] = (
        lambda: drop_old(job.config) or [],
        lambda: _write_index(job.config.runs_dir) or [],
        lambda: notify(job.config.notify, notice_of(job.record, str(job.run_dir))),
    )
    for chore in chores:
        try:
            problems = chore()
        except Exception as error:  # The run has its outcome, which no chore may change.
            problems = [f"{type(error).__name__}: {error}"]
        for problem in problems:
            _say(job, f"warning: {problem}")
    return job


def _write_index(runs_dir: str) -> None:
    """Writes the page of all runs."""
    # It imports what draws its plots.
    from trainer.runs_page import write_index

    write_index(runs_dir)


def _ended_well(job: Job) -> RunRecord:
    """The record of a run that has ended well."""
    record = job.record
    said = f"run {record.run_id}: {record.outcome}"
    if record.exit_status:
        reasons = "; ".join(record.reasons) or "no reason is recorded"
        raise RunFailed(f"{said}: {reasons} (log: {job.run_dir / LOG})", record.exit_status)
    print(f"{said}: {record.version}" if record.outcome == run_record.PROMOTED else f"{said}: {record.reasons[0]}")
    return record


def _save(job: Job) -> Job:
    """Writes run.json."""
    write_record(job.run_dir, job.record)
    return job


def _say(job: Job, line: str) -> None:
    """Prints a line and appends it to the log."""
    # Whoever read the output may have left, and the disk may be full: the run goes on.
    with contextlib.suppress(OSError):
        print(f"{job.record.run_id} {line}", flush=True)
    with contextlib.suppress(OSError), open(job.run_dir / LOG, "a", encoding="utf-8") as file:
        file.write(f"{_now()} {line}\n")


def _now() -> str:
    """The time, RFC 3339 in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _versions() -> dict[str, str]:
    """What the run is made with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
