"""Every input format and every reason code, block-wise and row by row."""

import bz2
import gzip
import json

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import strategies as st

from pipeline.files import FilePart, cut, format_of, match_files
from pipeline.read import read_turns
from pipeline.read_jsonl import JsonLines
from pipeline.turns import Reading
from schemas.exit_status import UsageError
from schemas.turn_log import COLUMN_NAMES, REJECT_REASONS
from tests.turn_logs import row, write_csv, write_jsonl, write_parquet

NAMES = {name: name for name in COLUMN_NAMES}


def read(path, numeric=(), names=NAMES, part_bytes=1 << 20, max_line_bytes=10_000):
    """All turns (dicts) and rejects of a file, read in parts."""
    (file,) = match_files([str(path)])
    names = names | {name: name for name in numeric}
    turns, rejects = [], []
    for part in cut(file, part_bytes):
        for table, some in read_turns(part, Reading(names, numeric, max_line_bytes)):
            turns += table.to_pylist()
            rejects += some
    return turns, rejects


def without_place(turns):
    return [{name: turn[name] for name in COLUMN_NAMES} for turn in turns]


ROWS = [
    row("a", 0, "good day", labels=["greet"], timestamp=5.0),
    row("a", 1, "你好，世界", "agent", timestamp=6.5),
    row("b", 0, "", labels=[], timestamp=7.0),
    row("b", 7, 'quote " comma , and\nline end', labels=["x", "y"], timestamp=8.0),
]
EXPECTED = [{name: item.get(name) for name in COLUMN_NAMES} for item in ROWS]


def zstd_open(path, mode):
    return zstandard.open(path, mode)


@pytest.mark.parametrize(
    ("name", "opener"),
    [("l.jsonl", open), ("l.jsonl.gz", gzip.open), ("l.ndjson.bz2", bz2.open), ("l.json.zst", zstd_open)],
)
def test_json_lines_plain_and_compressed(tmp_path, name, opener):
    turns, rejects = read(write_jsonl(tmp_path / name, ROWS, opener))
    assert without_place(turns) == EXPECTED and not rejects


def test_csv(tmp_path):
    turns, rejects = read(write_csv(tmp_path / "l.csv", ROWS))
    assert without_place(turns) == EXPECTED and not rejects


@pytest.mark.parametrize(
    "string", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_by_row_group(tmp_path, string):
    columns = [
        ("conversation_id", string),
        ("turn_index", pa.int32()),
        ("timestamp", pa.float64()),
        ("speaker", string),
        ("text", string),
        ("labels", pa.large_list(pa.string())),
    ]
    path = write_parquet(tmp_path / "l.parquet", ROWS, pa.schema(columns), row_group_size=2)
    assert len(cut(match_files([str(path)])[0], 1)) == 2
    turns, rejects = read(path)
    assert without_place(turns) == EXPECTED and not rejects
    assert [turn["position"] for turn in turns] == [0, 1, 2, 3]


def test_a_conversation_a_line(tmp_path):
    line = {
        "conversation_id": "n",
        "turns": [{"speaker": "u", "text": "one", "labels": []}, {"speaker": "v", "text": "two"}],
    }
    turns, rejects = read(write_jsonl(tmp_path / "l.jsonl", [line, ROWS[0]]))
    assert sorted((t["conversation_id"], t["turn_index"], t["text"], t["labels"], t["nested"]) for t in turns) == [
        ("a", 0, "good day", ["greet"], 0),
        ("n", 0, "one", [], 0),
        ("n", 1, "two", None, 1),
    ]
    assert not rejects


def test_a_bad_turn_of_a_conversation_line_is_rejected_alone(tmp_path):
    line = {
        "conversation_id": "n",
        "turns": [{"speaker": "u", "text": "one"}, {"speaker": "v"}, {"speaker": "u", "text": "3"}],
    }
    turns, rejects = read(write_jsonl(tmp_path / "l.jsonl", [line]))
    assert [turn["turn_index"] for turn in turns] == [0, 2]
    assert [(reject.reason, reject.nested) for reject in rejects] == [("missing_value", 1)]


def test_renamed_columns_and_numeric_features(tmp_path):
    rows = [{"session": "a", "n": 0, "speaker": "u", "text": "t", "price": 3, "conversation_id": 5}]
    names = NAMES | {"conversation_id": "session", "turn_index": "n"}
    turns, rejects = read(write_jsonl(tmp_path / "l.jsonl", rows), ("price",), names)
    assert not rejects and turns[0]["conversation_id"] == "a" and turns[0]["numeric.price"] == 3.0


@pytest.mark.parametrize(
    "timestamp", ["2020-01-02T03:04:05Z", "2020-01-02T04:04:05.000+01:00", 1577934245, 1577934245.0]
)
def test_timestamps(tmp_path, timestamp):
    turns, rejects = read(write_jsonl(tmp_path / "l.jsonl", [row(timestamp=timestamp), row(index=1, timestamp=0.5)]))
    assert not rejects and [turn["timestamp"] for turn in turns] == [1577934245.0, 0.5]


def line(**changes):
    return json.dumps(
        row(**{"index": 3} | {k: v for k, v in changes.items() if k == "labels"})
        | {k: v for k, v in changes.items() if k != "labels"}
    ).encode()


BAD_LINES = [
    (b"{nonsense", "invalid_json"),
    (b'{"a": 1}{"b": 2}', "invalid_json"),
    (b"[" * 9_000, "invalid_json"),
    (b"[1]", "not_an_object"),
    (b"null", "not_an_object"),
    (line()[:-1] + b', "text": "again"}', "duplicate_key"),
    (line().replace(b"hello", b"\xff\xfe"), "invalid_utf8"),
    (line().replace(b"hello", b"\\ud800"), "invalid_utf8"),
    (line(text="x" * 10_001), "line_too_long"),
    (line(conversation_id=None), "missing_value"),
    (line(conversation_id=""), "missing_value"),
    (line(speaker=""), "missing_value"),
    (line(text=None), "missing_value"),
    (line(text=5), "wrong_type"),
    (line(conversation_id=5), "wrong_type"),
    (b'{"conversation_id": "a", "turns": [1]}', "wrong_type"),
    (b'{"conversation_id": "a", "turns": [null]}', "wrong_type"),
    (line(turn_index="one"), "bad_turn_index"),
    (line(turn_index=1.5), "bad_turn_index"),
    (line(turn_index=True), "bad_turn_index"),
    (line(turn_index=2**63), "bad_turn_index"),
    (line(timestamp="yesterday"), "bad_timestamp"),
    (line(timestamp="2020-01-02T03:04:05"), "bad_timestamp"),
    (line(timestamp=1.6e12), "bad_timestamp"),
    (line(timestamp=True), "bad_timestamp"),
    (line(timestamp=float("nan")), "bad_timestamp"),
    (line(labels="greet"), "bad_labels"),
    (line(labels=["greet", 3]), "bad_labels"),
    (line(labels=["greet", None]), "bad_labels"),
    (line(labels=[""]), "bad_labels"),
    (line(price="dear"), "bad_number"),
    (line(price=float("inf")), "bad_number"),
    (line(price=10**400), "bad_number"),
    (line(turn_index=None), "no_order"),
]


@pytest.mark.parametrize(
    ("bad", "reason"), BAD_LINES, ids=lambda value: value[:40].decode("latin1") if isinstance(value, bytes) else value
)
def test_a_bad_line_is_rejected_with_its_reason_and_place(tmp_path, bad, reason):
    good = json.dumps(row("g", 0)).encode()
    turns, rejects = read(write_jsonl(tmp_path / "l.jsonl", [good, bad, good]), ("price",))
    assert len(turns) == 2
    assert [(reject.reason, reject.position) for reject in rejects] == [(reason, len(good) + 1)]
    assert rejects[0].content.startswith(bad[:20].decode("utf-8", "backslashreplace")[:10])


def test_reasons_of_other_formats(tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes(
        b"conversation_id,turn_index,speaker,text\na,0,u,fine\na,1,u\na,x,u,t\n\xff,2,u,t\n,3,u,t\na,,u,t\n"
    )
    turns, rejects = read(path)
    assert len(turns) == 1
    assert [(reject.reason, reject.position) for reject in rejects] == [
        ("wrong_column_count", 3),
        ("bad_turn_index", 4),
        ("invalid_utf8", 5),
        ("missing_value", 6),
        ("no_order", 7),
    ]


def test_csv_with_an_open_quote_loses_no_row_silently(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text('conversation_id,turn_index,speaker,text\na,0,u,fine\na,1,u,"open\n' + "a,2,u,t\n" * 2000)
    turns, rejects = read(path)
    assert len(turns) >= 1 and rejects[0].reason == "line_too_long"


def test_parquet_of_other_types(tmp_path):
    schema = pa.schema(
        [("conversation_id", pa.int64()), ("turn_index", pa.int64()), ("speaker", pa.string()), ("text", pa.string())]
    )
    turns, rejects = read(write_parquet(tmp_path / "l.parquet", [row(5)], schema))
    assert not turns and [reject.reason for reject in rejects] == ["wrong_type"]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("ms", "Europe/Berlin")])
def test_parquet_timestamps(tmp_path, kind):
    schema = pa.schema(
        [("conversation_id", pa.string()), ("timestamp", kind), ("speaker", pa.string()), ("text", pa.string())]
    )
    table = {
        "conversation_id": ["a"],
        "timestamp": pa.array([1500], pa.int64()).cast(pa.timestamp("ms")).cast(kind)
        if not kind.tz
        else pa.array([1500], pa.int64()).cast(kind),
        "speaker": ["u"],
        "text": ["t"],
    }
    pa.parquet.write_table(pa.table(table, schema), tmp_path / "l.parquet")
    turns, _ = read(tmp_path / "l.parquet")
    assert turns[0]["timestamp"] == 1.5


@pytest.mark.parametrize("name", ["l.jsonl.gz", "l.jsonl.zst", "l.jsonl.bz2", "l.csv.gz", "l.parquet"])
def test_a_damaged_file_is_a_reject(tmp_path, name):
    openers = {".gz": gzip.open, ".zst": zstd_open, ".bz2": bz2.open}
    path = tmp_path / name
    rows = [row("c", n, f"{n * n * n} turn") for n in range(4000)]
    if path.suffix == ".parquet":
        write_parquet(path, rows)
    elif name == "l.csv.gz":
        path.write_bytes(gzip.compress(write_csv(tmp_path / "l.csv", rows).read_bytes()))
    else:
        write_jsonl(path, rows, openers[path.suffix])
    path.write_bytes(path.read_bytes()[:-40])
    turns, rejects = read(path)
    assert [reject.reason for reject in rejects] == ["unreadable_file"]
    if path.suffix not in (".parquet", ".bz2"):  # bzip2 unpacks 900 kB at a time, or nothing.
        # What comes before the damage is kept, and the reject says from where on nothing is.
        assert turns and rejects[0].position > turns[-1]["position"]


def test_line_ends_blank_lines_and_byte_order_mark(tmp_path):
    path = tmp_path / "l.jsonl"
    good = json.dumps(row("a", 0)).encode()
    path.write_bytes(
        b"\xef\xbb\xbf"
        + good
        + b"\r\n\r\n  \n\n"
        + good.replace(b": 0", b": 1")
        + b"\r\n"
        + good.replace(b": 0", b": 2")
    )
    turns, rejects = read(path)
    assert [turn["turn_index"] for turn in turns] == [0, 1, 2] and not rejects


@pytest.mark.parametrize("part_bytes", [1, 7, 100, 101, 5000])
def test_every_line_is_read_once_wherever_the_file_is_cut(tmp_path, part_bytes):
    rows = [row("c", n, "word " * (n % 9)) for n in range(40)]
    path = write_jsonl(tmp_path / "l.jsonl", rows)
    turns, rejects = read(path, part_bytes=part_bytes)
    assert [turn["turn_index"] for turn in turns] == list(range(40)) and not rejects
    offsets = np.cumsum([0, *(len(item) + 1 for item in path.read_bytes().split(b"\n")[:-2])])
    assert [turn["position"] for turn in turns] == offsets.tolist()


def test_a_line_longer_than_allowed_is_skipped_and_reading_goes_on(tmp_path):
    path = write_jsonl(tmp_path / "l.jsonl", [row("a", 0), b"x" * 3_000_000, row("a", 1)])
    for part_bytes in (1 << 30, 500_000):
        turns, rejects = read(path, part_bytes=part_bytes)
        assert [turn["turn_index"] for turn in turns] == [0, 1]
        assert [reject.reason for reject in rejects] == ["line_too_long"]


def test_all_reasons_are_documented():
    assert {reason for _, reason in BAD_LINES} <= set(REJECT_REASONS)


@pytest.mark.parametrize("name", ["l.txt", "l.parquet.gz", "l"])
def test_unknown_suffixes_are_refused(name):
    with pytest.raises(UsageError, match="can't tell the format"):
        format_of(name)


def test_compressed_and_csv_files_stay_whole(tmp_path):
    (file,) = match_files([str(write_csv(tmp_path / "l.csv", ROWS))])
    assert cut(file, 1) == [FilePart(file, 0, None)]


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.text(max_size=2) | st.none(), max_size=2)
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "conversation_id": st.sampled_from(["a", "b"]) | values,
        "turn_index": st.integers(0, 3) | values,
        "timestamp": st.floats(0, 9) | values,
        "speaker": st.just("u") | values,
        "text": st.text(max_size=4) | values,
        "labels": st.lists(st.sampled_from("xy")) | values,
        "price": st.floats(0, 1) | values,
        "other": values,
    },
)
nested = st.fixed_dictionaries(
    {"turns": st.lists(objects | values, max_size=3) | values}, optional={"conversation_id": values}
)
lines = (objects | nested | values).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30).map(
    lambda data: data.replace(b"\n", b" ")
)


@hypothesis.given(st.lists(lines, max_size=12))
@hypothesis.settings(max_examples=300, deadline=None)
def test_a_block_says_what_its_lines_say_alone(some):
    reader = JsonLines(0, Reading(NAMES | {"price": "price"}, ("price",), 10_000))
    table, rejects = reader.parse(b"\n".join(some), 1)
    alone_turns, alone_rejects, offset = [], [], 1
    for item in some:
        turns, bad = reader.parse(item, offset)
        alone_turns += turns.to_pylist()
        alone_rejects += bad
        offset += len(item) + 1

    assert sorted(map(repr, table.to_pylist())) == sorted(map(repr, alone_turns))
    assert sorted(rejects, key=repr) == sorted(alone_rejects, key=repr)
    assert {reject.reason for reject in rejects} <= set(REJECT_REASONS)
