import argparse
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from schemas import model_directory
from schemas.data_directory import read_manifest
from schemas.exit_status import DataRefused, UsageError
from tests.data_directories import LABELS, SLOTS, make_windows, small_data_directory, write_data_directory
from tests.made_predictions import random_predictions
from trainer import evaluate, predictions
from trainer.changes import CHANGES
from trainer.config import load_config
from trainer.training import train

SETTINGS = ["embedding_dim=6", "units=4", "epochs=2", "global_batch_size=16"]
FILES = {"report.html", "report.md", "report.json", "per_label.csv", "attention.json", "gate.json", "thresholds.json",
         "report_schema.json"}


def arguments(*flags):
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_dir")
    parser.add_argument("--data_dir")
    evaluate.add_arguments(parser)
    return parser.parse_args([str(flag) for flag in flags])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model directory and its data directory."""
    path = tmp_path_factory.mktemp("evaluate")
    small_data_directory(path / "data")
    train(str(path / "data"), str(path / "model"), load_config("default", None, SETTINGS))
    return path / "model", path / "data"


@pytest.fixture(scope="module")
def report(trained):
    """What report.json holds of the trained model's test split."""
    model, data = trained
    evaluate.evaluate(model, data, "test", model / "evaluation")
    return json.loads((model / "evaluation" / "report.json").read_text("utf-8"))


@pytest.fixture
def predict(monkeypatch):
    """Stands for the model; keeps what it was asked for."""
    asked = []

    def fake(model_dir, data_dir, split, change=None, limit=None):
        asked.append((split, change, limit))
        windows = sum(shard.records for shard in read_manifest(data_dir).shards_of(split))
        return random_predictions(min(windows, limit or windows), names=LABELS, seed=len(split))

    monkeypatch.setattr(predictions, "predict", fake)
    return asked


def test_a_real_model(trained, report):
    model, data = trained
    windows = read_manifest(data).books.windows
    assert {path.name for path in (model / "evaluation").iterdir()} == FILES
    assert (report["model"], report["data"], report["split"]) == (str(model), str(data), "test")
    assert report["windows"] == windows["test"]
    assert {found["split"]: (found["windows"], found["of"]) for found in report["splits"]} == {
        split: (count, count) for split, count in windows.items()}
    test = next(found for found in report["splits"] if found["split"] == "test")
    assert (test["micro"], test["macro"], test["exact_match"]) == (
        report["micro"], report["macro"], report["exact_match"])
    assert [(found["name"], found["windows"]) for found in report["ablations"]] == [
        (name, windows["test"]) for name in CHANGES]
    speakers = {found["value"] for found in report["slices"] if found["dimension"] == "speaker"}
    assert speakers == {"agent", "(none)"}  # the latter of turns without words
    for error in report["worst_errors"]:
        said, borne = set(error["predicted"]), set(error["window"]["labels"])
        assert said != borne and said | borne <= set(error["scores"])
        assert {len(error["window"][name]) for name in ("texts", "speakers")} == {SLOTS}


def test_a_saved_model_is_asked_with_raw_texts_and_gives_the_same(trained, report, tmp_path):
    model, data = trained
    shutil.copytree(model / model_directory.SAVED_MODEL, tmp_path / "alone")
    found = evaluate.evaluate(tmp_path / "alone", data, "test", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"thresholds.json"}
    for name in ("micro", "macro", "exact_match", "confusions"):
        assert found[name] == report[name]
    assert found["attention"]["mean"] == pytest.approx(report["attention"]["mean"], abs=1e-5)
    assert found["history"] == {} and report["history"]


def test_run_writes_the_report_and_says_where(trained, tmp_path, capsys, predict):
    model, data = trained
    out = tmp_path / "out"
    evaluate.run(arguments("--model_dir", model, "--data_dir", data, "--output_dir", out))
    values = json.loads((out / "report.json").read_text("utf-8"))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{values['windows']} windows of {values['conversations']} conversations, test split"
    low, high = values["intervals"]["micro_f1"]
    assert printed[2].split() == ["micro", *(f"{values['micro'][name]:.4f}" for name in ("precision", "recall", "f1")),
                                  f"{low:.4f}", "to", f"{high:.4f}"]
    assert [line.split()[0] for line in printed[2:7]] == ["micro", "macro", "weighted", "exact", "calibration"]
    assert printed[-1] == f"report: {out / 'report.html'}"


def test_other_splits_and_ablations_are_scored_on_some_windows_only(trained, tmp_path, predict, monkeypatch):
    monkeypatch.setattr(evaluate, "MOST_WINDOWS", 20)
    model, data = trained
    found = evaluate.evaluate(model, data, "train", tmp_path)
    assert predict == [("train", None, None), ("validation", None, 20), ("test", None, 20),
                       *(("train", change, 20) for change in CHANGES.values())]
    windows = read_manifest(data).books.windows
    assert {one["split"]: (one["windows"], one["of"]) for one in found["splits"]} == {
        "train": (windows["train"],) * 2, "validation": (20, windows["validation"]), "test": (20, windows["test"])}
    assert {ablation["windows"] for ablation in found["ablations"]} == {20}


def test_thresholds_go_with_a_report_that_lies_elsewhere(trained, tmp_path, predict):
    model, data = trained
    own = model / model_directory.THRESHOLDS
    before = own.read_bytes()
    evaluate.run(arguments("--model_dir", model, "--data_dir", data, "--split", "validation"))
    assert {path.name for path in (model / "evaluation/validation").iterdir()} == FILES
    assert (model / "evaluation/validation/thresholds.json").read_bytes() == own.read_bytes() == before
    shutil.rmtree(model / "evaluation/validation")


def test_split_without_windows(trained, tmp_path):
    splits = {"train": make_windows(24, 0, "train-"), "validation": [], "test": make_windows(4, 1, "test-")}
    write_data_directory(tmp_path / "data", splits)
    with pytest.raises(DataRefused, match="no windows in its validation split"):
        evaluate.evaluate(trained[0], tmp_path / "data", "validation", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_splits_without_windows_are_not_beside_the_others(trained, tmp_path, predict):
    splits = {"train": [], "validation": [], "test": make_windows(4, 1, "test-")}
    write_data_directory(tmp_path / "data", splits)
    found = evaluate.evaluate(trained[0], tmp_path / "data", "test", tmp_path / "out")
    assert [one["split"] for one in found["splits"]] == ["test"]


def test_a_model_that_knows_no_label(trained, tmp_path, monkeypatch):
    unknown = random_predictions(names=LABELS, missing_labels=list(LABELS))
    monkeypatch.setattr(predictions, "predict", lambda *args, **kwargs: unknown)
    with pytest.raises(UsageError, match="knows none of the 4 labels"):
        evaluate.evaluate(*trained, "test", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_that_the_model_does_not_know_are_named(trained, tmp_path, monkeypatch, capsys):
    windows = read_manifest(trained[1]).books.windows["test"]
    lacking = random_predictions(windows, names=LABELS, missing_labels=["取消", "\u202eevil"])
    monkeypatch.setattr(predictions, "predict", lambda *args, **kwargs: lacking)
    evaluate.run(arguments("--model_dir", trained[0], "--data_dir", trained[1], "--output_dir", tmp_path))
    assert capsys.readouterr().out.splitlines()[-2].endswith(r"does not know: 取消, \u202eevil")


def test_a_saved_model_has_no_place_for_reports(trained):
    saved = trained[0] / model_directory.SAVED_MODEL
    with pytest.raises(UsageError, match="--output_dir"):
        evaluate.run(arguments("--model_dir", saved, "--data_dir", trained[1]))


@pytest.mark.parametrize("name", [model_directory.COMPLETED, model_directory.CONFIG, model_directory.THRESHOLDS])
def test_incomplete_model(trained, tmp_path, name):
    model, data = trained
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(UsageError, match=name):
        evaluate.evaluate(tmp_path / "model", data, "test", tmp_path / "out")


@pytest.mark.parametrize(("text", "expected"), [
    ('{"history": {"loss": [1, 0.5], "lr": "x", "empty": [], "nulls": [null], "mixed": [1, "a"]}}',
     {"loss": [1.0, 0.5]}),
    ('{"history": [1]}', {}), ("{}", {}), ("[1]", {}), ("{", {}), (None, {}),
])
def test_history_is_read_as_far_as_it_can_be(tmp_path, text, expected):
    path = tmp_path / model_directory.HISTORY
    if text is not None:
        path.write_text(text, "utf-8")
    assert evaluate.read_history(tmp_path) == expected


def test_missing_epochs_of_the_history_are_gaps(tmp_path):
    (tmp_path / model_directory.HISTORY).write_text('{"history": {"loss": [1.0, null, NaN]}}', "utf-8")
    assert np.isnan(evaluate.read_history(tmp_path)["loss"]).tolist() == [False, True, True]


def test_nothing_heavy_is_imported_for_the_flags():
    code = ("import sys, trainer.evaluate; heavy = {'numpy', 'sklearn', 'matplotlib', 'tensorflow', 'jinja2'};"
            "print(sorted(heavy & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
