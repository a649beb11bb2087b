"""The SavedModel: the scores of best.keras from raw texts, in processes that know nothing of this project."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from schemas import model_directory
from schemas.exit_status import DataRefused
from tests.data_directories import LABELS, SLOTS, make_windows, small_data_directory, write_data_directory
from trainer.config import load_config
from trainer.decisions import read_decision, write_decision
from trainer.export import export
from trainer.predictions import predict
from trainer.saved_models import load_saved_model
from trainer.training import train

SMALL = ["embedding_dim=6", "units=4", "epochs=1", "global_batch_size=16"]
OUTPUTS = ("scores", "predicted", "attention", "gate")

ISOLATED = """
import sys, numpy as np, tensorflow as tf
path, inputs, outputs, loader = sys.argv[1:]
feed = dict(np.load(inputs))
if loader == "v2":
    model = tf.saved_model.load(path)
    said = {name: value.numpy() for name, value in model.signatures["serving_default"](
        **{name: tf.constant(value) for name, value in feed.items()}).items()}
    said["labels"] = model.signatures["labels"]()["labels"].numpy()
else:
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], path)
        said = {}
        for name in ("serving_default", "labels"):
            signature = meta.signature_def[name]
            said.update(session.run({key: info.name for key, info in signature.outputs.items()}, {
                info.name: feed[key] for key, info in signature.inputs.items()}))
assert not any(name.split(".")[0] in ("trainer", "schemas", "pipeline") for name in sys.modules)
np.savez(outputs, **{name: np.asarray(value).astype("S" if name == "labels" else None) for name, value in said.items()})
"""


@pytest.fixture(scope="module", params=["default", pytest.param("weekly_report", marks=pytest.mark.slow)])
def trained(request, tmp_path_factory):
    """A model directory and its data directory."""
    path = tmp_path_factory.mktemp(request.param)
    small_data_directory(path / "data")
    train(str(path / "data"), str(path / "model"), load_config(request.param, None, SMALL))
    return path / "model", path / "data"


def raw_inputs(windows):
    """What a client sends for these windows."""
    texts = np.array([[turn.text for turn in window.turns] + [""] * (SLOTS - len(window.turns)) for window in windows])
    return {"texts": texts.astype(bytes), "speakers": np.where(texts == "", "", "user").astype(bytes),
            "numeric": np.array([window.turns[0].numeric for window in windows], np.float32)}


def ordered_windows(data):
    """The windows of the test split in the shards' order."""
    windows = make_windows(8, 2, "test-")
    return [window for shard in range(2) for window in windows if sum(window.conversation_id.encode()) % 2 == shard]


def serve(model_dir, inputs):
    """The outputs of the SavedModel, loaded in this process."""
    loaded = tf.saved_model.load(str(model_dir / model_directory.SAVED_MODEL))
    outputs = loaded.signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def test_raw_text_gives_the_scores_of_the_keras_model(trained):
    model, data = trained
    windows = ordered_windows(data)
    expected = predict(model, data, "test", batch_size=7)
    assert expected.conversation_ids.tolist() == [window.conversation_id for window in windows]
    assert expected.turn_indices.tolist() == [window.turn_index for window in windows]
    outputs = serve(model, raw_inputs(windows))
    assert outputs["scores"].shape == (len(windows), len(LABELS))
    for name in ("scores", "attention", "gate"):
        np.testing.assert_allclose(outputs[name], getattr(expected, name), atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(outputs["predicted"], expected.predicted)


@pytest.mark.parametrize("loader", ["v1", "v2"])
def test_loads_with_tensorflow_alone(trained, loader, tmp_path):
    model, data = trained
    inputs = raw_inputs(ordered_windows(data))
    np.savez(tmp_path / "inputs.npz", **inputs)
    arguments = [model / model_directory.SAVED_MODEL, tmp_path / "inputs.npz", tmp_path / "outputs.npz", loader]
    subprocess.run([sys.executable, "-I", "-c", ISOLATED, *map(str, arguments)], cwd=tmp_path, check=True)
    outputs, expected = np.load(tmp_path / "outputs.npz"), serve(model, inputs)
    assert [label.decode() for label in outputs["labels"]] == list(LABELS)
    for name in OUTPUTS:
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-6, err_msg=name)


def test_missing_values_and_empty_slots(trained):
    model, _ = trained
    inputs = {"texts": np.array([[b"w2 w3"] + [b""] * 5] * 2), "speakers": np.full((2, SLOTS), b""),
              "numeric": np.array([[np.nan, np.nan], [3.0, 10.0]], np.float32)}
    outputs = serve(model, inputs)
    np.testing.assert_allclose(outputs["scores"][0], outputs["scores"][1], atol=1e-6)
    masked = json.loads((model / model_directory.CONFIG).read_text())["config"]["mask_history"]
    np.testing.assert_allclose(outputs["attention"], 0.0 if masked else 0.2, atol=1e-7)
    assert serve(model, {name: value[:0] for name, value in inputs.items()})["scores"].shape == (0, len(LABELS))


def test_calibration_and_thresholds_are_inside_and_labels_an_asset(trained):
    model, data = trained
    kept, version = read_decision(model), load_saved_model(model).description.version
    raw = predict(model, data, "test").raw_scores
    thresholds = np.array([0.0, 1.1, 0.0, 1.1], np.float32)
    scale, shift = np.array([1, 2, 0.5, 1], np.float32), np.array([0, 0, 1, -1], np.float32)
    changed = dataclasses.replace(kept, calibration="platt", thresholds=thresholds, scale=scale, shift=shift)
    write_decision(model, changed)
    export(model, data)
    outputs = serve(model, raw_inputs(ordered_windows(data)))
    np.testing.assert_array_equal(outputs["predicted"], [[True, False, True, False]] * len(outputs["scores"]))
    logits = np.log(raw / (1 - raw))
    np.testing.assert_allclose(outputs["scores"], 1 / (1 + np.exp(-(scale * logits + shift))), atol=1e-6)
    description = load_saved_model(model).description
    assert description.labels == LABELS and description.target_speakers == ("user",) and description.slots == SLOTS
    np.testing.assert_array_equal(np.array(description.thresholds, np.float32), thresholds)
    assert description.version != version
    asset = model / model_directory.SAVED_MODEL / "assets" / model_directory.LABELS_ASSET
    assert json.loads(asset.read_text("utf-8")) == list(LABELS)
    assert not list(model.glob("tmp-*"))
    write_decision(model, kept)
    export(model, data)
    assert load_saved_model(model).description.version == version


def test_a_data_directory_without_windows_in_the_split(trained, tmp_path):
    model, _ = trained
    write_data_directory(tmp_path / "empty", {"train": make_windows(3, 5), "test": []})
    with pytest.raises(DataRefused, match="no windows in its test split"):
        predict(model, tmp_path / "empty", "test")
