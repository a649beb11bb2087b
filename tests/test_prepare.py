"""`prepare` from files to a data directory."""

import gzip
import json
import random
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from pipeline.__main__ import main
from schemas.data_directory import SPLITS, read_labels, read_manifest, sha256_of
from schemas.exit_status import DATA_REFUSED, DONE, USAGE
from tests.turn_logs import (
    SHARED,
    dialogues,
    prepare,
    prepared,
    rejects,
    row,
    window_texts,
    windows,
    write_csv,
    write_jsonl,
    write_parquet,
)

ALL_TRAIN = ("--split", "train:1")


def shards(directory):
    return {path.name: sha256_of(path) for path in directory.glob("*.tfrecord.gz")}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", dialogues())


@pytest.fixture(scope="module")
def directory(log, tmp_path_factory):
    return prepared(log, tmp_path_factory.mktemp("data") / "data", "--split", "train:6,validation:2,test:2")


def test_windows_hold_the_turn_its_history_labels_and_scalars(tmp_path):
    rows = [
        row("a", 0, "one", timestamp=10.0),
        row("a", 1, "two", "agent", timestamp=20.0),
        row("a", 5, "three one", labels=["y", "x", "y"], timestamp=50.0),
        row("b", 0, "four", labels=[]),
    ]
    directory = prepared(write_jsonl(tmp_path / "l.jsonl", rows[::-1]), tmp_path / "d", *ALL_TRAIN)
    found = {window["conversation_id"].decode(): window for window in windows(directory)}
    assert window_texts(directory, found["a"]) == ["three one", "two", "one", "", "", ""]
    assert window_texts(directory, found["b"]) == ["four", "", "", "", "", ""]
    assert read_labels(directory) == ["x", "y"]
    assert found["a"]["labels"].tolist() == [1, 1] and found["b"]["labels"].tolist() == [0, 0]
    assert found["a"]["turn_index"] == 5
    manifest = read_manifest(directory)
    assert manifest.speakers == ("user", "agent") and manifest.target_speakers == ("user",)
    assert found["a"]["speakers"].tolist() == [2, 3, 2, 0, 0, 0]
    # turn_index 5 and 0: mean 2.5, deviation 2.5. The seconds of b are missing; those of a stand alone: deviation 0.
    assert found["a"]["numeric"].tolist() == [1.0, 0.0] and found["b"]["numeric"].tolist() == [-1.0, 0.0]
    # "one" stands in two slots of different turns, "three one" in one: keys follow the tokens.
    keys = found["a"]["turn_keys"]
    assert len(set(keys.tolist())) == 4 and keys[3:].tolist() == [0, 0, 0]


def test_history_of_the_same_speaker(tmp_path):
    rows = [row("a", n, f"w{n}", "user" if n % 2 else "agent", ["x"] if n == 5 else None) for n in range(6)]
    directory = prepared(
        write_jsonl(tmp_path / "l.jsonl", rows),
        tmp_path / "d",
        *ALL_TRAIN,
        "--history",
        "same_speaker",
        "--history_turns",
        "3",
    )
    (window,) = windows(directory)
    assert window_texts(directory, window) == ["w5", "w3", "w1", ""]


def test_no_conversation_lies_in_two_splits(directory):
    ids = [{window["conversation_id"] for window in windows(directory, split)} for split in SPLITS]
    assert all(ids) and sum(map(len, ids)) == len(set.union(*ids)) == 12


def test_a_conversations_windows_are_contiguous_and_in_order(directory):
    found = [(window["conversation_id"], int(window["turn_index"])) for window in windows(directory)]
    starts = [name for n, (name, _) in enumerate(found) if not n or found[n - 1][0] != name]
    assert len(starts) == len(set(starts))
    assert all(a[1] < b[1] for a, b in zip(found, found[1:], strict=False) if a[0] == b[0])


def test_nothing_is_learnt_from_validation_and_test(tmp_path, directory):
    """What the other splits alone have is in no vocabulary, label list or scalar."""
    train = {window["conversation_id"].decode() for window in windows(directory)}
    rows = dialogues()
    for item in rows:
        if item["conversation_id"] not in train:
            item |= {
                "text": "secret words " + item["text"],
                "speaker": "stranger",
                "timestamp": 7e9 + item["turn_index"] ** 3,
            }
            if "labels" in item:
                item["labels"] = ["secret_label", *item["labels"]]
    other = prepared(write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "d", "--split", "train:6,validation:2,test:2")
    for name in ("transform/transform_fn/assets/tokens", "labels.json"):
        assert (other / name).read_bytes() == (directory / name).read_bytes()
    for window, same in zip(windows(other), windows(directory), strict=True):
        assert all(np.array_equal(window[name], same[name]) for name in window)
    statistics = json.loads((other / "statistics.json").read_text())["splits"]
    assert statistics["test"]["unseen_labels"] == {"secret_label": len(windows(other, "test"))}
    assert set(windows(other, "test")[0]["speakers"].tolist()) <= {0, 1}


def test_the_transform_graph_gives_the_ids_and_scalars_of_the_shards(directory, log):
    check_parity(directory, log)


@pytest.mark.parametrize("source", ["crosswoz", "sgd"])
def test_the_transform_graph_gives_the_ids_of_the_shards_on_real_logs(source, tmp_path):
    path = SHARED / "data" / {"crosswoz": "crosswoz/val.json", "sgd": "sgd/dev/dialogues_001.json"}[source]
    if not path.exists():
        pytest.skip(f"the real {source} dialogues are not there")
    log = tmp_path / "log.jsonl"
    assert main(["convert", "--format", source, "--input", str(path), "--output", str(log)]) == DONE
    check_parity(prepared(log, tmp_path / "data", "--max_tokens", "20"), log)


def check_parity(directory, log):
    """Every turn of every window, through the saved graph, is what the shards say."""
    import tensorflow as tf

    manifest = read_manifest(directory)
    rows = map(json.loads, log.read_text("utf-8").split("\n")[:-1])
    turns = {(item["conversation_id"], item["turn_index"]): item for item in rows}
    graph = tf.saved_model.load(str(directory / "transform/transform_fn"))
    found = [window for split in SPLITS for window in windows(directory, split)]
    rows = [turns[window["conversation_id"].decode(), int(window["turn_index"])] for window in found]
    count, scalars = len(found), len(manifest.numeric_features)
    previous = [turns.get((item["conversation_id"], item["turn_index"] - 1), {}) for item in rows]
    seconds = [
        item.get("timestamp", np.nan) - before.get("timestamp", item.get("timestamp", np.nan))
        for item, before in zip(rows, previous, strict=True)
    ]
    given = graph.transform_fn(
        {
            "text": tf.constant([item["text"] for item in rows]),
            "numeric": tf.constant(np.stack([[item["turn_index"] for item in rows], seconds], 1).astype(np.float32)),
            "token": tf.fill([count], ""),
            "token_count": tf.zeros([count], tf.int64),
            "numeric_moments": tf.zeros([count, 2 * scalars]),
        }
    )
    for window, ids, numeric in zip(found, given["token_ids"].numpy(), given["numeric"].numpy(), strict=True):
        length = window["turn_lengths"][0]
        assert ids[:length].tolist() == window["token_ids"][:length].tolist() and not ids[length:].any()
        assert numeric.tolist() == window["numeric"].tolist()


def test_order_of_files_and_rows_does_not_matter(tmp_path, log, directory):
    rows = dialogues()
    random.Random(1).shuffle(rows)
    for n in range(3):
        write_jsonl(tmp_path / f"{'zay'[n]}.jsonl", rows[n::3])
    other = prepared(tmp_path / "*.jsonl", tmp_path / "d", "--split", "train:6,validation:2,test:2")
    assert shards(other) == shards(directory)


@pytest.mark.parametrize(
    "flags",
    [
        ("--direct_running_mode=multi_threading", "--direct_num_workers=3"),
        pytest.param(("--direct_running_mode=multi_processing", "--direct_num_workers=2"), marks=pytest.mark.slow),
    ],
)
def test_workers_do_not_matter(tmp_path, log, directory, flags):
    if "multi_processing" in flags[0] and " " in sys.executable:
        pytest.skip("Beam can't start workers by a path with a space")
    other = prepared(log, tmp_path / "d", "--split", "train:6,validation:2,test:2", "--runner=FnApiRunner", *flags)
    assert shards(other) == shards(directory)
    assert (other / "statistics.json").read_text() == (directory / "statistics.json").read_text()


def test_formats_do_not_matter(tmp_path, directory):
    rows = dialogues()
    write_jsonl(tmp_path / "1.jsonl.gz", rows[:20], gzip.open)
    write_csv(tmp_path / "2.csv", rows[20:40])
    write_parquet(tmp_path / "3.parquet", rows[40:], row_group_size=7)
    other = prepared(tmp_path / "?.*", tmp_path / "d", "--split", "train:6,validation:2,test:2")
    assert shards(other) == shards(directory)


def test_the_seed_decides_the_split(tmp_path, log, directory):
    other = prepared(log, tmp_path / "d", "--split", "train:6,validation:2,test:2", "--seed", "5")
    assert shards(other) != shards(directory)


def test_duplicates_are_rejected_but_refuse_nothing(tmp_path):
    rows = dialogues(4)
    directory = prepared(write_jsonl(tmp_path / "l.jsonl", rows + rows), tmp_path / "d", *ALL_TRAIN)
    books = read_manifest(directory).books
    assert books.turns_rejected == {"duplicate_turn": len(rows)} and books.turns_read == 2 * len(rows)
    assert len(rejects(directory)) == len(rows)
    assert {reject["reason"] for reject in rejects(directory)} == {"duplicate_turn"}


def test_rejects_name_file_place_reason_and_content(tmp_path):
    path = write_jsonl(tmp_path / "l.jsonl", [*dialogues(4), b"broken \xff", row("x", 0, None)])
    directory = prepared(path, tmp_path / "d", *ALL_TRAIN, "--max_bad_fraction", "0.5")
    found = rejects(directory)
    assert [(item["file"], item["reason"]) for item in found] == [
        (str(path), "invalid_utf8"),
        (str(path), "missing_value"),
    ]
    assert found[0]["content"] == "broken \\xff"
    assert json.loads(path.read_bytes()[found[1]["position"] :].split(b"\n")[0])["conversation_id"] == "x"


def test_the_label_map_renames_merges_and_drops(tmp_path):
    labels = [["a", "b"], ["c"], ["a", "c"], []]
    rows = [row(f"c{n}", 0, labels=some) for n, some in enumerate(labels)]
    (tmp_path / "map.yaml").write_text("a: one\nb: one\nc: null\n")
    directory = prepared(
        write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "d", *ALL_TRAIN, "--label_map", str(tmp_path / "map.yaml")
    )
    assert read_labels(directory) == ["one"]
    found = {window["conversation_id"]: window["labels"].tolist() for window in windows(directory)}
    assert found == {b"c0": [1], b"c2": [1], b"c3": [0]}
    assert read_manifest(directory).books.dropped == {"all_labels_dropped_by_label_map": 1}


def test_numeric_features_become_scalars(tmp_path):
    rows = [row("a", n, labels=["x"], price=price) for n, price in enumerate([1, None, 5])]
    directory = prepared(
        write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "d", *ALL_TRAIN, "--numeric_features", "price"
    )
    assert read_manifest(directory).numeric_features == ("turn_index", "seconds_since_previous_turn", "price")
    # 1 and 5: mean 3, deviation 2; what is missing counts as the mean.
    assert [window["numeric"][2] for window in windows(directory)] == [-1.0, 0.0, 1.0]


def test_statistics(directory):
    train = json.loads((directory / "statistics.json").read_text())["splits"]["train"]
    assert train["windows"] == len(windows(directory)) == sum(train["labels"].values())
    assert train["turns_per_conversation"] == {"mean": 6.0, "min": 6, "max": 6} | dict.fromkeys(
        ("p5", "p25", "p50", "p75", "p95", "p99"), 6
    )
    histograms = train["histograms"]
    assert histograms["turns_per_conversation"] == {"6": train["conversations"]}
    assert sum(histograms["tokens_per_turn"].values()) == sum(train["speakers"].values()) == train["turns"]
    assert train["speakers"]["user"] == train["windows"]
    assert train["tokens_per_turn"]["p50"] == 3 and train["labels_per_turn"] == {"1": train["windows"]}
    assert train["out_of_vocabulary_rate"] == 0.0


def test_label_cooccurrence_and_duplicates_across_splits(tmp_path):
    rows = [row(f"c{n}", 0, "the same", labels=["x", "y"] if n % 2 else ["x", "y", "z"]) for n in range(40)]
    directory = prepared(write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "d", "--split", "train:1,test:1")
    statistics = json.loads((directory / "statistics.json").read_text())["splits"]
    train = statistics["train"]
    assert train["label_cooccurrence"][0] == ["x", "y", train["windows"]]
    assert sorted(pair[:2] for pair in train["label_cooccurrence"][1:]) == [["x", "z"], ["y", "z"]]
    assert statistics["test"]["windows_also_in_train"] == statistics["test"]["windows"] > 0


@pytest.mark.parametrize("rows", [[b"{"], [row()], []], ids=["broken", "no labels", "empty"])
def test_an_input_with_nothing_to_learn_is_refused(tmp_path, rows, capsys):
    assert prepare(write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "d") == DATA_REFUSED
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "d" / "COMPLETED").exists()


def test_a_dry_run_refuses_what_the_job_would(tmp_path, capsys):
    assert prepare(write_jsonl(tmp_path / "l.jsonl", [row()]), tmp_path / "d", "--dry_run") == DATA_REFUSED
    assert "no turn with labels" in capsys.readouterr().err


def test_a_dry_run_counts_and_writes_nothing(tmp_path, log, capsys):
    assert prepare(log, tmp_path / "d", "--dry_run", *ALL_TRAIN) == DONE
    assert not (tmp_path / "d").exists()
    said = capsys.readouterr().out
    assert "72 = 0 rejected + 36 history only + 36 targets" in said
    assert "36 = 36 train + 0 validation + 0 test + 0 dropped" in said


def test_a_completed_directory_is_only_replaced_when_told(tmp_path, log):
    directory = prepared(log, tmp_path / "d", *ALL_TRAIN)
    assert prepare(log, directory) == USAGE
    assert prepare(log, directory, *ALL_TRAIN, "--history_turns", "2", "--overwrite") == DONE
    assert read_manifest(directory).history_turns == 2
    assert main(["inspect", str(directory), "--verify"]) == DONE


def test_windows_without_history(tmp_path, log):
    directory = prepared(log, tmp_path / "d", *ALL_TRAIN, "--history_turns", "0")
    assert read_manifest(directory).sizes.slots == 1
    assert main(["inspect", str(directory), "--verify"]) == DONE


def test_what_an_interrupted_job_left_is_replaced(tmp_path, log):
    directory = prepared(log, tmp_path / "d", *ALL_TRAIN)
    (directory / "COMPLETED").unlink()
    (directory / "train-00000-of-00099.tfrecord.gz").write_bytes(b"")
    (directory / ".job-1" / "transform").mkdir(parents=True)
    (directory / ".job-1" / "transform" / "half").write_bytes(b"")
    assert prepare(log, directory, *ALL_TRAIN) == DONE
    assert main(["inspect", str(directory), "--verify"]) == DONE
    assert not list(directory.glob(".job-*"))


def test_other_peoples_files_are_left_alone(tmp_path, log):
    (tmp_path / "thesis.txt").write_text("precious")
    assert prepare(log, tmp_path) == USAGE
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("damage", ["flip", "missing", "extra", "rejects"])
def test_verify_finds_damage(tmp_path, log, damage, capsys):
    directory = prepared(log, tmp_path / "d", *ALL_TRAIN)
    shard = next(directory / item.name for item in read_manifest(directory).shards if item.records)
    if damage == "flip":
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    elif damage == "missing":
        shard.unlink()
    elif damage == "extra":
        (directory / "train-00000-of-00001.tfrecord.gz").write_bytes(shard.read_bytes())
    else:
        with gzip.open(directory / "rejected/rejected-00000-of-00001.jsonl.gz", "ab") as file:
            file.write(b"{}\n")
    assert main(["inspect", str(directory), "--verify"]) == DATA_REFUSED
    assert {"extra": "is not in the manifest", "rejects": "rejects are written"}.get(
        damage, shard.name
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ("--split", "train:0"),
        ("--split", "train:1,train:2"),
        ("--split", "all:1"),
        ("--max_tokens", "0"),
        ("--columns", "text"),
        ("--columns", "nothing=x"),
        ("--columns", "text=speaker"),
        ("--numeric_features", "text"),
        ("--tokenizer", "magic"),
        ("--label_map", "nowhere.yaml"),
        ("--max_token", "5"),
        ("--max_bad_fraction", "2"),
        ("--history_turns", "five"),
    ],
)
def test_wrong_flags(tmp_path, log, flags):
    try:
        status = prepare(log, tmp_path / "d", *flags)
    except SystemExit as stop:  # argparse's own
        status = stop.code
    assert status == USAGE


@hypothesis.given(
    damage=st.lists(
        st.tuples(st.integers(0, 71), st.integers(0, 200), st.sampled_from(["cut", "flip", "drop", "repeat"])),
        max_size=25,
    )
)
@hypothesis.settings(max_examples=5, deadline=None)
@pytest.mark.slow
def test_the_books_balance_under_random_damage(tmp_path_factory, damage):
    lines = [json.dumps(item).encode() for item in dialogues()]
    for number, place, kind in damage:
        text = bytearray(lines[number])
        place = place % max(1, len(text))
        if kind == "cut":
            lines[number] = bytes(text[:place])
        elif kind == "flip" and text:
            text[place] ^= 0x15
            lines[number] = bytes(text).replace(b"\n", b"")
        elif kind == "repeat":
            lines.append(bytes(text))
    lines = [item for n, item in enumerate(lines) if (n, "drop") not in {(number, kind) for number, _, kind in damage}]
    path = tmp_path_factory.mktemp("damaged")
    directory = prepared(write_jsonl(path / "l.jsonl", lines), path / "d", *ALL_TRAIN, "--max_bad_fraction", "1")
    books = read_manifest(directory).books
    assert books.turns_read == sum(1 for item in lines if item.strip()) and not books.imbalances()
    assert sum(books.turns_rejected.values()) == len(rejects(directory))
    assert books.windows["train"] == len(windows(directory))


def test_splits_of_an_earlier_data_directory_are_kept(tmp_path, capsys):
    source = write_jsonl(tmp_path / "log.jsonl", dialogues(40))
    assert prepare(source, tmp_path / "first", "--seed", "3") == 0
    more = write_jsonl(tmp_path / "more.jsonl", dialogues(60))
    kept = ("--keep_splits_of", str(tmp_path / "first"))
    assert prepare(more, tmp_path / "second", "--seed", "3", *kept) == 0
    first, second = (
        {bytes(window["conversation_id"]) for window in windows(tmp_path / name, split)}
        for name, split in (("first", "test"), ("second", "train"))
    )
    assert first and not first & second
    for flags in (("--seed", "4"), ("--seed", "3", "--split", "train:8,test:2")):
        assert prepare(more, tmp_path / "third", *flags, *kept) == 2
        assert "its test conversations would be trained on" in capsys.readouterr().err
    assert prepare(more, tmp_path / "third", "--keep_splits_of", str(tmp_path / "none")) == 2
    assert "can't read" in capsys.readouterr().err
