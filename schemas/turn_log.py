"""The turn log: the columns of the input and the reasons why a row is rejected."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the turn log: its name, its type in words, whether it must be there, and what it means."""

    name: str
    type: str
    required: bool
    meaning: str


COLUMNS = (
    Column("conversation_id", "string", True, "groups turns"),
    Column("turn_index", "integer", False, "order inside the conversation; required unless `timestamp` is there"),
    Column("timestamp", "RFC 3339 string or seconds", False, "order, and the scalar `seconds_since_previous_turn`"),
    Column("speaker", "string", True, "`user`, `agent`, …"),
    Column("text", "string", True, "UTF-8; may be empty"),
    Column(
        "labels",
        "list of strings",
        False,
        "there and not null: the turn is a target, `[]` a target with no intent; absent or null: history only",
    ),
)
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
DERIVED_NUMERIC = ("turn_index", "seconds_since_previous_turn")

CSV_LABEL_SEPARATOR = "|"

# Seconds since 1970 of 0001-01-01 and 9999-12-31: what lies outside is most likely given in milliseconds.
EARLIEST_TIMESTAMP = -62_135_596_800.0
LATEST_TIMESTAMP = 253_402_300_799.0

REJECT_REASONS = {
    "invalid_json": "the line is no JSON text",
    "not_an_object": "the line is JSON, but no object",
    "duplicate_key": "the object has a column twice",
    "invalid_utf8": "the bytes are no UTF-8, or a string has a lone surrogate",
    "line_too_long": "the line or record is longer than --max_line_bytes",
    "wrong_column_count": "the CSV row has more or fewer fields than the header",
    "missing_value": "a required column is absent or null, or an id is empty",
    "wrong_type": "a value has another type than its column",
    "bad_turn_index": "turn_index is no integer of 64 bits",
    "bad_timestamp": "timestamp is neither RFC 3339 with a zone nor seconds between the years 1 and 9999",
    "bad_labels": "labels is no list of non-empty strings",
    "bad_number": "a numeric feature is no finite number",
    "no_order": "the row has neither turn_index nor timestamp",
    "mixed_order": "the row has no turn_index, but others of its conversation do and not all have a timestamp",
    "duplicate_turn": "another row of the same conversation and turn was kept",
    "scoring_failed": "the model gave no answer for the turn, or no finite one (`score`)",
    "unreadable_file": "the file, or the rest of it, can't be read",
}

# Logs delivered at least once repeat rows: that says nothing about their quality, so `--max_bad_fraction` ignores them.
HARMLESS_REASONS = frozenset({"duplicate_turn"})
