"""Every command in a process of its own: exit statuses, one line for an error, and the whole way once."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from schemas import data_directory
from schemas.data_directory import read_manifest
from schemas.exit_status import DATA_REFUSED, DONE, USAGE

ROOT = pathlib.Path(__file__).resolve().parent.parent
TINY = ("--set", "embedding_dim=4", "--set", "units=4", "--set", "epochs=1", "--set", "global_batch_size=32")


def run(*command):
    """Runs `python -m ...` and gives what came of it."""
    # A narrow terminal, if there is one, must not change what is said.
    environment = os.environ | {"COLUMNS": "200"}
    arguments = [sys.executable, "-m", *map(str, command)]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def succeed(*command):
    """Runs a command that must end well; gives its standard output."""
    done = run(*command)
    assert done.returncode == DONE, done.stderr
    assert "Traceback" not in done.stderr and "error:" not in done.stderr
    return done.stdout


def fail(status, *command):
    """Runs a command that must fail with this status; gives its one line of error."""
    done = run(*command)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    # Progress may stand before it.
    assert done.stderr.endswith(f"{errors[0]}\n")
    return errors[0]


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    """The whole way: logs, a data directory, a model, its report; {command: standard output} is kept beside them."""
    path = tmp_path_factory.mktemp("way")
    data, model = path / "data", path / "model"
    said = {
        "synthesize": succeed("pipeline", "synthesize", "--output_dir", path / "logs", "--conversations", 60),
        "prepare": succeed("pipeline", "prepare", "--input", path / "logs/*.jsonl", "--output_dir", data),
        "train": succeed("trainer", "train", "--data_dir", data, "--model_dir", model, *TINY),
        "evaluate": succeed("trainer", "evaluate", "--data_dir", data, "--model_dir", model),
        "predict": succeed("trainer", "predict", "--data_dir", data, "--model_dir", model, "--windows", 4),
        "inspect": succeed("pipeline", "inspect", data, "--verify"),
    }
    (path / "said.json").write_text(json.dumps(said), "utf-8")
    return path


def test_the_whole_way(way):
    said = json.loads((way / "said.json").read_text("utf-8"))
    synthesized = json.loads((way / "logs/synthesis.json").read_text("utf-8"))
    books = read_manifest(way / "data").books
    assert not books.imbalances()
    assert (books.turns_read, books.targets) == (synthesized["turns"], synthesized["labelled_turns"])
    assert "books are as in the manifest" in said["inspect"]
    report = json.loads((way / "model/evaluation/report.json").read_text("utf-8"))
    assert report["windows"] == books.windows["test"] > 0
    for name in ("report.html", "report.md", "per_label.csv", "attention.json", "gate.json", "thresholds.json"):
        assert (way / "model/evaluation" / name).stat().st_size
    assert said["evaluate"].endswith(f"report: {way / 'model/evaluation/report.html'}\n")
    assert said["predict"].count("conversation synthetic-") == 4


@pytest.mark.parametrize("arguments", [
    ("pipeline",),
    ("pipeline", "unheard_of"),
    ("pipeline", "synthesize"),
    ("pipeline", "synthesize", "--output_dir", "x", "--conversations", "0"),
    ("pipeline", "synthesize", "--output_dir", "x", "--unheard_of"),
    ("pipeline", "convert", "--format", "unheard_of", "--input", "x", "--output", "x.jsonl"),
    ("pipeline", "convert", "--format", "sgd", "--input", "x", "--output", "x.jsonl", "--unheard_of"),
    ("pipeline", "prepare", "--input", "x"),
    ("pipeline", "prepare", "--input", "x", "--output_dir", "x", "--split", "train:0"),
    ("pipeline", "inspect", "x", "--unheard_of"),
    ("trainer",),
    ("trainer", "unheard_of"),
    ("trainer", "train", "--data_dir", "x"),
    ("trainer", "train", "--data_dir", "x", "--model_dir", "x", "--unheard_of"),
    ("trainer", "train", "--data_dir", "x", "--model_dir", "x", "--over"),
    ("trainer", "evaluate", "--data_dir", "x", "--model_dir", "x", "--split", "unheard_of"),
    ("trainer", "predict", "--data_dir", "x", "--model_dir", "x", "--windows", "none"),
], ids=" ".join)
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("usage: ")
    assert "error: " in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "named"), [
    (("pipeline", "synthesize", "--output_dir", "{file}/logs"), "{file}/logs"),
    (("pipeline", "convert", "--format", "sgd", "--input", "{missing}", "--output", "{new}/x.jsonl"), "{missing}"),
    (("pipeline", "convert", "--format", "sgd", "--input", "{file}", "--output", "{new}/x.csv"), "x.csv"),
    (("pipeline", "prepare", "--input", "{missing}/*.jsonl", "--output_dir", "{new}"), "{missing}"),
    (("pipeline", "inspect", "{missing}"), "{missing}"),
    (("pipeline", "inspect", "{file}"), "COMPLETED"),
    (("trainer", "train", "--data_dir", "{missing}", "--model_dir", "{new}"), "{missing}"),
    (("trainer", "train", "--data_dir", "{data}", "--model_dir", "{new}", "--set", "unheard=of"), "unheard"),
    (("trainer", "evaluate", "--data_dir", "{data}", "--model_dir", "{missing}"), "{missing}"),
    (("trainer", "predict", "--data_dir", "{missing}", "--model_dir", "{model}"), "{missing}"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else value)
def test_wrong_paths_and_values(way, tmp_path, arguments, named):
    (tmp_path / "file").write_text("no directory")
    places = {"data": way / "data", "model": way / "model", "file": tmp_path / "file", "missing": tmp_path / "missing",
              "new": tmp_path / "new"}
    error = fail(USAGE, *(argument.format(**places) for argument in arguments))
    assert named.format(**places) in error
    assert not (tmp_path / "new").exists()


@pytest.fixture
def damaged(way, tmp_path):
    """A copy of the data directory whose test shards are damaged."""
    shutil.copytree(way / "data", tmp_path / "data")
    for shard in read_manifest(tmp_path / "data").shards_of("test"):
        (tmp_path / "data" / shard.name).write_bytes(b"damaged")
    return tmp_path / "data"


def test_logs_of_broken_rows_are_refused(tmp_path):
    (tmp_path / "logs.jsonl").write_text("no JSON\n{}\n" * 50)
    output = tmp_path / "data"
    error = fail(DATA_REFUSED, "pipeline", "prepare", "--input", tmp_path / "logs.jsonl", "--output_dir", output)
    assert "--max_bad_fraction" in error
    assert not (output / data_directory.COMPLETED).exists()


def test_other_files_are_no_dataset(tmp_path):
    source, output = tmp_path / "dialogues.json", tmp_path / "logs.jsonl"
    source.write_text('[{"no": "dialogue"}]')
    fail(DATA_REFUSED, "pipeline", "convert", "--format", "sgd", "--input", source, "--output", output)
    assert not output.exists()


def test_a_dataset_becomes_a_log(tmp_path):
    source, output = ROOT / "tests/testdata/sgd", tmp_path / "logs.jsonl"
    said = succeed("pipeline", "convert", "--format", "sgd", "--input", source, "--output", output)
    assert said.endswith(f"turn log: {output}\n")
    assert output.stat().st_size


def test_damage_is_found_by_inspect(damaged):
    assert "sha256" in fail(DATA_REFUSED, "pipeline", "inspect", damaged, "--verify")


@pytest.mark.parametrize("command", [
    ("train", *TINY, "--model_dir", "{new}"),
    ("evaluate", "--model_dir", "{model}"),
    ("predict", "--model_dir", "{model}"),
], ids=lambda command: command[0])
def test_damage_is_refused_by_the_trainer(way, damaged, tmp_path, command):
    places = {"model": way / "model", "new": tmp_path / "new"}
    arguments = [argument.format(**places) for argument in command]
    assert str(damaged) in fail(DATA_REFUSED, "trainer", *arguments, "--data_dir", damaged)


def test_an_error_with_its_traceback(tmp_path):
    done = run("pipeline", "inspect", tmp_path / "missing", "--verbose")
    assert done.returncode == USAGE
    assert "Traceback" in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")
