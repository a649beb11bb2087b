"""run.json: what a run of `retrain` was given, what it did and what it came to."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from schemas.exit_status import UsageError
from trainer.whole_files import write_whole

SCHEMA_VERSION = 1
RUN = "run.json"

RUNNING, PROMOTED, REFUSED, DATA_REFUSED, NOTHING_NEW, FAILED = OUTCOMES = (
    "running", "promoted", "refused", "data_refused", "nothing_new", "failed")
# Outcomes of runs whose data were learnt from, whether or not the model went into service.
JUDGED = (PROMOTED, REFUSED)


@dataclasses.dataclass(frozen=True)
class InputFile:
    """One input file as it was at the start of the run.

    Attributes:
        path: absolute.
        size: bytes.
        modified: nanoseconds since 1970.
        date: the day, as YYYY-MM-DD, that its pattern found it for; None for a pattern without `{date}`.
    """

    path: str
    size: int
    modified: int
    date: str | None


@dataclasses.dataclass(frozen=True)
class StageRecord:
    """One stage.

    Attributes:
        name: of the stage.
        started: when it was last begun, RFC 3339 in UTC.
        seconds: that it took, the last time; None while it is under way, or when the run was killed in it.
        exit_status: of its command; None likewise.
        attempts: how often it was begun.
    """

    name: str
    started: str
    seconds: float | None = None
    exit_status: int | None = None
    attempts: int = 1


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run.

    Attributes:
        run_id: its name, and that of its directory.
        date: the day it is of, YYYY-MM-DD.
        started: when it was first begun, RFC 3339 in UTC.
        config: the configuration, without secrets.
        inputs: the files it learns from, fixed at the start.
        version: what its model is called in the serving directory, if it gets there.
        base_version: the version in service when the run began, whose model it starts from; None for none.
        base_run: the run which that version came from; None where that is not known.
        in_service: the version that the model is judged against and would replace; another than `base_version` only
            when that was replaced before an interrupted run went on.
        host: the machine's name.
        versions: {package: version}.
        ended: when it ended; None while it is under way, or when it was killed.
        outcome: one of `OUTCOMES`; `running` too for a run that was killed.
        exit_status: of the command; None while it is under way.
        reasons: why the outcome is what it is; empty for a model that was promoted.
        stages: in the order in which they were begun.
        metrics: {name: number} of the new model, on the test split if not named otherwise.
        drift: what drift.json holds; None where drift was not measured.
        schema_version: of this file.
    """

    run_id: str
    date: str
    started: str
    config: Mapping[str, Any]
    inputs: tuple[InputFile, ...]
    version: int
    base_version: int | None
    base_run: str | None
    in_service: int | None
    host: str
    versions: Mapping[str, str]
    ended: str | None = None
    outcome: str = RUNNING
    exit_status: int | None = None
    reasons: tuple[str, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    drift: Mapping[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def day(self) -> datetime.date:
        """The day it is of."""
        return datetime.date.fromisoformat(self.date)

    def stage(self, name: str) -> StageRecord | None:
        """What is known of a stage; None when it was never begun."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def with_stage(self, stage: StageRecord) -> "RunRecord":
        """The record with a stage's entry put in place of an older one, or at the end."""
        known = self.stage(stage.name) is not None
        stages = tuple(stage if old.name == stage.name else old for old in self.stages)
        return dataclasses.replace(self, stages=stages if known else (*stages, stage))

    def to_json(self) -> str:
        """The text of run.json."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Reads the text of run.json.

        Raises:
            UsageError: when it is none of this schema version.
        """
        try:
            values = json.loads(text)
            if values["schema_version"] != SCHEMA_VERSION:
                raise UsageError(f"it has schema version {values['schema_version']!r}; this program reads "
                                 f"{SCHEMA_VERSION}")
            values["inputs"] = tuple(InputFile(**item) for item in values["inputs"])
            values["stages"] = tuple(StageRecord(**item) for item in values["stages"])
            values["reasons"] = tuple(values["reasons"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"it is damaged: {error!r}") from error


def write_record(run_dir: pathlib.Path, record: RunRecord) -> None:
    """Writes run.json.

    Raises:
        TurnwiseError: when it can't be written.
    """
    write_whole(run_dir / RUN, record.to_json())


def read_record(run_dir: pathlib.Path) -> RunRecord | None:
    """The record of a run; None where there is none.

    Raises:
        UsageError: when it can't be read.
    """
    path = run_dir / RUN
    try:
        return RunRecord.from_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, UsageError) as error:
        raise UsageError(f"can't read {path}: {error}") from error


def read_runs(runs_dir: str | pathlib.Path) -> tuple[list[RunRecord], list[str]]:
    """All runs of a directory, in the order in which they were begun, and in words which could not be read.

    Raises:
        UsageError: when there is no such directory.
    """
    path = pathlib.Path(runs_dir)
    if not path.is_dir():
        raise UsageError(f"{runs_dir}: there is no such directory of runs")
    records, problems = [], []
    for run_dir in sorted(path.iterdir()):
        try:
            record = read_record(run_dir) if run_dir.is_dir() else None
        except UsageError as error:
            problems.append(str(error))
            continue
        if record:
            records.append(record)
    return sorted(records, key=lambda record: (record.started, record.run_id)), problems
