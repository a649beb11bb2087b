"""Times training on data directories, beside another program that trains the same network on the same windows.

usage: compare_training.py DATA_DIR [DATA_DIR ...] --reference PROGRAM.py [--batch 256] [--runs 3] [--epochs 3]

Each run is a process of its own. The programs take turns, so that a machine whose speed drifts favours none; a ratio is
of two neighbouring runs. The reference gets `IDS.npz --epochs E --batch B`, the windows of the train split padded to
the longest turn there, and prints `... fit: N examples/s`. Turnwise trains the preset weekly_report with
`mask_padding`, by the trainer's functions, reading the shards as `train` does. Windows/s are those of the epochs after
the first, without compiling and without validation. Beside them stand those of the same steps on batches that are kept
in memory: training as fast as that never waits for its input. Prints each run, then medians.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

KEPT_BATCHES = 8
HISTORY_TURNS = 5


def write_windows(data_dir: pathlib.Path, path: pathlib.Path) -> tuple[int, int]:
    """Writes the train split as the reference wants it; gives the number of windows and the longest turn's tokens."""
    import numpy as np

    from schemas.data_directory import read_manifest
    from trainer.input_pipeline import evaluation_dataset

    manifest = read_manifest(data_dir)
    if manifest.history_turns != HISTORY_TURNS:
        raise SystemExit(f"{data_dir} has {manifest.history_turns} history turns; the reference takes {HISTORY_TURNS}")
    batches = [(windows["token_ids"].numpy(), windows["turn_lengths"].numpy().max(), windows["numeric"].numpy(), labels)
               for windows, labels in evaluation_dataset(data_dir, manifest, "train", 1024)]
    ids, longest, numeric, labels = zip(*batches, strict=True)
    ids = np.concatenate(ids)[:, :, :max(longest)]
    # It has one scalar.
    scalar = np.pad(np.concatenate(numeric), ((0, 0), (0, 1)))[:, :1]
    np.savez(path, ids=ids, aux=scalar, labels=np.concatenate(labels), vocabulary=manifest.vocabulary_size)
    return len(ids), ids.shape[2]


def time_reference(program: str, ids: pathlib.Path, batch: int, epochs: int) -> dict:
    """Windows/s of the reference."""
    command = [sys.executable, program, str(ids), "--epochs", str(epochs), "--batch", str(batch)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"training": float(re.search(r"fit: ([\d.]+) examples/s", printed)[1])}


def time_training(data_dir: pathlib.Path, batch: int, epochs: int) -> dict:
    """Windows/s of a training, and of its steps on batches kept in memory, in a process of its own."""
    command = [sys.executable, __file__, str(data_dir), "--batch", str(batch), "--epochs", str(epochs), "--train"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def train(data_dir: pathlib.Path, batch: int, epochs: int) -> dict:
    """Trains in this process; see `time_training`."""
    import keras

    from schemas.data_directory import read_manifest
    from trainer.callbacks import StopOnNaN
    from trainer.config import load_config
    from trainer.input_pipeline import steps_per_epoch, training_dataset, window_count
    from trainer.models import Sizes, build_model
    from trainer.training import compile_model

    class EpochEnds(keras.callbacks.Callback):
        """The times at which epochs ended."""

        def on_train_begin(self, logs=None):
            self.times = []

        def on_epoch_end(self, epoch, logs=None):
            self.times.append(time.perf_counter())

    manifest = read_manifest(data_dir)
    config = load_config("weekly_report", None, ["mask_padding=true", f"global_batch_size={batch}"])
    keras.utils.set_random_seed(config.seed)
    windows = window_count(manifest, "train")
    steps = steps_per_epoch(windows, batch)
    model = build_model(config, Sizes.of(manifest))
    compile_model(model, config, steps)
    read = training_dataset(data_dir, manifest, batch_size=batch, shuffle_buffer=config.shuffle_buffer,
                            seed=config.seed, first_epoch=0, shown=[windows] * (1 + epochs))
    kept = read.take(min(KEPT_BATCHES, steps)).cache().repeat()
    rates, ends = {}, EpochEnds()
    for name, dataset in (("training", read), ("in memory", kept)):
        model.fit(dataset, epochs=1 + epochs, steps_per_epoch=steps, shuffle=False, verbose=0,
                  callbacks=[StopOnNaN(), ends])
        rates[name] = epochs * steps * batch / (ends.times[-1] - ends.times[0])
    return rates


def compare(data_dir: pathlib.Path, args) -> None:
    """Measures one data directory, and prints."""
    with tempfile.TemporaryDirectory() as scratch:
        ids = pathlib.Path(scratch) / "ids.npz"
        windows, length = write_windows(data_dir, ids)
        print(f"{data_dir.name}: {windows} windows, padded to {length} tokens for the reference, batch {args.batch}")
        runs: dict[str, list[dict]] = {"reference": [], "turnwise": []}
        for _ in range(args.runs):
            runs["reference"].append(time_reference(args.reference, ids, args.batch, args.epochs))
            print(f"{data_dir.name} reference {json.dumps(runs['reference'][-1])}", flush=True)
            runs["turnwise"].append(time_training(data_dir, args.batch, args.epochs))
            print(f"{data_dir.name} turnwise {json.dumps(runs['turnwise'][-1])}", flush=True)
    for name, some in runs.items():
        figures = ", ".join(f"{key} {statistics.median(run[key] for run in some):.0f} windows/s" for key in some[0])
        print(f"{data_dir.name:<20} {name:<10} {figures}")
    ratios = [ours["training"] / theirs["training"]
              for ours, theirs in zip(runs["turnwise"], runs["reference"], strict=True)]
    print(f"{data_dir.name:<20} turnwise / reference: {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dirs", nargs="+", type=pathlib.Path)
    parser.add_argument("--reference", help="the program to compare with")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="that are timed")
    parser.add_argument("--train", action="store_true", help="only train, in this process, and print the figures")
    args = parser.parse_args()
    if not args.train and not args.reference:
        parser.error("--reference is missing")
    for data_dir in args.data_dirs:
        if args.train:
            print(json.dumps(train(data_dir, args.batch, args.epochs)))
        else:
            compare(data_dir, args)


if __name__ == "__main__":
    main()
