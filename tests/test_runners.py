"""Whatever the runner: the same bytes, and what a failed job says."""

import gzip
import socket

import pytest

from pipeline import worker
from pipeline.__main__ import main
from pipeline.runners import beam_options, last_error
from schemas.data_directory import sha256_of
from tests.runners import flink, flink_with_processes, prism, run_job, worker_pool
from tests.scored_logs import write_model
from tests.turn_logs import dialogues, write_csv, write_jsonl, write_parquet

JOBS = ("prepare", "score")
RUNNERS = {"worker_pool": worker_pool, "prism": prism, "flink": flink, "flink_with_processes": flink_with_processes}
# TensorFlow writes a graph in another order each time, on one runner too.
VARYING = {"saved_model.pb", "fingerprint.pb"}


def contents(directory):
    """{file of a job's output: its hash}."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in VARYING]
    return {str(path.relative_to(directory)): sha256_of(path) for path in files}


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """{job: its flags}: a log of several files with rows to reject and duplicates to choose from."""
    log = tmp_path_factory.mktemp("log")
    rows = dialogues(60)
    write_jsonl(log / "1.jsonl.gz", [*rows[:150], b"{broken", *rows[:20]], gzip.open)
    write_csv(log / "2.csv", rows[140:260])
    write_parquet(log / "3.parquet", rows[260:], row_group_size=30)
    reading = ("--input", log / "?.*", "--max_bad_fraction", "0.1")
    return {
        "prepare": (*reading, "--min_token_count", "1", "--split", "train:6,validation:2,test:2"),
        "score": (*reading, "--model_dir", write_model(tmp_path_factory.mktemp("model") / "model")),
    }


@pytest.fixture(scope="module")
def in_process(flags, tmp_path_factory):
    """{job: the contents that FnApiRunner gives}."""
    path = tmp_path_factory.mktemp("in_process")
    for job in JOBS:
        assert main([job, *map(str, flags[job]), "--output_dir", str(path / job)]) == 0
    return {job: contents(path / job) for job in JOBS}


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("job", JOBS)
def test_every_runner_gives_the_same_bytes(job, runner, flags, in_process, tmp_path):
    with RUNNERS[runner]() as runner_flags:
        run_job(job, *flags[job], "--output_dir", tmp_path / "out", *runner_flags)
    assert contents(tmp_path / "out") == in_process[job]


@pytest.mark.parametrize(
    "text",
    [
        "bundle failed:Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 1\n\nDuring handling:\n\n"
        "Traceback (most recent call last):\n  File \"b.py\", line 2\n    ^^^\nValueError: no [while running 'Read']",
        "java.lang.RuntimeException: Traceback (most recent call last):\n  File \"a.py\", line 1\n"
        "ValueError: no [while running 'Read']\n\n\tat org.apache.beam.runners.Some.method(Some.java:1)\n\t... 1 more",
    ],
)
def test_the_error_in_a_workers_traceback(text):
    assert last_error(text) == "ValueError: no [while running 'Read']"


def test_a_worker_without_its_runner_says_so(monkeypatch, capsys):
    monkeypatch.setattr(worker, "CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("localhost", 0))
        endpoint = f"localhost:{silent.getsockname()[1]}"
        assert worker.main(["--id=1-1", f"--provision_endpoint={endpoint}", "--semi_persist_dir=ours-not"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: no runner answers at --provision_endpoint {endpoint}")


def test_flags_that_only_the_runner_may_know_are_named(capsys):
    beam_options(["--runner=FlinkRunner", "--parallelism=2"])
    assert not capsys.readouterr().err
    beam_options(["--runner=FlinkRunner", "--max_tokns=2"])
    assert "--max_tokns" in capsys.readouterr().err
