"""Measures presets and a linear model on the same held-out fifth of a turn log.

usage: compare_quality.py LOG.jsonl OUT_DIR --reference LINEAR.py [--presets default weekly_report] [--seeds 1 2 3]
       [--windows N]

Prepares the log (train:7,validation:1,test:2, seed 0), or its first conversations with about N training windows beside
the same test split, trains each preset with each seed, and scores the test split. The reference gets `TRAIN TEST GOLD
--analyzer word|char` and prints a line a variant with `micro-F1` and `macro-F1`; the best one by micro-F1 is shown.
What OUT_DIR has is kept. Prints a line a run, then means and spreads over the seeds.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

import pyarrow as pa

from pipeline.splits import split_of
from schemas.data_directory import SPLITS

WEIGHTS = {"train": 7, "validation": 1, "test": 2}


def run(*command: str) -> str:
    """Runs a program of Python; gives what it prints."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def prepare(log: pathlib.Path, out: pathlib.Path) -> None:
    """Prepares a log, unless it is done."""
    if not (out / "COMPLETED").exists():
        run("-m", "pipeline", "prepare", "--input", str(log), "--output_dir", str(out), "--seed", "0",
            "--split", ",".join(f"{name}:{weight}" for name, weight in WEIGHTS.items()))


def shortened(log: pathlib.Path, out: pathlib.Path, windows: int) -> pathlib.Path:
    """A log with the same conversations for testing and the first ones for training; gives its path."""
    rows = [json.loads(line) for line in log.read_text("utf-8").split("\n") if line]
    ids = list(dict.fromkeys(row["conversation_id"] for row in rows))
    splits = split_of(pa.array(ids), WEIGHTS, 0)
    targets = dict.fromkeys(ids, 0)
    for row in rows:
        targets[row["conversation_id"]] += row.get("labels") is not None
    kept, shown = set(), 0
    for name, split in zip(ids, splits, strict=True):
        if SPLITS[split] == "test" or shown < windows:
            kept.add(name)
            shown += targets[name] * (SPLITS[split] == "train")
    path = out / "shortened.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row["conversation_id"] in kept)
    path.write_text(text, "utf-8")
    return path


def linear(log: pathlib.Path, out: pathlib.Path, reference: str) -> str:
    """The best line of the linear model."""
    plain, kept = out / "plain", out / "linear.txt"
    if not kept.exists():
        run(str(pathlib.Path(__file__).with_name("split_log.py")), str(log), str(out / "data"), str(plain))
        files = [str(plain / f"{name}.jsonl") for name in ("train", "test", "gold")]
        kept.write_text("".join(f"{analyzer}, {line}\n" for analyzer in ("word", "char")
                                for line in run(reference, *files, "--analyzer", analyzer).splitlines()), "utf-8")
    return max(kept.read_text("utf-8").splitlines(), key=lambda line: float(re.search(r"micro-F1 ([.\d]+)", line)[1]))


def score(out: pathlib.Path, preset: str, seed: int) -> dict:
    """What report.json says of a preset trained with a seed."""
    model = out / f"{preset}-{seed}"
    if not (model / "COMPLETED").exists():
        run("-m", "trainer", "train", "--data_dir", str(out / "data"), "--model_dir", str(model), "--preset", preset,
            "--set", f"seed={seed}")
    report = model / "evaluation" / "report.json"
    if not report.exists():
        run("-m", "trainer", "evaluate", "--data_dir", str(out / "data"), "--model_dir", str(model))
    return json.loads(report.read_text("utf-8"))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--presets", nargs="+", default=["default", "weekly_report"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--windows", type=int)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = shortened(args.log, args.out, args.windows) if args.windows else args.log
    prepare(log, args.out / "data")
    print(f"linear: {linear(log, args.out, args.reference)}", flush=True)
    for preset in args.presets:
        figures = []
        for seed in args.seeds:
            report = score(args.out, preset, seed)
            micro, macro = report["micro"]["f1"], report["macro"]["f1"]
            gate = report["gate"]["related_auc"] or float("nan")
            figures.append((micro, macro, gate))
            print(f"{preset}, seed {seed}: micro-F1 {micro:.4f} macro-F1 {macro:.4f} gate AUC {gate:.3f}", flush=True)
        for name, values in zip(("micro-F1", "macro-F1", "gate AUC"), zip(*figures, strict=True), strict=True):
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{preset}: {name} {statistics.mean(values):.4f} +- {spread:.4f}", flush=True)


if __name__ == "__main__":
    main()
