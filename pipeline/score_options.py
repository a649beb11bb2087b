"""The flags of `score`, and the configuration they make."""

import argparse
import dataclasses

from pipeline.options import MAX_LINE_BYTES, names, number, reading_columns, renamed
from schemas.predictions_directory import EXTENSIONS

BATCH_WINDOWS = 2048


@dataclasses.dataclass(frozen=True)
class ScoreConfig:
    """What shapes predictions, beside the input and the model: it is written to config.json.

    Attributes:
        columns: {column of the turn log or numeric feature: its name in the files}.
        target_speakers: whose turns are scored.
        extension: of the shards, see `EXTENSIONS`.
        top_k: only so many scores a turn, the largest; None for all.
        min_score: only scores of at least this.
        attention: whether attention and gate are written.
        batch_windows: windows that the model is given at a time.
        label_map: {label of the log: new name, or None to drop it}, for the evaluation figures.
        max_line_bytes: a longer line is rejected.
    """

    columns: dict[str, str]
    target_speakers: tuple[str, ...]
    extension: str
    top_k: int | None
    min_score: float
    attention: bool
    batch_windows: int
    label_map: dict[str, str | None]
    max_line_bytes: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `score`; flags that it doesn't know go to Beam."""
    add = parser.add_argument
    add(
        "--input",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="turn logs: .jsonl (.gz, .zst, .bz2), .csv or .parquet; any path that Beam's filesystems know",
    )
    add("--model_dir", required=True, help="a model directory, or a SavedModel of one")
    add("--output_dir", required=True, help="predictions directory to write; an interrupted job in it goes on")
    add("--overwrite", action="store_true", help="replace predictions that are there")
    add("--format", choices=EXTENSIONS, default="jsonl.gz", help="of the predictions (default jsonl.gz)")
    add("--top_k", type=number(int, 1, 10_000), help="write only so many scores a turn, the largest")
    add("--min_score", type=number(float, 0, 1), default=0.0, help="write only scores of at least this")
    add("--no_attention", action="store_true", help="write neither attention nor gate")
    add(
        "--target_speakers",
        type=names,
        metavar="NAME,…",
        help="whose turns are scored (default: those that bore labels in training)",
    )
    add("--columns", type=renamed, default={}, metavar="COLUMN=NAME,…", help="names of the columns in the input")
    add(
        "--label_map",
        metavar="FILE.yaml",
        help="labels of the log to rename, merge or (null) drop before predictions are compared with them",
    )
    add(
        "--batch_windows",
        type=number(int, 1, 1_000_000),
        default=BATCH_WINDOWS,
        help=f"windows that the model is given at a time (default {BATCH_WINDOWS})",
    )
    add(
        "--max_line_bytes",
        type=number(int, 1000, 2**30),
        default=MAX_LINE_BYTES,
        help="longer lines are rejected (default 8 MiB)",
    )
    add(
        "--max_bad_fraction",
        type=number(float, 0, 1),
        default=0.01,
        help="refuse the input when more of its rows are rejected (default 0.01)",
    )


def config_of(
    args: argparse.Namespace, numeric_features: tuple[str, ...], target_speakers: tuple[str, ...]
) -> ScoreConfig:
    """The configuration of parsed flags.

    Args:
        args: the flags.
        numeric_features: the numeric columns that the model wants.
        target_speakers: whose turns are scored unless the flags say otherwise.

    Raises:
        UsageError: when flags contradict each other or the label map can't be read.
    """
    from pipeline.labels import read_label_map

    return ScoreConfig(
        columns=reading_columns(args.columns, numeric_features),
        target_speakers=args.target_speakers or target_speakers,
        extension=args.format,
        top_k=args.top_k,
        min_score=args.min_score,
        attention=not args.no_attention,
        batch_windows=args.batch_windows,
        label_map=read_label_map(args.label_map) if args.label_map else {},
        max_line_bytes=args.max_line_bytes,
    )
