"""`score` with a trained model: the literal path's scores, and the figures of `trainer evaluate`."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from schemas.model_description import ASSET, ModelDescription
from tests.scored_logs import predictions, scored
from tests.turn_logs import prepared, windows, write_jsonl

pytestmark = pytest.mark.slow

LABELS = {"word1": "one", "word2": "two|2", "word3": "drei"}
TINY = ("embedding_dim=6", "units=4", "epochs=2", "global_batch_size=32", "threshold_policy=max_f1", "encoder=lstm")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a log, the data directory made of it, and a model trained on that."""
    path = tmp_path_factory.mktemp("trained")
    generator = np.random.default_rng(0)
    words = [f"word{n}" for n in range(12)]
    rows = []
    for c in range(120):
        for t in range(generator.integers(1, 9)):
            said = generator.choice(words, generator.integers(0, 9)).tolist()
            labels = [label for word, label in LABELS.items() if word in said]
            turn = {"conversation_id": f"c{c}", "turn_index": t, "text": " ".join(said), "timestamp": 1e9 + 7.5 * t}
            rows.append(turn | ({"speaker": "agent"} if t % 2 else {"speaker": "user", "labels": labels}))
    prepared(write_jsonl(path / "log.jsonl", rows), path / "data", "--split", "train:5,validation:2,test:3")
    settings = [part for setting in TINY for part in ("--set", setting)]
    train = ["train", "--data_dir", path / "data", "--model_dir", path / "model", *settings]
    subprocess.run([sys.executable, "-m", "trainer", *map(str, train)], check=True, stdout=subprocess.DEVNULL)
    return path


def test_scores_are_those_of_each_window_alone(trained, tmp_path):
    found = predictions(scored(trained / "log.jsonl", trained / "model", tmp_path / "out", "--batch_windows", "100"))
    saved_model = trained / "model" / "saved_model"
    said = ModelDescription.from_json((saved_model / "assets" / ASSET).read_text("utf-8"))
    loaded = tf.saved_model.load(str(saved_model))
    conversations = {}
    for line in (trained / "log.jsonl").read_text("utf-8").splitlines():
        turn = json.loads(line)
        conversations.setdefault(turn["conversation_id"], []).append(turn)
    assert len(found) == sum(turn["speaker"] == "user" for turns in conversations.values() for turn in turns)
    for item in found:
        place, turns = item["turn_index"], conversations[item["conversation_id"]]
        window = turns[max(place - 5, 0) : place + 1][::-1]
        padding = [""] * (6 - len(window))
        alone = loaded.signatures["serving_default"](
            texts=tf.constant([[turn["text"] for turn in window] + padding]),
            speakers=tf.constant([[turn["speaker"] for turn in window] + padding]),
            numeric=tf.constant([[place, 7.5 if place else 0.0]]),
        )
        alone = {name: value.numpy()[0] for name, value in alone.items()}
        np.testing.assert_allclose(list(item["scores"].values()), alone["scores"], atol=1e-5)
        np.testing.assert_allclose(item["attention"], alone["attention"], atol=1e-5)
        np.testing.assert_allclose(item["gate"], alone["gate"], atol=1e-5)
        assert item["labels"] == [label for label, there in zip(said.labels, alone["predicted"], strict=True) if there]
        assert item["model_version"] == said.version


def test_metrics_are_those_of_evaluate(trained, tmp_path):
    test = {window["conversation_id"].decode() for window in windows(trained / "data", "test")}
    rows = map(json.loads, (trained / "log.jsonl").read_text("utf-8").splitlines())
    log = write_jsonl(tmp_path / "test.jsonl", [row for row in rows if row["conversation_id"] in test])
    found = json.loads((scored(log, trained / "model", tmp_path / "out") / "metrics.json").read_text("utf-8"))
    evaluate = ["evaluate", "--data_dir", trained / "data", "--model_dir", trained / "model", "--split", "test",
                "--output_dir", tmp_path / "report"]
    subprocess.run([sys.executable, "-m", "trainer", *map(str, evaluate)], check=True, stdout=subprocess.DEVNULL)
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    for name in ("windows", "micro", "macro", "weighted", "exact_match", "hamming_loss"):
        assert found[name] == report[name], name
    names = list(found["per_label"][0])
    assert found["per_label"] == [{name: label[name] for name in names} for label in report["per_label"]]
    assert 0 < found["micro"]["f1"] < 1 and found["unknown_labels"] == {}
