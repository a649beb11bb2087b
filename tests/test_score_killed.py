"""`score` killed at any moment: nothing half-written under a final name, and the next runs end as if nothing had been.

A process of its own is killed with SIGKILL at three random moments, between its plan and its end.
"""

import pathlib
import random
import shutil
import subprocess
import sys
import time

import pytest

from tests.scored_logs import write_model
from tests.turn_logs import row, write_jsonl

ROOT = pathlib.Path(__file__).resolve().parent.parent


def start(log, model, directory, *flags):
    """Starts a run of many small batches, which takes seconds to score; waits for its plan."""
    command = ["score", "--input", log, "--model_dir", model, "--output_dir", directory, "--batch_windows", "4", *flags]
    process = subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, command)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline().startswith("plan: ")
    return process


def contents(directory):
    """{name: bytes} of all files but config.json."""
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != "config.json")
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_killed_three_times(tmp_path):
    model = write_model(tmp_path / "model")
    rows = [row(f"c{n % 3000}", n // 3000, f"text {n}", labels=["long"] if n % 7 == 0 else None) for n in range(12_000)]
    rows += [row(f"c{n}", 0, "twice") for n in range(100)]
    log = write_jsonl(tmp_path / "log.jsonl", rows)
    whole = start(log, model, tmp_path / "whole")
    began = time.perf_counter()
    whole.communicate()
    seconds = time.perf_counter() - began
    assert whole.returncode == 0
    expected = contents(tmp_path / "whole")
    finished = []
    for _ in range(3):
        run = start(log, model, tmp_path / "out")
        time.sleep(random.uniform(0.1, 0.9) * seconds)  # noqa: S311
        run.kill()
        run.communicate()
        found = contents(tmp_path / "out")
        shards = {name for name in found if name.startswith("predictions-") and not name.endswith(".part")}
        assert all(found[name] == expected[name] for name in shards)
        finished.append(len(shards))
        if "COMPLETED" in found:  # it was done before the signal came
            shutil.rmtree(tmp_path / "out")
    last = start(log, model, tmp_path / "out")
    last.communicate()
    assert last.returncode == 0
    assert contents(tmp_path / "out") == expected, f"finished shards when killed: {finished}"
    assert not list((tmp_path / "out").glob(".*"))
