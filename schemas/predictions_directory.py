"""Names and manifest of a predictions directory, as `score` writes it."""

import dataclasses
import json

from schemas.data_directory import InputFile

SCHEMA_VERSION = 1

CONFIG = "config.json"
MANIFEST = "manifest.json"
METRICS = "metrics.json"
COMPLETED = "COMPLETED"
REJECTED = "rejected"
# What is known of each finished shard, until the whole job is done.
PROGRESS = ".progress"
PREFIX = "predictions"
EXTENSIONS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")

# Columns of a prediction, in their order, with their types and meanings; JSON Lines have the same names.
COLUMNS = {
    "conversation_id": ("string", "the conversation"),
    "turn_index": ("integer", "the turn's place in it: the log's, or from 0 where only timestamps order it"),
    "labels": ("list of strings", "the labels that reach their thresholds"),
    "scores": ("object of numbers", "probability of each label, in the model's order; see `--top_k` and `--min_score`"),
    "attention": ("list of numbers", "weight of each history turn, the newest first; not with `--no_attention`"),
    "gate": ("number", "how much of the history is let through, 0 to 1; not with `--no_attention`"),
    "model_version": ("string", "of the model that said so"),
}


def shard_name(index: int, count: int, extension: str) -> str:
    """The file name of one shard, e.g. `predictions-00000-of-00008.jsonl.gz`."""
    return f"{PREFIX}-{index:05d}-of-{count:05d}.{extension}"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of predictions.

    Attributes:
        name: of the file.
        records: predictions in it.
        sha256: of the file, hexadecimal.
    """

    name: str
    records: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Books:
    """Where every turn went.

    Attributes:
        turns_read: turns found in the input; a line that can't be parsed counts as one.
        turns_rejected: {reason: turns}, each of them in `rejected/`.
        history_only: turns of other speakers than those that are scored.
        scored: turns with a prediction.
    """

    turns_read: int
    turns_rejected: dict[str, int]
    history_only: int
    scored: int

    def imbalance(self) -> str | None:
        """What does not add up, in words; None when the books balance."""
        rejected = sum(self.turns_rejected.values())
        if self.turns_read == rejected + self.history_only + self.scored:
            return None
        return (
            f"{self.turns_read} turns read, but {rejected} rejected + {self.history_only} history only"
            f" + {self.scored} scored"
        )


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a predictions directory holds.

    Attributes:
        model_version: of the model, see `schemas.model_description`.
        labels: its labels, in their order.
        target_speakers: whose turns are scored.
        inputs: the files that were scored.
        shards: every shard, sorted by name.
        books: where every turn went.
        schema_version: of this file and of the shards.
    """

    model_version: str
    labels: tuple[str, ...]
    target_speakers: tuple[str, ...]
    inputs: tuple[InputFile, ...]
    shards: tuple[Shard, ...]
    books: Books
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"
