"""The stages of a run: the command of each, and how to know that it is complete."""

import dataclasses
import glob
import json
import pathlib
from collections.abc import Callable
from typing import Any

from schemas import data_directory, model_directory, predictions_directory
from trainer import serving
from trainer.retrain_config import RetrainConfig, as_flags
from trainer.run_inputs import days_of, list_files
from trainer.run_record import RunRecord

PREPARE, DRIFT, TRAIN, EVALUATE = "prepare", "drift", "train", "evaluate"
BLESS, BLESS_ON_BASE, PROMOTE, SCORE = "bless", "bless_on_base", "promote", "score"

LOG = "log"
POLICY, THRESHOLDS = "policy.json", "drift_thresholds.json"
BLESSING, BLESSING_ON_BASE = "blessing.json", "blessing_on_base.json"
# What a run takes up much room with.
HEAVY = ("data", "model", "predictions")
# Settings of `prepare` that two data directories must share for a model of one to be judged on the other.
COMPARABLE = ("history", "history_turns", "numeric_features", "label_map")


@dataclasses.dataclass(frozen=True)
class Job:
    """A run as its stages see it.

    Attributes:
        config: retrain.yaml.
        record: run.json so far.
        run_dir: the run's directory.
        verbose: whether the log holds the libraries' messages and tracebacks.
    """

    config: RetrainConfig
    record: RunRecord
    run_dir: pathlib.Path
    verbose: bool = False

    @property
    def data(self) -> pathlib.Path:
        """The data directory."""
        return self.run_dir / "data"

    @property
    def model(self) -> pathlib.Path:
        """The model directory."""
        return self.run_dir / "model"

    @property
    def evaluation(self) -> pathlib.Path:
        """The directory of the report."""
        return self.run_dir / "evaluation"

    @property
    def drift(self) -> pathlib.Path:
        """The directory of what is said on drift."""
        return self.run_dir / "drift"

    @property
    def predictions(self) -> pathlib.Path:
        """The predictions directory."""
        return self.run_dir / "predictions"

    @property
    def base_data(self) -> pathlib.Path | None:
        """The data directory of the model that the run starts from; None where it is not there any more."""
        return self._of_base_run("data", data_directory.COMPLETED)

    @property
    def base_model(self) -> pathlib.Path | None:
        """The model directory that the run starts from; None where it is not there any more."""
        return self._of_base_run("model", model_directory.COMPLETED)

    @property
    def baseline(self) -> pathlib.Path | None:
        """The version that the new model is judged against."""
        return None if self.record.in_service is None else self.version_dir(self.record.in_service)

    def version_dir(self, version: int) -> pathlib.Path:
        """The directory of a version."""
        return pathlib.Path(self.config.serving_dir) / str(version)

    def _of_base_run(self, name: str, mark: str) -> pathlib.Path | None:
        if self.record.base_run is None:
            return None
        path = pathlib.Path(self.config.runs_dir) / self.record.base_run / name
        return path if (path / mark).is_file() else None


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of the stage.
        command: arguments for Python; None when there is nothing to do.
        completed: whether what it makes is there and whole.
        evident: whether `completed` alone says that the command ended well; else its recorded status must, too.
    """

    name: str
    command: Callable[[Job], list[str] | None]
    completed: Callable[[Job], bool]
    evident: bool = True


def is_done(stage: Stage, job: Job) -> bool:
    """Whether a stage need not be begun again."""
    recorded = job.record.stage(stage.name)
    return stage.completed(job) and (stage.evident or recorded is not None and recorded.exit_status == 0)


def _prepare(job: Job) -> list[str]:
    # What stands for other characters in a pattern may be part of a file's name.
    files = [glob.escape(file.path) for file in job.record.inputs]
    keep = [f"--keep_splits_of={job.base_data}"] if job.base_data else []
    return ["-m", "pipeline", PREPARE, "--input", *files, f"--output_dir={job.data}", *as_flags(job.config.prepare),
            *keep]


def _drift(job: Job) -> list[str] | None:
    if not job.base_data:
        return None
    return ["-m", "trainer", DRIFT, f"--data_dir={job.data}", f"--reference={job.base_data}",
            f"--thresholds={job.run_dir / THRESHOLDS}", f"--output_dir={job.drift}",
            f"--model_dir={job.version_dir(job.record.base_version)}"]


def _train(job: Job) -> list[str]:
    settings = job.config.train
    warm = [f"--warm_start={job.base_model}"] if settings.warm_start and job.base_model else []
    return ["-m", "trainer", TRAIN, f"--data_dir={job.data}", f"--model_dir={job.model}",
            *as_flags({"preset": settings.preset, "config": settings.config}),
            *(f"--set={key}={json.dumps(value)}" for key, value in settings.settings.items()), *warm]


def _evaluate(job: Job) -> list[str]:
    return ["-m", "trainer", EVALUATE, f"--model_dir={job.model}", f"--data_dir={job.data}",
            f"--output_dir={job.evaluation}"]


def _bless(job: Job) -> list[str]:
    return _bless_on(job, job.data, BLESSING)


def _bless_on_base(job: Job) -> list[str] | None:
    """What the model says of conversations that the baseline was tested on: new labels may be wrong, all of them."""
    if job.baseline is None or job.base_data is None or _comparable(job.base_data) != _comparable(job.data):
        return None
    return _bless_on(job, job.base_data, BLESSING_ON_BASE)


def _comparable(data: pathlib.Path) -> dict[str, Any]:
    settings = json.loads((data / data_directory.CONFIG).read_text("utf-8"))
    return {name: settings.get(name) for name in COMPARABLE}


def _bless_on(job: Job, data: pathlib.Path, output: str) -> list[str]:
    baseline = [f"--baseline={job.baseline}"] if job.baseline else []
    return ["-m", "trainer", BLESS, f"--candidate={job.model}", f"--data_dir={data}",
            f"--policy={job.run_dir / POLICY}", f"--output={job.run_dir / output}", *baseline]


def _blessed(job: Job, name: str) -> bool:
    """Whether there is a blessing, and against the version in service."""
    verdict = read_json(job.run_dir / name)
    baseline = (verdict.get("baseline") or {}).get("path")
    return verdict.get("blessed") is True and baseline == (str(job.baseline) if job.baseline else None)


def _promote(job: Job) -> list[str]:
    replaces = "none" if job.record.in_service is None else str(job.record.in_service)
    return ["-m", "trainer", PROMOTE, f"--model_dir={job.model}", f"--serving_dir={job.config.serving_dir}",
            f"--version={job.record.version}", f"--replaces={replaces}", f"--run_id={job.record.run_id}"]


def _promoted(job: Job) -> bool:
    return serving.current(job.config.serving_dir) == job.record.version


def _score(job: Job) -> list[str] | None:
    scoring = job.config.score
    if scoring is None:
        return None
    inputs = job.config.inputs
    files = list_files(scoring.patterns, days_of(job.record.day, inputs.window_days, inputs.lag_days))
    if not files:
        return None
    return ["-m", "pipeline", SCORE, "--input", *(glob.escape(file.path) for file in files),
            f"--model_dir={job.version_dir(job.record.version)}", f"--output_dir={job.predictions}",
            *as_flags(scoring.flags)]


STAGES = (
    Stage(PREPARE, _prepare, lambda job: (job.data / data_directory.COMPLETED).is_file()),
    Stage(DRIFT, _drift, lambda job: (job.drift / "drift.json").is_file(), evident=False),
    Stage(TRAIN, _train, lambda job: (job.model / model_directory.COMPLETED).is_file()),
    Stage(EVALUATE, _evaluate, lambda job: (job.evaluation / "report.json").is_file(), evident=False),
    Stage(BLESS, _bless, lambda job: _blessed(job, BLESSING)),
    Stage(BLESS_ON_BASE, _bless_on_base, lambda job: _blessed(job, BLESSING_ON_BASE)),
    Stage(PROMOTE, _promote, _promoted),
    Stage(SCORE, _score, lambda job: (job.predictions / predictions_directory.COMPLETED).is_file()),
)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is missing or damaged."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
