import argparse
import json
import subprocess
import sys

import numpy as np
import pytest

from schemas import data_directory, model_directory
from schemas.data_directory import Books, Manifest, Shard
from schemas.exit_status import DataRefused, UsageError
from trainer import evaluate, predictions
from trainer.predictions import Predictions


@pytest.fixture
def data_dir(tmp_path):
    """A data directory with two labels, windows in test and validation and none in train; its shards are not there."""
    directory = tmp_path / "data"
    directory.mkdir()
    windows = {"train": 0, "validation": 3, "test": 4}
    shards = tuple(Shard(data_directory.shard_name(split, 0, 1), split, n, "") for split, n in windows.items())
    manifest = Manifest((), shards, 10, 8, 5, 2, ("user",), ("user",), (), Books(7, {}, 0, 7, windows, {}))
    (directory / data_directory.MANIFEST).write_text(manifest.to_json(), "utf-8")
    (directory / data_directory.LABELS).write_text(json.dumps({"labels": ["问候", "book"]}), "utf-8")
    (directory / data_directory.COMPLETED).touch()
    return directory


def write_config(model_dir, labels):
    config = {"config": {"threshold": 0.25}, "data": {"labels": labels}}
    (model_dir / model_directory.CONFIG).write_text(json.dumps(config), "utf-8")


@pytest.fixture
def model_dir(tmp_path):
    """A model directory without a model, threshold 0.25."""
    directory = tmp_path / "model"
    directory.mkdir()
    write_config(directory, ["问候", "book"])
    (directory / model_directory.HISTORY).write_text(json.dumps({"epoch": 2, "history": {"loss": [0.5, 0.4]}}), "utf-8")
    (directory / model_directory.COMPLETED).touch()
    return directory


@pytest.fixture(autouse=True)
def predict(monkeypatch):
    """Stands for the model: one window, both labels true, the scores 0.3 and 0.2."""
    asked = []

    def fake(model_dir, data_dir, split):
        asked.append(split)
        lengths = np.array([[2, 0, 0, 0, 0, 0]])
        return Predictions(["问候", "book"], np.array([[True, True]]), np.array([[0.3, 0.2]], np.float32),
                           np.full((1, 5), 0.2, np.float32), np.array([0.5], np.float32), lengths, lengths,
                           np.array(["c"]), np.array([0]))

    monkeypatch.setattr(predictions, "predict", fake)
    return asked


def arguments(*flags):
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_dir")
    parser.add_argument("--data_dir")
    evaluate.add_arguments(parser)
    return parser.parse_args(flags)


def test_run_writes_the_report_and_says_where(model_dir, data_dir, capsys, predict):
    evaluate.run(arguments("--model_dir", str(model_dir), "--data_dir", str(data_dir)))
    values = json.loads((model_dir / "evaluation" / "report.json").read_text("utf-8"))
    assert predict == ["test"]
    assert (values["model"], values["data"], values["split"]) == (str(model_dir), str(data_dir), "test")
    # One of two labels said at 0.25: precision 1, recall 1/2, F1 2/3 in the micro average.
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].split() == ["micro", "1.0000", "0.5000", "0.6667"]
    assert printed[-1] == f"report: {model_dir / 'evaluation' / 'report.html'}"
    assert "Learning curves" in (model_dir / "evaluation" / "report.html").read_text("utf-8")


def test_thresholds_are_the_models(model_dir, data_dir, tmp_path):
    evaluate.evaluate(model_dir, data_dir, "test", tmp_path / "out")
    thresholds = json.loads((tmp_path / "out" / "thresholds.json").read_text("utf-8"))
    assert thresholds == {"问候": 0.25, "book": 0.25}


def test_another_split_goes_below_the_tests(model_dir, data_dir, predict):
    evaluate.run(arguments("--model_dir", str(model_dir), "--data_dir", str(data_dir), "--split", "validation"))
    assert predict == ["validation"]
    assert (model_dir / "evaluation" / "validation" / "report.html").is_file()
    assert not (model_dir / "evaluation" / "report.html").exists()


def test_split_without_windows(model_dir, data_dir, predict):
    with pytest.raises(DataRefused, match="no windows in its train split"):
        evaluate.evaluate(model_dir, data_dir, "train", model_dir / "evaluation")
    assert not predict
    assert not (model_dir / "evaluation").exists()


@pytest.mark.parametrize(("labels", "message"), [
    (["book", "问候"], "their order differs"),
    (["问候"], r"the model lacks \['book'\]"),
    (["问候", "book", "pay"], r"the data lack \['pay'\]"),
    (["问候", "pay"], r"the model lacks \['book'\] and the data lack \['pay'\]"),
])
def test_labels_must_be_the_same(model_dir, data_dir, labels, message):
    write_config(model_dir, labels)
    with pytest.raises(UsageError, match=message):
        evaluate.evaluate(model_dir, data_dir, "test", model_dir / "evaluation")


@pytest.mark.parametrize("name", [model_directory.COMPLETED, model_directory.CONFIG])
def test_incomplete_model(model_dir, data_dir, name):
    (model_dir / name).unlink()
    with pytest.raises(UsageError, match=name):
        evaluate.evaluate(model_dir, data_dir, "test", model_dir / "evaluation")


@pytest.mark.parametrize("config", [
    {}, [], {"data": {"labels": []}, "config": {}}, {"data": {"labels": []}, "config": {"threshold": "high"}},
    {"data": {}, "config": {"threshold": 0.5}},
])
def test_config_without_what_is_needed(model_dir, data_dir, config):
    (model_dir / model_directory.CONFIG).write_text(json.dumps(config), "utf-8")
    with pytest.raises(UsageError, match="lacks data.labels or a number config.threshold"):
        evaluate.evaluate(model_dir, data_dir, "test", model_dir / "evaluation")


@pytest.mark.parametrize(("text", "expected"), [
    ('{"history": {"loss": [1, 0.5], "lr": "x", "empty": [], "nulls": [null], "mixed": [1, "a"]}}',
     {"loss": [1.0, 0.5]}),
    ('{"history": [1]}', {}), ("{}", {}), ("[1]", {}), ("{", {}), (None, {}),
])
def test_history_is_read_as_far_as_it_can_be(model_dir, text, expected):
    path = model_dir / model_directory.HISTORY
    path.unlink() if text is None else path.write_text(text, "utf-8")
    assert evaluate.read_history(model_dir) == expected


def test_missing_epochs_of_the_history_are_gaps(model_dir):
    (model_dir / model_directory.HISTORY).write_text('{"history": {"loss": [1.0, null, NaN]}}', "utf-8")
    assert np.isnan(evaluate.read_history(model_dir)["loss"]).tolist() == [False, True, True]


def test_nothing_heavy_is_imported_for_the_flags():
    code = ("import sys, trainer.evaluate; heavy = {'numpy', 'sklearn', 'matplotlib', 'tensorflow', 'jinja2'};"
            "print(sorted(heavy & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
