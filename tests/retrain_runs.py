"""Directories and configurations for tests of `trainer retrain`."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import yaml

from pipeline.__main__ import main as pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A second's training. Its models are poor ones, so that only great drops may refuse them.
TINY = {
    "inputs": {"patterns": ["logs/{date}/*.jsonl"], "window_days": 2},
    "runs_dir": "runs",
    "serving_dir": "serving",
    "prepare": {"min_token_count": 1, "split": "train:6,validation:2,test:2"},
    "train": {"settings": {"preset": "masked_lstm", "embedding_dim": 4, "units": 4, "epochs": 2,
                           "global_batch_size": 32}},
    "policy": {"allowed_drops": {"micro_f1": 0.5, "macro_f1": 0.5, "label_f1": None}},
}


def write_config(directory, **changes):
    """Writes retrain.yaml; gives its path."""
    path = pathlib.Path(directory) / "retrain.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}), "utf-8")
    return path


def write_logs(directory, day, conversations=40, seed=1):
    """Writes a day's logs; gives their directory."""
    path = pathlib.Path(directory) / "logs" / day
    arguments = ["synthesize", "--output_dir", path, "--conversations", conversations, "--seed", seed]
    assert pipeline(list(map(str, arguments))) == 0
    return path


def command(*arguments):
    """The command line of a command of the trainer."""
    return [sys.executable, "-m", "trainer", *map(str, arguments)]


def run(*arguments, **environment):
    """Runs a command of the trainer; gives its exit status, standard output and standard error."""
    done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def record_of(directory, run_id):
    """What run.json holds; nothing where there is none."""
    with contextlib.suppress(OSError):
        return json.loads((pathlib.Path(directory) / "runs" / run_id / "run.json").read_text("utf-8"))
    return {}


def stage_of(directory, run_id, name):
    """What run.json holds of a stage; None where it was not begun."""
    return next((stage for stage in record_of(directory, run_id).get("stages", []) if stage["name"] == name), None)


def wait_for(condition, process):
    """Waits until something is so, as long as the process lives; says whether it is."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
