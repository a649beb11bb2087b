"""Splits a turn log as a data directory does, for programs that read plain logs.

usage: split_log.py LOG.jsonl DATA_DIR OUT_DIR

Writes train.jsonl (with labels; the validation split stays out), test.jsonl (without) and gold.jsonl (the test targets
with their labels).
"""

import json
import pathlib
import sys

from pipeline.splits import split_of
from schemas.data_directory import CONFIG, SPLITS


def main() -> None:
    """Reads, splits and writes."""
    import pyarrow as pa

    log, data_dir, out = map(pathlib.Path, sys.argv[1:])
    config = json.loads((data_dir / CONFIG).read_text("utf-8"))
    rows = [json.loads(line) for line in log.read_text("utf-8").split("\n") if line]
    splits = split_of(pa.array([row["conversation_id"] for row in rows]), config["split"], config["seed"])
    train = [row for row, split in zip(rows, splits, strict=True) if SPLITS[split] == "train"]
    test = [row for row, split in zip(rows, splits, strict=True) if SPLITS[split] == "test"]
    gold = [row for row in test if row.get("labels") is not None]
    bare = [{name: value for name, value in row.items() if name != "labels"} for row in test]
    out.mkdir(parents=True, exist_ok=True)
    for name, some in (("train", train), ("test", bare), ("gold", gold)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
        (out / f"{name}.jsonl").write_text(text, "utf-8")
        print(f"{out / name}.jsonl: {len(some)} turns")


if __name__ == "__main__":
    main()
