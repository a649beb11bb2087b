"""Verdicts on really trained models: a good one, and the same harmed in many ways."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from schemas import data_directory, model_directory
from schemas.exit_status import DONE, MODEL_REFUSED
from tests.data_directories import LABELS, make_windows, write_data_directory
from trainer.__main__ import main
from trainer.config import load_config
from trainer.export import export
from trainer.models import load_model
from trainer.training import train

# Enough to learn which word says which label, in seconds.
SETTINGS = ["embedding=learnt", "embedding_dim=16", "units=16", "epochs=12", "global_batch_size=16",
            "learning_rate=0.01", "dropout=0", "token_dropout=0"]


def write_data(path, relabel=lambda labels: labels):
    """Writes a data directory; `relabel` gives the labels to learn, those of test stay right."""
    splits = {split: make_windows(count, seed, f"{split}-")
              for seed, (split, count) in enumerate({"train": 60, "validation": 20, "test": 20}.items(), 1)}
    learnt = {split: [dataclasses.replace(window, labels=relabel(window.labels)) for window in splits[split]]
              for split in ("train", "validation")}
    write_data_directory(path, {**splits, **learnt})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of the data directory `data` and the good model `model`."""
    path = tmp_path_factory.mktemp("harmed")
    write_data(path / "data")
    train(str(path / "data"), str(path / "model"), load_config("default", None, SETTINGS))
    return path


def bless(trained, output_dir, candidate, baseline=None, data=None, policy=""):
    """The exit status and the verdict."""
    (output_dir / "policy.yaml").write_text(policy, "utf-8")
    command = ["bless", "--candidate", candidate, "--data_dir", data or trained / "data", "--policy",
               output_dir / "policy.yaml", "--output", output_dir / "verdict" / "blessing.json"]
    status = main(list(map(str, [*command, *(["--baseline", baseline] if baseline else [])])))
    return status, json.loads((output_dir / "verdict" / "blessing.json").read_text("utf-8"))


def harmed(trained, path, change):
    """A copy of the good model, best.keras and SavedModel alike, with each weight array changed."""
    shutil.copytree(trained / "model", path)
    model = load_model(path / model_directory.BEST_MODEL)
    for weight in model.trainable_variables:
        weight.assign(change(np.array(weight)))
    model.save(path / model_directory.BEST_MODEL)
    export(path, trained / "data")
    return path


def failed(verdict):
    """The names of the checks that failed."""
    return [check["name"] for check in verdict["checks"] if check["passed"] is False]


def test_a_model_against_itself_is_blessed(trained, tmp_path, capsys):
    model = trained / "model"
    capsys.readouterr()
    status, verdict = bless(trained, tmp_path, model, model, policy="floors: {micro_f1: 0.8}")
    assert (status, verdict["blessed"], verdict["reasons"]) == (DONE, True, [])
    assert {check["passed"] for check in verdict["checks"]} == {True}
    assert [check["name"] for check in verdict["checks"]] == [
        "candidate answers", "raw-text signature", "baseline answers", "labels", "micro F1: floor", "micro F1: drop",
        "macro F1: drop", *(f"F1 of label {label!r}: drop" for label in LABELS)]
    assert verdict["candidate"] == verdict["baseline"] and len(verdict["candidate"]["sha256"]) == 64
    assert verdict["data"]["windows"] > 50 and verdict["policy"]["min_support"] == 20
    assert verdict["versions"]["keras"] == keras.__version__
    printed = capsys.readouterr().out
    assert printed.endswith("\nblessed\n") and "\npassed              0       0.01  micro F1: drop\n" in printed


def test_a_first_model_is_judged_by_floors_alone(trained, tmp_path, capsys):
    status, verdict = bless(trained, tmp_path, trained / "model", policy="floors: {exact_match: 0.999}")
    assert (status, verdict["baseline"], failed(verdict)) == (MODEL_REFUSED, None, ["exact match: floor"])
    error = capsys.readouterr().err
    assert error == f"error: {trained / 'model'} is refused: {verdict['reasons'][0]}\n"


def test_a_label_too_rare_to_judge(trained, tmp_path):
    model = trained / "model"
    _, verdict = bless(trained, tmp_path, model, model, policy="min_support: 28")
    rare = [check for check in verdict["checks"] if check["detail"].startswith("too rare to judge")]
    assert verdict["blessed"] and {check["passed"] for check in rare} == {None}
    assert [check["name"] for check in rare] == ["F1 of label 'buy': drop", "F1 of label '取消': drop"]


def test_without_one_labels_training_data(trained, tmp_path):
    write_data(tmp_path / "data", lambda labels: (labels[0], 0, *labels[2:]))
    train(str(tmp_path / "data"), str(tmp_path / "model"), load_config("default", None, SETTINGS))
    status, verdict = bless(trained, tmp_path, tmp_path / "model", trained / "model")
    assert status == MODEL_REFUSED
    assert failed(verdict) == ["micro F1: drop", "macro F1: drop", "F1 of label 'hotel|price': drop"]
    assert verdict["reasons"][2].startswith("F1 of label 'hotel|price' drops from 1.0000 to 0.0000, by -1.0000")


def test_permuted_labels(trained, tmp_path):
    """Only the head's weights end in a dimension of labels."""
    model = harmed(trained, tmp_path / "model",
                   lambda weight: weight[..., [1, 2, 0, 3]] if weight.shape[-1:] == (4,) else weight)
    status, verdict = bless(trained, tmp_path, model, trained / "model")
    assert status == MODEL_REFUSED
    assert failed(verdict) == ["micro F1: drop", "macro F1: drop",
                               *(f"F1 of label {label!r}: drop" for label in LABELS[:3])]


def test_noised_weights(trained, tmp_path):
    random = np.random.default_rng(1)
    model = harmed(trained, tmp_path / "model", lambda weight: weight + random.normal(0, 1, weight.shape))
    status, verdict = bless(trained, tmp_path, model, trained / "model")
    assert status == MODEL_REFUSED
    assert {"micro F1: drop", "macro F1: drop"} < set(failed(verdict)) and "raw-text signature" not in failed(verdict)


def test_a_saved_model_that_is_not_the_networks(trained, tmp_path):
    model = harmed(trained, tmp_path / "model", lambda weight: weight * 1.01)
    shutil.rmtree(model / model_directory.SAVED_MODEL)
    shutil.copytree(trained / "model" / model_directory.SAVED_MODEL, model / model_directory.SAVED_MODEL)
    status, verdict = bless(trained, tmp_path, model, trained / "model")
    assert (status, failed(verdict)) == (MODEL_REFUSED, ["raw-text signature"])
    assert "from raw texts, scores lie up to" in verdict["reasons"][0]


def test_scores_that_are_no_numbers(trained, tmp_path):
    model = harmed(trained, tmp_path / "model", lambda weight: weight * np.nan)
    status, verdict = bless(trained, tmp_path, model, trained / "model")
    assert (status, failed(verdict)) == (MODEL_REFUSED, ["candidate answers"])
    assert "hold NaN or infinity" in verdict["reasons"][0]
    status, verdict = bless(trained, tmp_path, trained / "model", model)
    assert (status, failed(verdict)) == (MODEL_REFUSED, ["baseline answers"])


@pytest.mark.parametrize("name", [f"{model_directory.SAVED_MODEL}/variables/variables.index",
                                  model_directory.BEST_MODEL, model_directory.COMPLETED])
def test_a_model_that_can_not_be_asked(trained, tmp_path, name):
    shutil.copytree(trained / "model", tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    status, verdict = bless(trained, tmp_path, tmp_path / "model", trained / "model")
    assert (status, failed(verdict)) == (MODEL_REFUSED, ["candidate answers"])
    assert verdict["reasons"][0].startswith("the candidate could not be asked: ")


def test_a_label_that_the_model_lacks(trained, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(trained / "data", data)
    names = ["new", *LABELS[1:]]
    labels = json.loads((data / data_directory.LABELS).read_text("utf-8")) | {"labels": names}
    (data / data_directory.LABELS).write_text(json.dumps(labels), "utf-8")
    model = trained / "model" / model_directory.SAVED_MODEL
    status, verdict = bless(trained, tmp_path, model, trained / "model", data=data)
    assert (status, verdict["reasons"]) == (MODEL_REFUSED, ["the candidate lacks 1 label: 'new'"])
    assert [check["passed"] for check in verdict["checks"][:2]] == [True, None]
    status, verdict = bless(trained, tmp_path, model, trained / "model", data=data, policy="retired_labels: [new]")
    assert (status, verdict["blessed"]) == (DONE, True)


def test_a_crash_leaves_no_blessing(trained, tmp_path, monkeypatch):
    """Even one that takes the process with it."""
    import trainer.verdict

    def crash(*_):
        raise SystemExit(139)

    monkeypatch.setattr(trainer.verdict, "predict_by_signature", crash)
    with pytest.raises(SystemExit):
        bless(trained, tmp_path, trained / "model")
    verdict = json.loads((tmp_path / "verdict" / "blessing.json").read_text("utf-8"))
    assert (verdict["blessed"], verdict["reasons"]) == (False, ["the verdict did not come to its end"])


def test_models_are_compared(trained, tmp_path, capsys):
    random = np.random.default_rng(2)
    other = harmed(trained, tmp_path / "other", lambda weight: weight + random.normal(0, 0.3, weight.shape))
    capsys.readouterr()
    command = ["compare", trained / "model", other / model_directory.SAVED_MODEL, "--data_dir", trained / "data",
               "--output_dir", tmp_path / "page"]
    assert main(list(map(str, command))) == DONE
    assert f"report: {tmp_path / 'page' / 'compare.html'}\n" in capsys.readouterr().out
    values = json.loads((tmp_path / "page" / "compare.json").read_text("utf-8"))
    windows = {(window.conversation_id, window.turn_index): window for window in make_windows(20, 3, "test-")}
    assert values["windows"] == len(windows) and (values["unknown_to_a"], values["unknown_to_b"]) == ([], [])
    assert values["overall"]["micro_f1"]["interval"][1] < 0
    for kind, right in (("fixed", "b"), ("broken", "a")):
        assert len(values[kind]) == min(50, values["right"][f"only_{right}"])
        for example in values[kind]:
            window = windows[example["window"]["conversation_id"], example["window"]["turn_index"]]
            true = [label for label, there in zip(LABELS, window.labels, strict=True) if there]
            assert example["window"]["texts"][0] == window.turns[0].text and example["window"]["labels"] == true
            assert [name for name in "ab" if example[name]["predicted"] == true] == [right]
    assert values["broken"]
