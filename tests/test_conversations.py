"""Ordering and duplicates against what is written down by hand."""

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.buckets import CONVERSATION_HASH, hash_strings
from pipeline.conversations import order_conversations
from pipeline.turns import turn_schema


def ordered(*rows):
    """Orders rows (id, index, timestamp, speaker, text, labels), whose place is their position."""
    names = ("conversation_id", "turn_index", "timestamp", "speaker", "text", "labels")
    turns = [
        dict(zip(names, row, strict=True)) | {"source": 0, "position": n, "nested": 0} for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(turns, turn_schema(()))
    hashes = hash_strings(table["conversation_id"].combine_chunks(), b"conversation")
    return order_conversations(table.append_column(CONVERSATION_HASH, pa.array(hashes)))


def content(result, *columns):
    return list(zip(*(result.turns[name].to_pylist() for name in columns), strict=True))


def test_turn_index_orders_and_gaps_stay():
    result = ordered(
        ("a", 9, None, "u", "third", None), ("a", 0, None, "u", "first", []), ("a", 4, None, "u", "second", None)
    )
    assert content(result, "text", "turn_index") == [("first", 0), ("second", 4), ("third", 9)]
    assert result.turns["seconds_since_previous_turn"].to_pylist() == [None, None, None]


def test_timestamps_order_and_number_where_an_index_is_missing():
    result = ordered(("a", None, 30.0, "u", "second", None), ("a", 5, 10.0, "u", "first", None))
    assert content(result, "text", "turn_index") == [("first", 0), ("second", 1)]
    assert result.turns["seconds_since_previous_turn"].to_pylist() == [0.0, 20.0]
    assert not result.rejects


def test_turns_without_place_are_rejected_where_the_others_have_only_an_index():
    result = ordered(("a", 0, None, "u", "first", None), ("a", None, 1.0, "u", "lost", None))
    assert content(result, "text") == [("first",)]
    assert [(reject.reason, reject.position) for reject in result.rejects] == [("mixed_order", 1)]


def test_conversations_stay_apart():
    result = ordered(*((name, index, None, "u", f"{name}{index}", None) for index in (1, 0) for name in "ab"))
    texts = [text for (text,) in content(result, "text")]
    assert texts in (["a0", "a1", "b0", "b1"], ["b0", "b1", "a0", "a1"])
    assert result.turns["conversation"].to_pylist() == [0, 0, 1, 1]
    assert [name for name in result.ids.to_pylist()] == [texts[0][0], texts[2][0]]


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (("a", 0, None, "u", "labelled", ["x"]), ("a", 0, 9.0, "u", "zzz", None)),
        (("a", 0, 2.0, "u", "late", []), ("a", 0, 1.0, "u", "zzz", ["x"])),
        (("a", 0, 1.0, "u", "b", ["x"]), ("a", 0, 1.0, "u", "a", ["y"])),
        (("a", 0, 1.0, "u", "b", ["y"]), ("a", 0, 1.0, "u", "b", ["x"])),
    ],
    ids=["labels", "latest", "greatest text", "greatest labels"],
)
def test_the_rule_for_duplicates_holds_in_both_orders(winner, loser):
    for rows, lost in (((winner, loser), 1), ((loser, winner), 0)):
        result = ordered(*rows)
        assert content(result, "text", "labels") == [(winner[4], winner[5])]
        assert [(reject.reason, reject.position) for reject in result.rejects] == [("duplicate_turn", lost)]


def test_equal_rows_keep_the_first():
    row = ("a", 0, None, "u", "same", [])
    result = ordered(row, row, row)
    assert result.turns["position"].to_pylist() == [0]
    assert sorted(reject.position for reject in result.rejects) == [1, 2]


def test_turns_at_one_time_are_all_kept_unless_equal():
    rows = [("a", None, 5.0, "u", "b", None), ("a", None, 5.0, "u", "a", []), ("a", None, 5.0, "u", "b", ["x"])]
    for order in (rows, rows[::-1]):
        result = ordered(*order)
        assert content(result, "text", "labels", "turn_index") == [("a", [], 0), ("b", ["x"], 1)]
        assert [reject.reason for reject in result.rejects] == ["duplicate_turn"]


def test_any_order_of_rows_gives_the_same_turns():
    rng = random.Random(3)
    rows = [
        (
            f"c{rng.randrange(5)}",
            rng.choice([None, rng.randrange(6)]),
            rng.choice([None, float(rng.randrange(4))]),
            rng.choice("uv"),
            rng.choice("xyz"),
            rng.choice([None, [], ["l"]]),
        )
        for _ in range(200)
    ]
    rows = [row for row in rows if row[1] is not None or row[2] is not None]
    columns = ("conversation_id", "turn_index", "timestamp", "speaker", "text", "labels")
    expected = ordered(*rows)
    for _ in range(5):
        rng.shuffle(rows)
        result = ordered(*rows)
        assert content(result, *columns) == content(expected, *columns)
        assert len(result.rejects) == len(expected.rejects)
        assert result.turns.num_rows + len(result.rejects) == len(rows)


def test_no_turns():
    result = ordered()
    assert result.turns.num_rows == 0 and not result.rejects and not len(result.ids)


def test_a_long_conversation_is_in_order():
    order = np.random.default_rng(0).permutation(2000)
    result = ordered(*(("a", int(n), None, "u", str(n), None) for n in order))
    assert result.turns["text"].to_pylist() == [str(n) for n in range(2000)]
