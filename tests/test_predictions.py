"""Predictions of a split: by token ids, by raw texts, with changed windows, and of a model of other data."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from schemas import data_directory, model_directory
from schemas.data_directory import read_manifest
from schemas.exit_status import UsageError
from tests.data_directories import LABELS, small_data_directory
from trainer.changes import CHANGES, EMPTY, rearranged
from trainer.config import load_config
from trainer.decisions import read_decision
from trainer.predictions import predict, predict_by_signature
from trainer.training import train

SETTINGS = ["embedding_dim=6", "units=4", "epochs=2", "global_batch_size=16"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model directory and its data directory."""
    path = tmp_path_factory.mktemp("predictions")
    small_data_directory(path / "data")
    train(str(path / "data"), str(path / "model"), load_config("default", None, SETTINGS))
    return path / "model", path / "data"


def assert_equal(one, other):
    for name in ("scores", "attention", "gate"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5, err_msg=name)
    for name in ("labels", "turn_lengths", "turn_keys", "speakers", "texts", "conversation_ids", "turn_indices",
                 "thresholds", "predicted"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("change", [None, *CHANGES])
def test_token_ids_and_raw_texts_give_the_same(trained, change):
    by_ids, by_texts = (ask(*trained, "test", change=CHANGES.get(change)) for ask in (predict, predict_by_signature))
    assert_equal(by_ids, by_texts)
    unchanged = predict(*trained, "test")
    np.testing.assert_array_equal(by_ids.turn_lengths, unchanged.turn_lengths)
    assert np.array_equal(by_ids.scores, unchanged.scores) == (change is None)
    assert (by_texts.missing_labels, by_texts.extra_labels) == ([], [])


def test_the_model_directorys_decision_makes_scores_and_labels(trained):
    found, decision = predict(*trained, "test"), read_decision(trained[0])
    assert decision.windows and decision.calibration == "temperature" and decision.policy == "max_f1"
    np.testing.assert_allclose(found.scores, decision.probabilities(found.raw_scores), atol=1e-7)
    np.testing.assert_array_equal(found.predicted, found.scores >= decision.thresholds)


def test_only_so_many(trained):
    every, some = predict(*trained, "train"), predict(*trained, "train", limit=20, batch_size=8)
    assert len(some.scores) == 20
    np.testing.assert_allclose(some.scores, every.scores[:20], atol=1e-6)


def test_a_model_of_other_data_is_asked_with_raw_texts_and_labels_are_matched_by_name(trained, tmp_path):
    model, data = trained
    expected = predict(model, data, "test")
    shutil.copytree(data, tmp_path / "other")
    names = [LABELS[2], "new", LABELS[0], LABELS[3]]
    labels = json.loads((data / data_directory.LABELS).read_text("utf-8")) | {"labels": names}
    (tmp_path / "other" / data_directory.LABELS).write_text(json.dumps(labels), "utf-8")
    for path in (model, model / model_directory.SAVED_MODEL):
        found = predict(path, tmp_path / "other", "test")
        assert (found.label_names, found.missing_labels, found.extra_labels) == (names, ["new"], [LABELS[1]])
        np.testing.assert_allclose(found.scores[:, [0, 2, 3]], expected.scores[:, [2, 0, 3]], atol=1e-5)
        np.testing.assert_array_equal(found.predicted[:, [0, 2, 3]], expected.predicted[:, [2, 0, 3]])
        assert not found.scores[:, 1].any() and not found.predicted[:, 1].any()


def test_a_model_of_other_sizes(trained, tmp_path):
    model, data = trained
    shutil.copytree(data, tmp_path / "other")
    manifest = dataclasses.replace(read_manifest(data), history_turns=2)
    (tmp_path / "other" / data_directory.MANIFEST).write_text(manifest.to_json(), "utf-8")
    with pytest.raises(UsageError, match="takes windows with 6 slots, history of all .*; those of .* have 3 slots"):
        predict(model, tmp_path / "other", "test")


def test_what_is_no_model(tmp_path, trained):
    with pytest.raises(UsageError, match="is no completed model directory"):
        predict(tmp_path, trained[1], "test")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UsageError, match="can't load the SavedModel"):
        predict(tmp_path, trained[1], "test")


PRESENT = np.array([[True, True, True, True], [True, True, False, False], [True, False, True, True]])


@pytest.mark.parametrize(("name", "expected"), [
    ("history dropped", [[0, EMPTY, EMPTY, EMPTY]] * 3),
    ("only the last turn", [[0, 1, EMPTY, EMPTY], [0, 1, EMPTY, EMPTY], [0, EMPTY, EMPTY, EMPTY]]),
    ("scalars zeroed", [[0, 1, 2, 3], [0, 1, EMPTY, EMPTY], [0, EMPTY, 2, 3]]),
])
def test_changes(name, expected):
    np.testing.assert_array_equal(CHANGES[name].slots(PRESENT, 0), expected)


def test_shuffled_history_is_the_same_turns_in_their_slots():
    present = np.repeat(PRESENT, 50, axis=0)
    source = CHANGES["history shuffled"].slots(present, 0)
    np.testing.assert_array_equal(source != EMPTY, present)
    assert (source[:, 0] == 0).all()
    for row, there in zip(source, present, strict=True):
        assert sorted(row[there]) == np.flatnonzero(there).tolist()
    assert {tuple(row[1:]) for row in source[:50]} == {(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)}
    np.testing.assert_array_equal(source, CHANGES["history shuffled"].slots(present, 0))


def test_slots_are_filled_from_their_sources():
    values = np.arange(12).reshape(1, 3, 4)
    found = rearranged(values, np.array([[2, EMPTY, 0]]), -1)
    np.testing.assert_array_equal(found, [[[8, 9, 10, 11], [-1] * 4, [0, 1, 2, 3]]])
