"""Measures how well a model tells intents that only the history can tell.

usage: history_recovery.py [--conversations 2000] [--seed 7] [--set key=value ...]

Synthesizes logs, prepares them with five history turns and with none, trains on both and scores the test splits. Prints
micro-F1 over the turns whose text bears other labels elsewhere, and over all others.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from sklearn.metrics import f1_score

from pipeline.synthesize import generate, synthesize
from trainer.predictions import predict

LANGUAGES, SHARE = ("en", "zh"), 0.3


def run(*command: str) -> None:
    """Runs a command of the project; what it prints is shown only when it fails."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")


def scores(model: pathlib.Path, data: pathlib.Path, needing: set[tuple[str, int]]) -> tuple[float, float, int, int]:
    """Micro-F1 over the windows in `needing` and over the others, and how many there are of each."""
    predictions = predict(model, data, "test")
    said = predictions.scores >= 0.5
    mask = [(conversation, int(turn)) in needing
            for conversation, turn in zip(predictions.conversation_ids, predictions.turn_indices, strict=True)]
    chosen = [[there == wanted for there in mask] for wanted in (True, False)]
    figures = [f1_score(predictions.labels[rows], said[rows], average="micro") for rows in chosen]
    return *figures, sum(chosen[0]), sum(chosen[1])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args()
    needing = {(turn.row["conversation_id"], turn.row["turn_index"])
               for turns in generate(args.conversations, LANGUAGES, SHARE, args.seed)
               for turn in turns if turn.needs_history}
    settings = [part for setting in args.settings for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch)
        synthesize(path / "logs", args.conversations, LANGUAGES, SHARE, args.seed)
        for turns in ("5", "0"):
            data, model = path / f"data{turns}", path / f"model{turns}"
            run("pipeline", "prepare", "--input", f"{path}/logs/*.jsonl", "--output_dir", str(data), "--history_turns",
                turns)
            run("trainer", "train", "--data_dir", str(data), "--model_dir", str(model), *settings)
            needs, others, count, rest = scores(model, data, needing)
            print(f"history_turns {turns}: micro-F1 {needs:.4f} where the history is needed ({count} windows), "
                  f"{others:.4f} elsewhere ({rest})", flush=True)


if __name__ == "__main__":
    main()
