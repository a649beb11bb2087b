"""`convert`: the rows, the counts and the refusals, on hand-written files and on the public ones where they are."""

import argparse
import gzip
import io
import json
import pathlib
import zipfile

import pytest

from pipeline.convert import add_arguments, convert, run
from schemas.exit_status import DataRefused, UsageError

TESTDATA = pathlib.Path(__file__).parent / "testdata"
PUBLIC_DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"


def public(name):
    path = PUBLIC_DATA / name
    absent = pytest.mark.skipif(not path.exists(), reason=f"the public data isn't at {path}")
    return pytest.param(path, marks=absent, id=name)


def read(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as file:
        return [json.loads(line) for line in file]


def write_json(path, content):
    path.write_text(json.dumps(content), "utf-8")
    return str(path)


def convert_one(tmp_path, format_name, content, **options):
    """Converts a file with this content; gives the rows."""
    convert(format_name, write_json(tmp_path / "in.json", content), tmp_path / "out.jsonl", **options)
    return read(tmp_path / "out.jsonl")


def test_crosswoz_rows(tmp_path):
    counts = convert("crosswoz", str(TESTDATA / "crosswoz"), tmp_path / "log.jsonl")
    assert read(tmp_path / "log.jsonl") == [
        {"conversation_id": "77", "turn_index": 0, "speaker": "user", "text": "你好，哪家餐馆有豆汁？",
         "labels": ["General+greet", "Inform+餐馆", "Request+餐馆"]},
        {"conversation_id": "77", "turn_index": 1, "speaker": "agent", "text": "护国寺小吃。"},
        {"conversation_id": "77", "turn_index": 2, "speaker": "user", "text": "就去那儿，附近有地铁吗？",
         "labels": ["Request+地铁", "Select+餐馆"]},
    ]
    assert (counts.files, counts.dialogues, counts.turns, counts.labelled_turns) == (1, 1, 3, 2)
    assert counts.labels == dict.fromkeys(
        ("General+greet", "Inform+餐馆", "Request+餐馆", "Request+地铁", "Select+餐馆"), 1)
    assert [pathlib.Path(name).name for name in counts.passed_over] == ["usr_da_voc.json"]


@pytest.mark.parametrize(("labels", "first", "last"), [
    (None, ["INFORM", "INFORM_INTENT", "REQUEST"], ["INFORM"]),
    ("act", ["INFORM", "INFORM_INTENT", "REQUEST"], ["INFORM"]),
    ("domain_act", ["Flights+REQUEST", "Hotels+INFORM", "Hotels+INFORM_INTENT"], ["Hotels+INFORM"]),
])
def test_sgd_rows(tmp_path, labels, first, last):
    counts = convert("sgd", str(TESTDATA / "sgd"), tmp_path / "log.jsonl", labels)
    rows = read(tmp_path / "log.jsonl")
    assert [row["speaker"] for row in rows] == ["user", "agent", "user"]
    assert [row.get("labels") for row in rows] == [first, None, last]
    assert "labels" not in rows[1]
    assert {row["conversation_id"] for row in rows} == {"1_00000"}
    assert (counts.files, len(counts.passed_over)) == (1, 1)


def test_multiwoz_rows(tmp_path):
    counts = convert("multiwoz", str(TESTDATA / "multiwoz"), tmp_path / "log.jsonl")
    rows = read(tmp_path / "log.jsonl")
    assert [(row["conversation_id"], row["turn_index"], row["speaker"], row.get("labels")) for row in rows] == [
        ("SNG0001.json", 0, "user", ["Hotel-Inform", "general-greet"]),
        ("SNG0001.json", 1, "agent", None),
        ("SNG0001.json", 2, "user", []),
        ("SNG0001.json", 3, "agent", None),
        ("SNG0001.json", 4, "user", ["Hotel-Request"]),
        ("PMUL0002.json", 0, "user", None),
        ("PMUL0002.json", 1, "agent", None),
        ("PMUL0002.json", 2, "user", None),
    ]
    assert (counts.turns, counts.labelled_turns, counts.unannotated_user_turns) == (8, 3, 2)
    # valListFile.json is no JSON text at all: it must not even be parsed.
    assert sorted(pathlib.Path(name).name for name in counts.passed_over) == [
        "ontology.json", "system_acts.json", "valListFile.json"]


def test_archives_give_the_same_rows_as_files(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(TESTDATA / "multiwoz" / "data.json", "data.json")
    with zipfile.ZipFile(tmp_path / "MultiWOZ_2.1.zip", "w") as archive:
        archive.writestr("MultiWOZ_2.1/data.json.zip", inner.getvalue())
        archive.write(TESTDATA / "multiwoz" / "valListFile.json", "MultiWOZ_2.1/valListFile.json")
        archive.writestr("MultiWOZ_2.1/README", "text")
        archive.writestr("__MACOSX/MultiWOZ_2.1/._data.json", b"\0\5\26\7")
    before = sorted(tmp_path.iterdir())
    convert("multiwoz", str(tmp_path / "MultiWOZ_2.1.zip"), tmp_path / "from_zip.jsonl")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "from_zip.jsonl"])
    convert("multiwoz", str(TESTDATA / "multiwoz" / "data.json"), tmp_path / "from_file.jsonl")
    assert (tmp_path / "from_zip.jsonl").read_bytes() == (tmp_path / "from_file.jsonl").read_bytes()


def test_patterns_and_compressed_output(tmp_path):
    for name in ("a", "b"):
        content = [{"dialogue_id": name, "turns": [{"speaker": "SYSTEM", "utterance": "hi", "frames": []}]}]
        write_json(tmp_path / f"{name}_1.json", content)
    write_json(tmp_path / "unrelated.json", "not SGD")
    convert("sgd", str(tmp_path / "?_1.json"), tmp_path / "deep" / "log.jsonl.gz")
    first = (tmp_path / "deep" / "log.jsonl.gz").read_bytes()
    assert [row["conversation_id"] for row in read(tmp_path / "deep" / "log.jsonl.gz")] == ["a", "b"]
    convert("sgd", str(tmp_path / "?_1.json"), tmp_path / "other.jsonl.gz")
    assert (tmp_path / "other.jsonl.gz").read_bytes() == first


def test_id_prefix_keeps_splits_apart(tmp_path):
    content = [{"dialogue_id": "1", "turns": [{"speaker": "SYSTEM", "utterance": "hi", "frames": []}]}]
    assert convert_one(tmp_path, "sgd", content, id_prefix="dev_")[0]["conversation_id"] == "dev_1"
    with pytest.raises(DataRefused, match=r"in\.json: dialogue '1' is in .*in\.json too.*--id_prefix"):
        convert_one(tmp_path, "sgd", content * 2)


ACT = [["Inform", "餐馆", "名称", ""]]


@pytest.mark.parametrize(("format_name", "content", "message"), [
    ("crosswoz", [], "in.json: the file must be a JSON object"),
    ("crosswoz", {"9": {"messages": {}}}, "dialogue '9': it must be a JSON object with the list 'messages'"),
    ("crosswoz", {"": {"messages": []}}, "a dialogue's id is empty"),
    ("crosswoz", {"9": {"messages": [{"role": "usr", "dialog_act": ACT}]}}, "'9', turn 0: 'content' is missing"),
    ("crosswoz", {"9": {"messages": [{"role": "bot", "content": ""}]}}, "'role' is 'bot'; allowed are usr, sys"),
    ("crosswoz", {"9": {"messages": [{"role": "usr", "content": "", "dialog_act": [["Inform"]]}]}}, "act must be"),
    ("crosswoz", {"9": {"messages": [{"role": "sys", "content": "\ud800"}]}}, "'9', turn 0: a text has a lone"),
    ("sgd", {"a": 1}, "in.json: the file must be a JSON list"),
    ("sgd", [{"turns": []}], "dialogue number 0: 'dialogue_id' is missing"),
    ("sgd", [{"dialogue_id": "1", "turns": [{"speaker": "USER", "utterance": "x", "frames": [
        {"service": "A_1", "actions": [{}]}]}]}], "'1', turn 0: 'act' is missing"),
    ("sgd", [{"dialogue_id": "1", "turns": [{"speaker": "USER", "utterance": "x", "frames": [
        {"service": "A_1", "actions": [{"act": ""}]}]}]}], "'1', turn 0: an act has an empty name"),
    ("multiwoz", {"a": {"log": [{"text": "x", "dialog_act": {}}, {"text": 5}]}}, "'a', turn 1: 'text' must be"),
    ("multiwoz", {"a": {"log": [{"text": "x", "dialog_act": ["Hotel-Inform"]}]}}, "'dialog_act' must be a JSON object"),
    ("multiwoz", {}, "no multiwoz dialogues"),
])
def test_malformed_sources_are_refused_by_name(tmp_path, format_name, content, message):
    (tmp_path / "out.jsonl").write_text("what was there before")
    with pytest.raises(DataRefused) as refusal:
        convert_one(tmp_path, format_name, content)
    assert message in str(refusal.value)
    assert "in.json" in str(refusal.value)
    assert (tmp_path / "out.jsonl").read_text() == "what was there before"
    assert {path.name for path in tmp_path.iterdir()} == {"in.json", "out.jsonl"}


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.json", b"{", "a.json is no JSON text"),
    ("a.json", b'{"x": "\xff"}', "a.json is no JSON text"),
    ("a.zip", b"PK", "a.zip is no zip archive"),
])
def test_damaged_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataRefused, match=message):
        convert("sgd", str(tmp_path), tmp_path / "out.jsonl")


def test_damaged_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/d.json", "[1, 2, 3]")
    damaged = (tmp_path / "a.zip").read_bytes().replace(b"[1, 2, 3]", b"[1, 2, 4]")
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(DataRefused, match="a.zip/x/d.json can't be unpacked"):
        convert("sgd", str(tmp_path / "a.zip"), tmp_path / "out.jsonl")


def test_wrong_usage(tmp_path):
    source = str(TESTDATA / "crosswoz")
    with pytest.raises(UsageError, match="--labels act: crosswoz has domain_act only"):
        convert("crosswoz", source, tmp_path / "out.jsonl", "act")
    with pytest.raises(UsageError, match="must end in .jsonl or .jsonl.gz"):
        convert("crosswoz", source, tmp_path / "out.csv")
    with pytest.raises(UsageError, match="nowhere: no .json or .zip file there"):
        convert("crosswoz", str(tmp_path / "nowhere"), tmp_path / "out.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be written"):
        convert("crosswoz", source, tmp_path / "file" / "out.jsonl")


def test_command_says_what_was_converted(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    output = str(tmp_path / "log.jsonl")
    run(parser.parse_args(["--format", "multiwoz", "--input", str(TESTDATA / "multiwoz"), "--output", output]))
    printed = capsys.readouterr().out
    assert "2 dialogues of 1 files: 8 turns, 3 labelled, 2 user turns without annotation" in printed
    assert "3 labels: Hotel-Inform 1, general-greet 1, Hotel-Request 1" in printed
    assert "ontology.json" in printed
    assert f"turn log: {output}" in printed


@pytest.mark.parametrize("path", [public("crosswoz/val.json")])
def test_public_crosswoz(tmp_path, path):
    counts = convert("crosswoz", str(path), tmp_path / "log.jsonl")
    assert (counts.dialogues, counts.turns, counts.labelled_turns, len(counts.labels)) == (500, 8458, 4229, 16)
    assert counts.labels["Request+餐馆"] == 1091
    assert len(read(tmp_path / "log.jsonl")) == counts.turns


@pytest.mark.parametrize("path", [public("sgd/dev")])
def test_public_sgd(tmp_path, path):
    counts = convert("sgd", str(path), tmp_path / "log.jsonl.gz")
    assert (counts.dialogues, counts.turns, counts.labelled_turns, len(counts.labels)) == (2098, 38768, 19384, 11)
    rows = read(tmp_path / "log.jsonl.gz")
    assert sum("labels" in row for row in rows) == 19384
    assert all(("labels" in row) == (row["speaker"] == "user") for row in rows)
