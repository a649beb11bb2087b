"""Whole runs of `trainer retrain`: killed in every stage, on full disks, on bad nights."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from schemas.exit_status import DATA_REFUSED, DONE, FAILED, INTERRUPTED
from tests.retrain_runs import ROOT, command, record_of, run, stage_of, wait_for, write_config, write_logs
from trainer import serving
from trainer.retrain_stages import STAGES

pytestmark = pytest.mark.slow

FIRST, SECOND = "2026-03-01", "2026-03-02"
# Loads what is in service again and again, asks it, and writes down which version that was, or what went wrong.
READER = """
import os, sys, time, tensorflow as tf
link, out = sys.argv[1:]
with open(out, "w") as said:
    while True:
        version = os.path.realpath(link)
        try:
            model = tf.saved_model.load(version)
            texts = tf.constant([["yes"] + [""] * 5])
            answer = model.signatures["serving_default"](texts=texts, speakers=texts, numeric=tf.constant([[0.0, 0.0]]))
            tf.debugging.assert_all_finite(answer["scores"], "scores")
            print(os.path.basename(version), file=said, flush=True)
            time.sleep(0.1)
        except Exception as error:
            print("broken:", version, error, file=said, flush=True)
"""


def retrain(directory, day, *flags):
    """Makes the run of a day."""
    return run("retrain", "--config", directory / "retrain.yaml", "--date", day, *flags)


@pytest.fixture(scope="module")
def first_night(tmp_path_factory):
    """A directory with one promoted run."""
    path = tmp_path_factory.mktemp("retrain")
    write_config(path)
    write_logs(path, FIRST)
    status, output, error = retrain(path, FIRST)
    assert status == DONE, (output, error, (path / "runs" / FIRST / "log").read_text())
    return path


@pytest.fixture
def night(first_night, tmp_path):
    """A directory of its own with that run, as the first night left it."""
    subprocess.run(["cp", "-a", f"{first_night}/.", tmp_path], check=True)
    for path in (*tmp_path.glob("runs/*/run.json"), *tmp_path.glob("serving/*/assets.extra/*")):
        path.write_text(path.read_text().replace(str(first_night), str(tmp_path)))
    return tmp_path


def only_version(directory):
    """The version in service, which is the only one there."""
    assert serving.versions(directory / "serving") == [serving.current(directory / "serving")]
    return serving.current(directory / "serving")


@contextlib.contextmanager
def reader(directory):
    """Runs the reader loop meanwhile; gives the file of what it said."""
    said = directory / "reader"
    process = subprocess.Popen([sys.executable, "-c", READER, directory / "serving" / "current", said], cwd=ROOT,
                               stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: said.exists() and said.read_text(), process)
        yield said
    finally:
        process.kill()
        process.wait()


def begin(directory, day, *flags):
    """Begins the run of a day."""
    arguments = command("retrain", "--config", directory / "retrain.yaml", "--date", day, *flags)
    return subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def completed(directory, day):
    """What is recorded of the stages that have ended well."""
    return {entry["name"]: entry for entry in record_of(directory, day)["stages"] if entry["exit_status"] == 0}


def test_killed_in_every_stage(night):
    """The run goes on where it was killed, and a reader always gets a whole model."""
    write_logs(night, SECOND, seed=2)
    write_config(night, score={"patterns": ["logs/{date}/*.jsonl"]})
    old, known = only_version(night), {}
    with reader(night) as said:
        for stage in STAGES:
            with begin(night, SECOND) as process:
                assert wait_for(lambda name=stage.name: stage_of(night, SECOND, name), process), stage.name
                if stage.name == "train":
                    assert wait_for((night / "runs" / SECOND / "model" / "backup" / "training.npz").exists, process)
                elif stage.name != "promote":
                    time.sleep(1)
                process.send_signal(signal.SIGKILL)
            assert record_of(night, SECOND)["outcome"] == "running"
            # What was complete is as it was.
            assert known.items() <= completed(night, SECOND).items()
            known = completed(night, SECOND)
            assert set(known) == {other.name for other in STAGES[:STAGES.index(stage)]}, stage.name
            if stage.name not in ("promote", "score"):
                assert serving.current(night / "serving") == old
        status, output, error = retrain(night, SECOND)
        assert status == DONE, error
        new = serving.current(night / "serving")
        assert new > old
        with begin(night, SECOND) as process:  # It has ended, and says so at once.
            pass
        assert process.returncode == DONE
        for _ in range(600):
            if said.read_text().endswith(f"{new}\n"):
                break
            time.sleep(0.1)
        lines = said.read_text().splitlines()
    assert set(lines) == {str(old), str(new)}
    record = record_of(night, SECOND)
    assert (record["outcome"], record["version"]) == ("promoted", new)
    assert [entry["name"] for entry in record["stages"]] == [stage.name for stage in STAGES]
    assert all(entry["attempts"] == 2 for entry in record["stages"] if entry["name"] != "promote")
    assert "going on after epoch" in (night / "runs" / SECOND / "log").read_text()
    assert "bless_on_base: done before" in output
    assert (night / "runs" / SECOND / "predictions" / "COMPLETED").exists()


def test_a_stage_that_is_killed_an_input_that_changes_and_an_interrupted_run(night):
    """Each fails the run, which then goes on or, with other inputs, is made anew."""
    logs = write_logs(night, SECOND, seed=2)
    with begin(night, SECOND) as process:
        assert wait_for(lambda: stage_of(night, SECOND, "prepare"), process)
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        assert wait_for(children.read_text, process)
        os.kill(int(children.read_text()), signal.SIGKILL)
        error = process.stderr.read()
    assert process.returncode == FAILED
    assert f"error: run {SECOND}: failed: prepare: ended by SIGKILL" in error
    with begin(night, SECOND) as process:
        assert wait_for(lambda: stage_of(night, SECOND, "prepare")["attempts"] == 2, process)
        with open(min(logs.glob("*.jsonl")), "a") as file:
            file.write("{}\n")
        error = process.stderr.read()
    assert process.returncode == FAILED
    assert "1 inputs have changed since the run began, first" in error
    assert "--overwrite makes the run anew" in retrain(night, SECOND)[2]
    with begin(night, SECOND, "--overwrite") as process:
        assert wait_for(lambda: stage_of(night, SECOND, "train"), process)
        process.terminate()
        assert process.stderr.read() == "error: interrupted\n"
    assert process.returncode == INTERRUPTED
    assert (record_of(night, SECOND)["outcome"], record_of(night, SECOND)["reasons"]) == ("failed", ["interrupted"])
    assert completed(night, SECOND).keys() == {"prepare", "drift"}
    assert retrain(night, SECOND)[0] == DONE


@contextlib.contextmanager
def small_disk(path, size):
    """A file system of its own at a directory; gives what fills it and what empties it."""
    path.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]).returncode:
        pytest.skip("only root may mount file systems")
    filler = path / "filler"

    def fill():
        with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    try:
        yield fill, filler.unlink
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_full_disks(night):
    """Every stage that meets one says so, what is in service stays, and the run goes on when there is room."""
    write_logs(night, SECOND, seed=2)
    old = only_version(night)
    with small_disk(night / "a", "64m") as a, small_disk(night / "b", "16m") as b:
        subprocess.run(["cp", "-a", night / "runs", night / "a"], check=True)
        subprocess.run(["cp", "-a", night / "serving", night / "b"], check=True)
        write_config(night, runs_dir="a/runs", serving_dir="b/serving", score={"patterns": ["logs/{date}/*.jsonl"]})
        for stage in STAGES:
            fill, empty = b if stage.name == "promote" else a
            if stage.name == "promote":
                fill()
            with begin(night, SECOND) as process:
                assert wait_for(lambda name=stage.name: stage_of(night / "a", SECOND, name), process), stage.name
                fill()
                error = process.stderr.read()
            assert process.returncode == FAILED, (stage.name, error)
            assert f"run {SECOND}: failed: {stage.name}: " in error
            assert "No space left on device" in error or "is full" in error, error
            assert (serving.current(night / "b" / "serving") == old) == (stage.name != "score")
            empty()
        status, _, error = retrain(night, SECOND)
        assert status == DONE, error
        assert record_of(night / "a", SECOND)["outcome"] == "promoted"
        assert completed(night / "a", SECOND).keys() == {stage.name for stage in STAGES}


def spoilt(line, number):
    """Every third line broken."""
    return line if number % 3 else line[: len(line) // 2].rstrip() + "\n"


def with_unknown_label(line, number):
    """A label that no earlier night had."""
    row = json.loads(line)
    return json.dumps(row | {"labels": ["surprise"]} if "labels" in row else row) + "\n"


@pytest.mark.parametrize(("change", "reason"), [
    (spoilt, "prepare: .* rows are rejected"), (with_unknown_label, "drift: .*surprise")])
def test_bad_nights(night, change, reason):
    """The data are refused, and what is in service stays."""
    old = only_version(night)
    for path in write_logs(night, SECOND, seed=2).glob("*.jsonl"):
        path.write_text("".join(map(change, path.read_text().splitlines(keepends=True), itertools.count())))
    status, _, error = retrain(night, SECOND)
    assert status == DATA_REFUSED, error
    assert re.search(f"run {SECOND}: data_refused: {reason}", error)
    assert record_of(night, SECOND)["outcome"] == "data_refused"
    assert only_version(night) == old
