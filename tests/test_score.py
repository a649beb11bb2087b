"""`score` from logs to predictions, with a SavedModel that tells by its scores what it was given."""

import gzip
import json
import random

import numpy as np
import pytest

from schemas.exit_status import DATA_REFUSED, DONE, USAGE
from schemas.predictions_directory import COLUMNS
from schemas.turn_log import REJECT_REASONS
from tests.scored_logs import (
    DERIVED,
    FAILING,
    LABELS,
    NOT_A_NUMBER,
    description,
    predictions,
    score,
    scored,
    shard_bytes,
    write_model,
)
from tests.turn_logs import dialogues, rejects, row, write_jsonl

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", dialogues())


@pytest.fixture(scope="module")
def directory(log, model, tmp_path_factory):
    return scored(log, model, tmp_path_factory.mktemp("scored") / "predictions")


def manifest(directory):
    return json.loads((directory / "manifest.json").read_text("utf-8"))


def metrics(directory):
    return json.loads((directory / "metrics.json").read_text("utf-8"))


def by_turn(found):
    return {(item["conversation_id"], item["turn_index"]): item for item in found}


def test_every_turn_of_the_target_speakers_gets_a_prediction(tmp_path, model):
    texts = ["a" * 1, "b" * 2, "c" * 31, "", "e" * 5, "f" * 6]
    rows = [row("c", 10 * n, text, "agent" if n % 2 else "user") for n, text in enumerate(texts)]
    rows += [row("d", 0, "d" * 7)]
    found = by_turn(predictions(scored(write_jsonl(tmp_path / "l.jsonl", rows[::-1]), model, tmp_path / "out")))
    assert sorted(found) == [("c", 0), ("c", 20), ("c", 40), ("d", 0)]
    for item in found.values():
        assert list(item) == list(COLUMNS) and list(item["scores"]) == list(LABELS)
        assert item["model_version"] == description().version
    last = found["c", 40]
    # The last scalar is the seconds since the previous turn, which is missing.
    np.testing.assert_allclose(list(last["scores"].values()), [0.05, 0.5, 0.5], atol=1e-7)
    np.testing.assert_allclose(last["attention"], [0.0, 0.31, 0.02], atol=1e-7)
    assert last["gate"] == 0.5 and last["labels"] == list(LABELS[1:])
    assert found["c", 20]["labels"] == [LABELS[0], LABELS[1]]
    assert found["d", 0]["attention"] == [0, 0, 0] and found["d", 0]["gate"] == 0.25


def test_the_manifest_and_the_books(directory, log):
    said, rows = manifest(directory), predictions(directory)
    targets = [item for item in dialogues() if item["speaker"] == "user"]
    assert len(rows) == len(targets) == 36
    assert said["books"] == {"turns_read": 72, "turns_rejected": {}, "history_only": 36, "scored": 36}
    assert said["model_version"] == description().version and said["target_speakers"] == ["user"]
    assert said["inputs"] == [{"path": str(log), "size": log.stat().st_size}]
    assert [shard["name"] for shard in said["shards"]] == sorted(path.name for path in directory.glob("predictions-*"))
    assert sum(shard["records"] for shard in said["shards"]) == 36
    names = {path.name for path in directory.iterdir() if not path.name.startswith("predictions-")}
    assert names == {"config.json", "manifest.json", "metrics.json", "COMPLETED", "rejected"}
    assert not rejects(directory)


def test_windows_of_a_conversation_lie_together_and_in_order(directory):
    for path in directory.glob("predictions-*"):
        found = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        places = [(item["conversation_id"], item["turn_index"]) for item in found]
        starts = [name for n, (name, _) in enumerate(places) if not n or places[n - 1][0] != name]
        assert len(starts) == len(set(starts))
        assert all(a[1] < b[1] for a, b in zip(places, places[1:], strict=False) if a[0] == b[0])


def test_the_speakers_can_be_named(tmp_path, log, model, capsys):
    both = scored(log, model, tmp_path / "both", "--target_speakers", "agent,user")
    assert manifest(both)["books"]["scored"] == 72 and manifest(both)["target_speakers"] == ["agent", "user"]
    capsys.readouterr()
    none = scored(log, model, tmp_path / "none", "--target_speakers", "stranger")
    assert "warning: no turn is of stranger" in capsys.readouterr().err
    assert manifest(none)["books"] == {"turns_read": 72, "turns_rejected": {}, "history_only": 72, "scored": 0}
    assert not predictions(none) and not (none / "metrics.json").exists()


def test_history_of_the_same_speaker(tmp_path):
    model = write_model(tmp_path / "model", description(history="same_speaker"))
    rows = [row("a", n, "x" * (10 + n), "agent" if n % 2 else "user") for n in range(7)]
    found = by_turn(predictions(scored(write_jsonl(tmp_path / "l.jsonl", rows), model, tmp_path / "out")))
    np.testing.assert_allclose(found["a", 6]["attention"], [0.14, 0.12, 0.10], atol=1e-7)
    assert found["a", 6]["gate"] == 1.0


def test_numeric_features_are_read_by_the_models_names(tmp_path):
    model = write_model(tmp_path / "model", description(numeric_features=(*DERIVED, "price")))
    rows = [row("a", n, cost=cost) for n, cost in enumerate([0.125, None, 3])] + [row("a", 3)]
    log = write_jsonl(tmp_path / "l.jsonl", [*rows, row("a", 4, cost="free")])
    out = scored(log, model, tmp_path / "out", "--columns", "price=cost", "--max_bad_fraction", "0.5")
    assert [item["scores"][LABELS[1]] for item in sorted(predictions(out), key=lambda item: item["turn_index"])] == [
        0.125, 0.5, 3, 0.5]
    assert [item["reason"] for item in rejects(out)] == ["bad_number"]


def test_seconds_since_the_turn_before_are_a_scalar(tmp_path, model):
    rows = [row("a", n, timestamp=time) for n, time in enumerate([100.0, 100.25, 101.0])]
    found = predictions(scored(write_jsonl(tmp_path / "l.jsonl", rows), model, tmp_path / "out"))
    assert [item["scores"][LABELS[1]] for item in found] == [0, 0.25, 0.75]


def test_formats_hold_the_same(tmp_path, directory, log, model):
    for name in set(FORMATS) - {"jsonl.gz"}:
        other = scored(log, model, tmp_path / name, "--format", name)
        found, expected = predictions(other), predictions(directory)
        assert [set(item) for item in found] == [set(COLUMNS)] * 36
        for item, wanted in zip(found, expected, strict=True):
            # JSON has the shortest text that reads back as the same float32.
            for key in ("scores", "attention", "gate"):
                item[key], wanted[key] = np.float32(_values(item[key])), np.float32(_values(wanted[key]))
                assert np.array_equal(item.pop(key), wanted.pop(key))
            assert item == wanted
        assert len(list(other.glob(f"predictions-*.{name}"))) == 8


def _values(value):
    return list(value.values()) if isinstance(value, dict) else value


def test_what_is_written_can_be_cut(tmp_path, model):
    rows = [row("a", n, "x" * size, speaker) for n, (size, speaker) in
            enumerate([(90, "user"), (50, "user"), (1, "agent"), (1, "user")])]
    log = write_jsonl(tmp_path / "l.jsonl", rows)
    cut = predictions(scored(log, model, tmp_path / "cut", "--top_k", "1", "--min_score", "0.3", "--no_attention"))
    # Of equal scores the first label's is kept; what is below the least score is left out even so.
    assert [list(item["scores"]) for item in cut] == [[LABELS[0]], [LABELS[0]], [LABELS[1]]]
    assert all("attention" not in item and "gate" not in item for item in cut)
    # Labels are those that the model says, whatever is cut.
    assert [item["labels"] for item in cut] == [list(LABELS[:2]), list(LABELS[:2]), [LABELS[1]]]
    least = predictions(scored(log, model, tmp_path / "least", "--min_score", "0.51"))
    assert [list(item["scores"]) for item in least] == [[LABELS[0]], [], []]


def test_labels_in_the_log_give_metrics(tmp_path, model):
    truth = [["long"], [], ["unknown", LABELS[1], LABELS[1]], None, ["gone"], ["old name"]]
    rows = [row(f"c{n}", 0, "x" * (30 if n < 2 else 3), labels=labels) for n, labels in enumerate(truth)]
    (tmp_path / "map.yaml").write_text("old name: long\ngone: null\n")
    out = scored(write_jsonl(tmp_path / "l.jsonl", rows), model, tmp_path / "out",
                 "--label_map", tmp_path / "map.yaml")
    # Every turn is said to have the second label, and the first two to be long. c3 has no labels, c4 has lost its own.
    said = metrics(out)
    assert said["model_version"] == description().version and said["windows"] == 4
    assert said["unknown_labels"] == {"unknown": 1}
    assert [(item["support"], item["predicted"], item["precision"], item["recall"]) for item in said["per_label"]] == [
        (2, 2, 0.5, 0.5), (1, 4, 0.25, 1.0), (0, 0, 0.0, 0.0)]
    assert said["micro"]["precision"] == 2 / 6 and said["micro"]["recall"] == 2 / 3
    assert said["exact_match"] == 0.25 and said["hamming_loss"] == 5 / 12
    assert manifest(out)["books"]["scored"] == 6


def test_the_metrics_of_a_log_without_labels_are_not_written(tmp_path, model):
    out = scored(write_jsonl(tmp_path / "l.jsonl", [row("a", 0)]), model, tmp_path / "out")
    assert not (out / "metrics.json").exists() and len(predictions(out)) == 1


def test_a_batch_that_fails_is_bisected(tmp_path, model):
    texts = [f"w{n}" for n in range(40)]
    texts[7] = texts[8] = texts[23] = FAILING
    texts[31] = NOT_A_NUMBER
    rows = [row("c", n, text, labels=["long"] if n == 7 else None) for n, text in enumerate(texts)]
    path = write_jsonl(tmp_path / "l.jsonl", rows)
    out = scored(path, model, tmp_path / "out", "--max_bad_fraction", "0.2")
    # The failure is the turn's own. Turns after a NaN have it in their history, and their attention with it.
    lost = [7, 8, 23, 31, 32, 33, 34]
    assert [item["turn_index"] for item in predictions(out)] == [n for n in range(40) if n not in lost]
    assert manifest(out)["books"] == {
        "turns_read": 40, "turns_rejected": {"scoring_failed": 7}, "history_only": 0, "scored": 33}
    found = rejects(out)
    assert [item["reason"] for item in found] == ["scoring_failed"] * 7
    for item, turn in zip(found, lost, strict=True):
        assert item["file"] == str(path)
        assert json.loads(path.read_bytes()[item["position"] :].split(b"\n")[0])["turn_index"] == turn
        content = json.loads(item["content"])
        assert (content["conversation_id"], content["turn_index"], content["text"]) == ("c", turn, texts[turn])
        assert ("Assert" in content["error"]) == (turn in (7, 8, 23)) and "\n" not in content["error"]
    assert "no finite number" in json.loads(found[3]["content"])["error"]
    assert json.loads(found[0]["content"])["labels"] == ["long"] and not (out / "metrics.json").exists()
    small = scored(path, model, tmp_path / "small", "--max_bad_fraction", "0.2", "--batch_windows", "3")
    assert shard_bytes(small) == shard_bytes(out)


def test_every_reason_for_a_reject(tmp_path):
    model = write_model(tmp_path / "model", description(numeric_features=(*DERIVED, "price")))
    lines = [
        b"{", b"[1]", b'{"speaker": "user", "speaker": "agent", "conversation_id": "a"}', b'"\xff"',
        json.dumps(row("a", 0, "x" * 2000)).encode(),
        row("a", 0, None), row("a", 0, 5), row("a", 0.5), row("a", 0, timestamp="noon"), row("a", 0, labels="x"),
        row("a", 0, price="dear"), row("a", None), row("b", 0), row("b", None, timestamp=5.0), row("b", 0),
        row("d", 0, FAILING),
    ]
    write_jsonl(tmp_path / "1.jsonl", lines)
    (tmp_path / "2.csv").write_text("conversation_id,turn_index,speaker,text\nd,1,user,well,done\n")
    (tmp_path / "3.jsonl.gz").write_bytes(gzip.compress(json.dumps(row("e", 0)).encode() * 9, mtime=0)[:-9])
    out = scored(tmp_path / "?.*", model, tmp_path / "out", "--max_bad_fraction", "1", "--max_line_bytes", "1000")
    found = rejects(out)
    assert {item["reason"] for item in found} == set(REJECT_REASONS)
    assert manifest(out)["books"]["turns_rejected"] == {
        reason: sum(item["reason"] == reason for item in found) for reason in sorted(REJECT_REASONS)}
    assert [item["conversation_id"] for item in predictions(out)] == ["b"]


def test_too_many_rejects_refuse_the_input_but_their_shards_are_kept(tmp_path, model, capsys):
    log = write_jsonl(tmp_path / "l.jsonl", [row("a", 0), b"{", row("b", 0, FAILING)])
    assert score(log, model, tmp_path / "out") == DATA_REFUSED
    error = capsys.readouterr().err
    assert "2 of 3 rows are rejected" in error and "--max_bad_fraction 0.01" in error
    assert not (tmp_path / "out" / "COMPLETED").exists() and len(rejects(tmp_path / "out")) == 2
    assert score(log, model, tmp_path / "out", "--max_bad_fraction", "0.7") == DONE
    assert "8 of them finished before" in capsys.readouterr().out
    assert manifest(tmp_path / "out")["books"]["turns_rejected"] == {"invalid_json": 1, "scoring_failed": 1}
    assert len(rejects(tmp_path / "out")) == 2


@pytest.mark.parametrize("name", ["jsonl.gz", "parquet"])
def test_hostile_ids_and_texts(tmp_path, model, name):
    ids = ['"', "\\", "\n", "\r\n", "\x00", "\u2028", "{}", "😀" * 50, "../../up", "a" * 5000, "=1+1", "<script>"]
    rows = [row(item, 0, item, labels=[item, *LABELS]) for item in ids]
    out = scored(write_jsonl(tmp_path / "l.jsonl", rows), model, tmp_path / "out", "--format", name)
    found = {item["conversation_id"]: item for item in predictions(out)}
    assert set(found) == set(ids)
    for item in ids:
        np.testing.assert_allclose(found[item]["scores"]["long"], len(item.encode()) / 100, rtol=1e-6)
        assert list(found[item]["scores"]) == list(LABELS)
    assert set(metrics(out)["unknown_labels"]) == set(ids)


@pytest.mark.parametrize("name", ["jsonl.zst", "parquet"])
def test_an_empty_input_and_empty_buckets(tmp_path, model, name):
    (tmp_path / "l.jsonl").write_bytes(b"\n\n")
    empty = scored(tmp_path / "l.jsonl", model, tmp_path / "empty", "--format", name)
    assert manifest(empty)["books"] == {"turns_read": 0, "turns_rejected": {}, "history_only": 0, "scored": 0}
    assert predictions(empty) == [] and len(shard_bytes(empty)) == 8
    one = scored(write_jsonl(tmp_path / "1.jsonl", [row("a", 0)]), model, tmp_path / "one", "--format", name)
    assert sorted(shard["records"] for shard in manifest(one)["shards"]) == [0] * 7 + [1]
    assert len(predictions(one)) == 1


def test_order_and_number_of_the_input_do_not_matter(tmp_path, directory, model):
    rows = dialogues()
    random.Random(1).shuffle(rows)
    for n in range(3):
        write_jsonl(tmp_path / f"{'zay'[n]}.jsonl", rows[n::3])
    other = scored(tmp_path / "*.jsonl", model, tmp_path / "out", "--direct_running_mode=multi_threading",
                   "--direct_num_workers=3", "--runner=FnApiRunner")
    assert shard_bytes(other) == shard_bytes(directory) and metrics(other) == metrics(directory)


def test_a_model_directory_or_its_saved_model(tmp_path, log, directory):
    write_model(tmp_path / "model" / "saved_model")
    assert shard_bytes(scored(log, tmp_path / "model", tmp_path / "out")) == shard_bytes(directory)


def _no_asset(path):
    (path / "assets" / "model.json").unlink()


def _damaged_asset(path):
    (path / "assets" / "model.json").write_text("{")


def _newer_asset(path):
    asset = path / "assets" / "model.json"
    asset.write_text(asset.read_text("utf-8").replace('"schema_version": 1', '"schema_version": 2'))


def _damaged_graph(path):
    (path / "saved_model.pb").write_bytes(b"\xff")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_no_asset, "holds no SavedModel"),
        (_damaged_asset, "model.json is damaged"),
        (_newer_asset, "has schema version 2; this program reads 1"),
        (_damaged_graph, "can't load the SavedModel"),
    ],
)
def test_a_harmed_model_is_refused_before_anything_is_written(tmp_path, log, harm, said, capsys):
    harm(write_model(tmp_path / "model"))
    assert score(log, tmp_path / "model", tmp_path / "out") == USAGE
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_model_that_answers_nothing_is_refused(tmp_path, log, capsys):
    model = write_model(tmp_path / "model", fails=".*")
    assert score(log, model, tmp_path / "out") == USAGE
    assert "gives no answer" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["nowhere", "log.jsonl", "nosuch://bucket/model"])
def test_a_wrong_model_path(tmp_path, log, path, capsys):
    write_jsonl(tmp_path / "log.jsonl", [])
    assert score(log, path if "://" in path else tmp_path / path, tmp_path / "out") == USAGE
    error = capsys.readouterr().err
    assert "--model_dir" in error and path in error and error.count("\n") == 1


def test_a_model_without_target_speakers_needs_them_named(tmp_path, log, capsys):
    model = write_model(tmp_path / "model", description(target_speakers=()))
    assert score(log, model, tmp_path / "out") == USAGE
    assert "name them with --target_speakers" in capsys.readouterr().err
    assert score(log, model, tmp_path / "out", "--target_speakers", "user") == DONE
