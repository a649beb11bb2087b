"""`trainer predict`: what the exported SavedModel says of some windows of a split, for people to read."""

import argparse
import dataclasses
import pathlib

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.exit_status import DataRefused
from schemas.visible_text import visible
from trainer.flags import whole_number
from trainer.windows import Window, read_windows, spread


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the SavedModel says of a window.

    Attributes:
        scores: {label: probability}.
        predicted: the labels that reach their thresholds.
        attention: the weight of each history slot, the newest first.
    """

    scores: dict[str, float]
    predicted: tuple[str, ...]
    attention: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer predict` beside `--model_dir` and `--data_dir`, which all commands share."""
    parser.add_argument("--split", choices=data_directory.SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--windows", type=whole_number(1), default=10,
                        help="how many to show, taken from all over the split (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Prints windows and predictions.

    Args:
        args: with `model_dir`, `data_dir`, `split` and `windows`.

    Raises:
        UsageError: when a directory is missing or damaged, or the model takes other windows than the data hold.
        DataRefused: when the split is empty or a shard is damaged.
    """
    model_directory.require_completed(args.model_dir)
    manifest = data_directory.read_manifest(args.data_dir)
    rows = spread(sum(shard.records for shard in manifest.shards_of(args.split)), args.windows)
    if not rows:
        raise DataRefused(f"{args.data_dir} has no windows in its {args.split} split")
    windows = read_windows(args.data_dir, manifest, args.split, rows)
    for window, answer in zip(windows, ask(args.model_dir, windows, manifest), strict=True):
        print(f"{describe(window, answer)}\n")


def ask(model_dir: str | pathlib.Path, windows: list[Window], manifest: Manifest) -> list[Answer]:
    """What the SavedModel of a model directory says of windows.

    Raises:
        UsageError: when it can't be loaded or takes windows of other sizes than the manifest's.
    """
    from trainer.saved_models import load_saved_model

    model = load_saved_model(model_dir)
    model.require_windows_of(manifest)
    labels = model.description.labels
    outputs = model([window.texts for window in windows], [window.speakers for window in windows],
                    [window.numeric for window in windows])
    return [Answer(dict(zip(labels, scores.tolist(), strict=True)),
                   tuple(name for name, said in zip(labels, predicted, strict=True) if said),
                   tuple(attention.tolist()))
            for scores, predicted, attention in
            zip(*(outputs[name] for name in ("scores", "predicted", "attention")), strict=True)]


def describe(window: Window, answer: Answer) -> str:
    """The window and the answer as a few lines that are safe for a terminal."""
    present = [slot for slot, text in enumerate(window.texts) if slot and text]
    history = "(none)"
    if present:
        slot = max(present, key=lambda slot: answer.attention[slot - 1])
        history = f"{_turn(window, slot)}  ({slot} back, attention {answer.attention[slot - 1]:.2f})"
    best = sorted(answer.scores, key=answer.scores.get, reverse=True)
    said = [_scored(label, answer) for label in best if label in answer.predicted]
    return "\n".join((
        f"conversation {visible(window.conversation_id)}  turn {window.turn_index}",
        f"  turn       {_turn(window, 0)}",
        f"  history    {history}",
        f"  labels     {', '.join(map(visible, window.labels)) or '(none)'}",
        f"  predicted  {', '.join(said) or f'(none; nearest: {_scored(best[0], answer)})'}",
    ))


def _turn(window: Window, slot: int) -> str:
    """Who said what."""
    speaker, text = visible(window.speakers[slot] or "?"), visible(window.texts[slot] or "(no words)")
    return f"{speaker}: {text}"


def _scored(label: str, answer: Answer) -> str:
    """A label with its score."""
    return f"{visible(label)} {answer.scores[label]:.2f}"
