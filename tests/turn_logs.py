"""Turn logs for tests: rows, files of every format, and the data directories made of them."""

import csv
import gzip
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet

from pipeline.__main__ import main
from pipeline.turns import turn_schema

SHARED = pathlib.Path(__file__).parents[2] / "shared"


def row(conversation="c", index=0, text="hello there", speaker="user", labels=None, **more):
    """One row of a turn log; `labels` None makes a turn of history."""
    values = {"conversation_id": conversation, "turn_index": index, "speaker": speaker, "text": text} | more
    return values if labels is None else values | {"labels": labels}


def dialogues(conversations=12, turns=6):
    """A small log in which every other turn is a target."""
    return [
        row(
            f"conversation-{c}",
            t,
            f"word{c % 3} word{t} yes",
            "user" if t % 2 == 0 else "agent",
            [f"label_{(c + t) % 3}"] if t % 2 == 0 else None,
            timestamp=1e9 + 60.0 * c + t,
        )
        for c in range(conversations)
        for t in range(turns)
    ]


def write_jsonl(path, rows, opener=open):
    """Writes rows (or raw lines, as bytes) as JSON Lines."""
    with opener(path, "wb") as file:
        for item in rows:
            file.write((item if isinstance(item, bytes) else json.dumps(item, ensure_ascii=False).encode()) + b"\n")
    return path


def write_csv(path, rows):
    """Writes rows as CSV: no labels is an empty field, an empty list a lone separator."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        names = list(dict.fromkeys(name for item in rows for name in item))
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for item in rows:
            labels = {"labels": "|".join(item["labels"]) or "|"} if "labels" in item else {}
            writer.writerow(item | labels)
    return path


def write_parquet(path, rows, schema=None, **options):
    """Writes rows as Parquet."""
    schema = schema or turn_schema(()).remove(8).remove(7).remove(6)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema), path, **options)
    return path


def prepare(source, directory, *flags):
    """Runs `prepare` in this process and gives its exit status."""
    return main(["prepare", "--input", str(source), "--output_dir", str(directory), *flags])


def prepared(source, directory, *flags):
    """A data directory of a log."""
    assert prepare(source, directory, "--min_token_count", "1", *flags) == 0
    return directory


def windows(directory, split="train"):
    """All windows of a split, as dicts of numpy arrays, in the shards' order."""
    import tensorflow as tf

    from schemas.data_directory import read_manifest
    from schemas.examples import parsing_spec

    manifest = read_manifest(directory)
    found = []
    for shard in manifest.shards_of(split):
        for record in tf.data.TFRecordDataset(str(directory / shard.name), compression_type="GZIP"):
            example = tf.io.parse_single_example(record, parsing_spec(manifest.sizes))
            found.append({name: value.numpy() for name, value in example.items()})
    return found


def window_texts(directory, window):
    """The tokens of each slot of a window, joined; the current turn first."""
    tokens = (directory / "transform/transform_fn/assets/tokens").read_text("utf-8").split("\n")[:-1]
    words, ends = ["", *tokens, "?"], window["turn_lengths"].cumsum()
    return [
        " ".join(words[token] for token in window["token_ids"][end - length : end])
        for length, end in zip(window["turn_lengths"], ends, strict=True)
    ]


def rejects(directory):
    """All rejected rows of a data directory."""
    files = sorted((directory / "rejected").glob("*.gz"))
    return [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]]
