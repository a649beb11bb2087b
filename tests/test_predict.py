"""Predictions of the exported SavedModel: which windows, which words, and how they are shown."""

import dataclasses
import shutil

import numpy as np
import pytest

from schemas import model_directory
from schemas.data_directory import read_manifest
from schemas.exit_status import DataRefused, UsageError
from tests.data_directories import LABELS, SLOTS, make_windows, write_data_directory
from trainer.__main__ import parse_args
from trainer.config import load_config
from trainer.predict import Answer, ask, describe, run
from trainer.predictions import predict
from trainer.training import train
from trainer.windows import Window, read_windows, spread

SETTINGS = ["embedding_dim=6", "units=5", "epochs=1", "global_batch_size=16"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model directory and its data directory."""
    path = tmp_path_factory.mktemp("predict")
    splits = {"train": make_windows(12, 1, "train-"), "test": make_windows(6, 2, "test-"), "validation": []}
    write_data_directory(path / "data", splits)
    train(str(path / "data"), str(path / "model"), load_config("masked_lstm", None, SETTINGS))
    return path / "model", path / "data"


@pytest.fixture
def data(trained, tmp_path):
    """A data directory to damage."""
    shutil.copytree(trained[1], tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(("total", "count", "rows"), [
    (8, 2, [2, 6]), (8, 4, [1, 3, 5, 7]), (2, 5, [0, 1]), (10, 1, [5]), (0, 3, []),
])
def test_windows_come_from_all_over_the_split(total, count, rows):
    assert spread(total, count) == rows


def test_windows_are_as_their_log_has_them(trained):
    _, data = trained
    windows = {(window.conversation_id, window.turn_index): window for window in make_windows(6, 2, "test-")}
    read = read_windows(data, read_manifest(data), "test", range(len(windows)))
    assert len(read) == len(windows)
    for window in read:
        expected = windows[window.conversation_id, window.turn_index]
        assert window.texts == (*(turn.text for turn in expected.turns), *[""] * (SLOTS - len(expected.turns)))
        assert window.labels == tuple(label for label, there in zip(LABELS, expected.labels, strict=True) if there)
        np.testing.assert_array_equal(window.numeric, expected.turns[0].numeric)
        spoken = ["agent" if slot % 2 == 0 else "user" for slot in range(SLOTS)]
        there = [bool(turn.ids) for turn in expected.turns] + [False] * (SLOTS - len(expected.turns))
        assert window.speakers == tuple(who if said else "" for who, said in zip(spoken, there, strict=True))


def test_windows_come_in_the_order_asked_for(trained):
    _, data = trained
    manifest = read_manifest(data)
    every = read_windows(data, manifest, "test", range(10))
    found = read_windows(data, manifest, "test", [7, 2, 7])
    assert [window.turn_index for window in found] == [every[row].turn_index for row in (7, 2, 7)]


def test_the_answers_are_the_keras_models(trained):
    model, data = trained
    manifest = read_manifest(data)
    expected = predict(model, data, "test")
    windows = read_windows(data, manifest, "test", range(len(expected.scores)))
    assert [window.conversation_id for window in windows] == expected.conversation_ids.tolist()
    answers = ask(model, windows, manifest)
    assert [list(answer.scores) for answer in answers] == [list(LABELS)] * len(windows)
    np.testing.assert_allclose([list(answer.scores.values()) for answer in answers], expected.scores, atol=1e-6)
    np.testing.assert_allclose([answer.attention for answer in answers], expected.attention, atol=1e-6)
    assert [answer.predicted for answer in answers] == [
        tuple(label for label, said in zip(LABELS, row, strict=True) if said) for row in expected.predicted]


def test_a_window_as_people_read_it():
    window = Window("c\x1b[31m", 7, ("那 个", "", "which one ?", "hi"), ("user", "agent", "", "user"), (),
                    ("select", "预订"))
    answer = Answer({"select": 0.7, "预订": 0.9, "pay": 0.1}, ("select", "预订"), (0.6, 0.3, 0.1))
    # The slot with the largest attention has no words: the next one is shown.
    assert describe(window, answer) == "\n".join((
        "conversation c\\u001b[31m  turn 7",
        "  turn       user: 那 个",
        "  history    ?: which one ?  (2 back, attention 0.30)",
        "  labels     select, 预订",
        "  predicted  预订 0.90, select 0.70",
    ))


def test_a_window_of_nothing():
    window = Window("c", 0, ("", ""), ("", ""), (), ())
    assert describe(window, Answer({"a": 0.2, "b": 0.4}, (), (0.0,))).splitlines()[1:] == [
        "  turn       ?: (no words)",
        "  history    (none)",
        "  labels     (none)",
        "  predicted  (none; nearest: b 0.40)",
    ]


def test_so_many_windows_are_printed(trained, capsys):
    model, data = trained
    run(parse_args(["predict", "--model_dir", str(model), "--data_dir", str(data), "--windows", "3"]))
    assert capsys.readouterr().out.count("conversation test-") == 3
    assert parse_args(["predict", "--model_dir", "m", "--data_dir", "d"]).windows == 10


def test_an_empty_split(trained):
    model, data = trained
    with pytest.raises(DataRefused, match="no windows in its validation split"):
        run(parse_args(["predict", "--model_dir", str(model), "--data_dir", str(data), "--split", "validation"]))


def test_a_shard_that_is_too_short(data):
    manifest = read_manifest(data)
    longer = dataclasses.replace(manifest, shards=tuple(
        dataclasses.replace(shard, records=shard.records + 100) for shard in manifest.shards))
    with pytest.raises(DataRefused, match="fewer records than the manifest says"):
        read_windows(data, longer, "test", [1000])


@pytest.mark.parametrize("content", [b"no gzip", None])
def test_a_damaged_shard(data, content):
    for shard in read_manifest(data).shards_of("test"):
        (data / shard.name).unlink()
        if content:
            (data / shard.name).write_bytes(content)
    with pytest.raises(DataRefused, match="can't read the shards"):
        read_windows(data, read_manifest(data), "test", [0])


def test_a_model_for_other_windows(trained):
    manifest = dataclasses.replace(read_manifest(trained[1]), history_turns=2, numeric_features=("turn_index",))
    with pytest.raises(UsageError, match="with 6 slots, history of all .* have 3 slots, .*scalars turn_index$"):
        ask(trained[0], [], manifest)


def test_a_damaged_saved_model(trained, tmp_path):
    (tmp_path / model_directory.SAVED_MODEL).mkdir()
    with pytest.raises(UsageError, match="can't load the SavedModel"):
        ask(tmp_path, [], read_manifest(trained[1]))


@pytest.mark.parametrize("windows", ["0", "-1", "x", "²"])
def test_wrong_number_of_windows(windows):
    with pytest.raises(SystemExit) as ended:
        parse_args(["predict", "--model_dir", "m", "--data_dir", "d", "--windows", windows])
    assert ended.value.code == 2
