"""The trainer's commands as processes: exit statuses, one-line errors, quick help."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from schemas import data_directory, model_directory
from schemas.exit_status import DATA_REFUSED, DONE, USAGE
from tests.data_directories import small_data_directory
from trainer.__main__ import main

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL = ["--set", "embedding_dim=6", "--set", "units=4", "--set", "epochs=1"]


def run(*arguments, **environment):
    """Runs a command; gives its exit status, standard output and standard error."""
    done = subprocess.run([sys.executable, "-m", "trainer", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small data directory."""
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return path


@pytest.mark.parametrize("arguments", [
    (), ("fly",), ("train",), ("train", "--data_dir=d", "--model_dir=m", "--epochs=3"),
    ("evaluate", "--data_dir=d", "--model_dir=m", "--split=all")])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == USAGE
    assert "usage: turnwise-trainer" in capsys.readouterr().err


def test_train_says_what_it_did_and_nothing_else(data, tmp_path):
    """Even where tensorflow_transform has asked for the old Keras, as it does for child processes."""
    status, output, error = run("train", "--data_dir", data, "--model_dir", tmp_path / "model", *SMALL,
                                TF_USE_LEGACY_KERAS="1")
    assert (status, error) == (DONE, "")
    assert f"SavedModel:  {tmp_path / 'model' / model_directory.SAVED_MODEL}" in output
    assert (tmp_path / "model" / model_directory.COMPLETED).exists()
    versions = json.loads((tmp_path / "model" / model_directory.CONFIG).read_text())["versions"]
    assert versions["keras"].startswith("3.")


def test_refused_data_in_a_process(data, tmp_path):
    broken = tmp_path / "data"
    broken.mkdir()
    for path in data.iterdir():
        (broken / path.name).symlink_to(path)
    shard = broken / data_directory.read_manifest(data).shards[0].name
    shard.unlink()
    status, _, error = run("train", "--data_dir", broken, "--model_dir", tmp_path / "model", *SMALL)
    assert status == DATA_REFUSED
    assert error == f"error: {shard} is missing, but the manifest lists it: run `prepare` again\n"
    assert not (tmp_path / "model").exists()


def test_wrong_settings_in_a_process(data, tmp_path):
    status, _, error = run("train", "--data_dir", data, "--model_dir", tmp_path / "model", "--set", "units=-1")
    assert (status, error) == (USAGE, "error: units: -1 is out of range; allowed: at least 1\n")


def test_a_directory_without_data(tmp_path, capfd):
    assert main(["train", "--data_dir", str(tmp_path), "--model_dir", str(tmp_path / "model")]) == USAGE
    assert "is no completed data directory" in capfd.readouterr().err
