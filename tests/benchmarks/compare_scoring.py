"""Times `score` on a log that is repeated to any size, beside another program's bare predictions.

usage: compare_scoring.py LOG.jsonl DATA_DIR MODEL_DIR [--reference PROGRAM.py] [--turns 1000000 ...] [--runs 3]

The log is repeated until it has so many turns: each copy under new conversation ids, its rows in a new order. Each run
is a process of its own. The programs take turns, so that a machine whose speed drifts favours none; a ratio is of two
neighbouring runs. The reference gets `IDS.npz --epochs 1 --batch B`, some windows of the data directory's train split
padded to the longest turn there, and prints `... predict: N examples/s`. `score` is timed from start to end, with
reading, writing and imports. Prints each run, then medians: windows/s, seconds, CPU seconds, peak memory.
"""

import argparse
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

from compare_prepare import measure
from compare_training import write_windows


def repeat(log: pathlib.Path, turns: int, path: pathlib.Path) -> None:
    """Writes a log of so many turns."""
    rows = [json.loads(line) for line in log.read_text("utf-8").split("\n")[:-1]]
    generator, written, copy = random.Random(0), 0, 0
    with path.open("w", encoding="utf-8") as file:
        while written < turns:
            some = rows[: turns - written]
            generator.shuffle(some)
            for row in some:
                named = row | {"conversation_id": f"{copy}-{row['conversation_id']}"}
                file.write(json.dumps(named, ensure_ascii=False) + "\n")
            written, copy = written + len(some), copy + 1


def write_some_windows(data_dir: pathlib.Path, windows: int, path: pathlib.Path) -> None:
    """Writes the first windows of the train split as the reference wants them."""
    import numpy as np

    write_windows(data_dir, path)
    with np.load(path) as arrays:
        some = {name: arrays[name][:windows] if arrays[name].ndim else arrays[name] for name in arrays}
    print(f"reference: {len(some['ids'])} windows of {data_dir.name}, padded to {some['ids'].shape[2]} tokens")
    np.savez(path, **some)


def time_reference(program: str, ids: pathlib.Path, batch: int) -> dict:
    """Windows/s of the reference's predictions."""
    command = [sys.executable, program, str(ids), "--epochs", "1", "--batch", str(batch)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"rate": float(re.search(r"predict: ([\d.]+) examples/s", printed)[1])}


def time_score(log: pathlib.Path, model_dir: pathlib.Path, batch_windows: int | None) -> dict:
    """What a run of `score` takes."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pipeline", "score", "--input", str(log), "--model_dir", str(model_dir)]
        flags = ["--batch_windows", str(batch_windows)] if batch_windows else []
        taken = measure([*command, "--output_dir", f"{scratch}/out", *flags])
        manifest = json.loads(pathlib.Path(scratch, "out", "manifest.json").read_text("utf-8"))
    scored = manifest["books"]["scored"]
    return {"windows": scored, "rate": scored / taken["wall"], **taken}


def compare(args: argparse.Namespace, log: pathlib.Path, turns: int, ids: pathlib.Path | None) -> None:
    """Measures one size, and prints."""
    ours, theirs = [], []
    for _ in range(args.runs):
        if ids:
            theirs.append(time_reference(args.reference, ids, args.batch))
            print(f"{turns} reference {json.dumps(theirs[-1])}", flush=True)
        ours.append(time_score(log, args.model_dir, args.batch_windows))
        print(f"{turns} score {json.dumps(ours[-1])}", flush=True)
    median = {key: statistics.median(run[key] for run in ours) for key in ours[0]}
    print(
        f"{args.log.name:<20} {turns:>9,} turns: score {median['rate']:.0f} windows/s, {median['wall']:.1f} s, "
        f"{median['cpu']:.1f} CPU s, {median['memory']:.0f} MB"
    )
    if ids:
        ratios = [run["rate"] / other["rate"] for run, other in zip(ours, theirs, strict=True)]
        print(
            f"{'':<20} reference predict {statistics.median(run['rate'] for run in theirs):.0f} windows/s; "
            f"score / reference: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("data_dir", type=pathlib.Path)
    parser.add_argument("model_dir", type=pathlib.Path)
    parser.add_argument("--reference", help="the program to compare with")
    parser.add_argument("--turns", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256, help="of the reference")
    parser.add_argument("--windows", type=int, default=4096, help="that the reference is timed on")
    parser.add_argument("--batch_windows", type=int, help="of `score`")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ids = None
        if args.reference:
            ids = pathlib.Path(scratch) / "ids.npz"
            write_some_windows(args.data_dir, args.windows, ids)
        for turns in args.turns:
            log = pathlib.Path(scratch) / "log.jsonl"
            repeat(args.log, turns, log)
            compare(args, log, turns, ids)


if __name__ == "__main__":
    main()
