"""What is kept of old runs and versions."""

import pathlib
import shutil

from trainer import serving
from trainer.retrain_config import RetrainConfig
from trainer.retrain_stages import HEAVY
from trainer.run_record import read_runs

REMOVED = ".removed-"


def drop_old(config: RetrainConfig) -> None:
    """Deletes old versions, and data and models of old runs; never of the run that a kept version came from."""
    if pathlib.Path(config.serving_dir).is_dir():
        with serving.serving_lock(config.serving_dir):
            serving.retire(config.serving_dir, config.keep)
    origins = (serving.provenance(config.serving_dir, version) for version in serving.versions(config.serving_dir))
    kept = {origin.run_id for origin in origins if origin}
    runs, _ = read_runs(config.runs_dir)
    heavy = [run_dir for run_dir in (pathlib.Path(config.runs_dir) / run.run_id for run in runs) if _heavy(run_dir)]
    for run_dir in heavy[:-config.keep]:
        if run_dir.name not in kept:
            _lighten(run_dir)


def _heavy(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """What of a run takes up much room, and what is left of such things."""
    return [path for name in HEAVY for path in (run_dir / name, run_dir / f"{REMOVED}{name}") if path.exists()]


def _lighten(run_dir: pathlib.Path) -> None:
    """Deletes what takes up much room."""
    for path in _heavy(run_dir):
        if not path.name.startswith(REMOVED):
            # Under its own name it would pass for whole when this is cut short.
            aside = path.with_name(f"{REMOVED}{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path = path.rename(aside)
        if path.exists():
            shutil.rmtree(path)
