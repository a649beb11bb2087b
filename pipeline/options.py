"""The flags of `prepare`, and the configuration they make."""

import argparse
import dataclasses
import json
import re

from schemas.data_directory import CONFIG, SPLITS
from schemas.exit_status import UsageError
from schemas.turn_log import COLUMN_NAMES, DERIVED_NUMERIC

TOKENIZER_NAMES = ("unicode", "whitespace", "char")
MAX_LINE_BYTES = 8 << 20
HISTORY_CHOICES = ("all", "same_speaker")


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What shapes a data directory, and nothing else: it is written to its config.json.

    Attributes:
        columns: {column of the turn log or numeric feature: its name in the files}.
        numeric_features: the user's numeric columns.
        history: `all` turns, or those of the `same_speaker`.
        history_turns: history slots of a window.
        tokenizer: `unicode`, `whitespace` or `char`.
        max_tokens: the most tokens of a turn.
        vocabulary_size: the most tokens of the vocabulary.
        min_token_count: the fewest occurrences of a token in the train split.
        split: {split: weight}.
        seed: salts the split.
        label_map: {label: new name, or None to drop it}.
        max_line_bytes: a longer line is rejected.
        max_bad_fraction: the input is refused when a larger part of its rows is rejected.
    """

    columns: dict[str, str]
    numeric_features: tuple[str, ...]
    history: str
    history_turns: int
    tokenizer: str
    max_tokens: int
    vocabulary_size: int
    min_token_count: int
    split: dict[str, int]
    seed: int
    label_map: dict[str, str | None]
    max_line_bytes: int
    max_bad_fraction: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `prepare`; flags that it doesn't know go to Beam."""
    add = parser.add_argument
    add(
        "--input",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="turn logs: .jsonl (.gz, .zst, .bz2), .csv or .parquet; any path that Beam's filesystems know",
    )
    add("--output_dir", required=True, help="data directory to write")
    add("--overwrite", action="store_true", help="replace a data directory that is there")
    add("--columns", type=renamed, default={}, metavar="COLUMN=NAME,…", help="names of the columns in the input")
    add("--numeric_features", type=names, default=(), metavar="NAME,…", help="more numeric columns to learn from")
    add("--history", choices=HISTORY_CHOICES, default="all", help="whose earlier turns make the history")
    add("--history_turns", type=number(int, 0, 100), default=5, help="turns of history (default 5; 0: none)")
    add("--tokenizer", choices=TOKENIZER_NAMES, default="unicode")
    add("--max_tokens", type=number(int, 1, 10_000), default=64, help="tokens of a turn that are kept (default 64)")
    add("--vocab_size", type=number(int, 1, 10_000_000), default=20_000, help="most tokens known (default 20000)")
    add("--min_token_count", type=number(int, 1, 2**31), default=2, help="rarer tokens are unknown (default 2)")
    add("--split", type=_split, default="train:8,validation:1,test:1", metavar="SPLIT:WEIGHT,…")
    add("--seed", type=number(int, 0, 2**63 - 1), default=0, help="decides which conversation lies in which split")
    add(
        "--keep_splits_of",
        metavar="DATA_DIR",
        help="an earlier data directory: refuse a --split or --seed that would train on its test conversations",
    )
    add("--label_map", metavar="FILE.yaml", help="labels to rename, merge or (null) drop")
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
    add("--dry_run", action="store_true", help="read and check the input, show plan and counts, write nothing")


def config_of(args: argparse.Namespace) -> PrepareConfig:
    """The configuration of parsed flags.

    Raises:
        UsageError: when flags contradict each other or the label map can't be read.
    """
    from pipeline.labels import read_label_map

    taken = set(args.numeric_features) & {*COLUMN_NAMES, *DERIVED_NUMERIC, "turns"}
    if taken:
        raise UsageError(f"--numeric_features {', '.join(sorted(taken))}: that name belongs to the turn log itself")
    if args.keep_splits_of:
        _require_same_splits(args.keep_splits_of, args.split, args.seed)
    return PrepareConfig(
        columns=reading_columns(args.columns, args.numeric_features),
        numeric_features=args.numeric_features,
        history=args.history,
        history_turns=args.history_turns,
        tokenizer=args.tokenizer,
        max_tokens=args.max_tokens,
        vocabulary_size=args.vocab_size,
        min_token_count=args.min_token_count,
        split=args.split,
        seed=args.seed,
        label_map=read_label_map(args.label_map) if args.label_map else {},
        max_line_bytes=args.max_line_bytes,
        max_bad_fraction=args.max_bad_fraction,
    )


def _require_same_splits(data_dir: str, split: dict[str, int], seed: int) -> None:
    """Raises a UsageError unless conversations lie in the splits that they have in an earlier data directory.

    A conversation's split follows from its id, the weights and the seed alone: with the same of both, one that was
    tested on is never trained on, whichever logs it comes with.
    """
    from apache_beam.io.filesystems import FileSystems

    path = FileSystems.join(data_dir, CONFIG)
    try:
        with FileSystems.open(path) as file:
            earlier = json.loads(file.read())
        kept = (earlier["split"], earlier["seed"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"--keep_splits_of: can't read {path}: {error!r}") from error
    if kept != (split, seed):
        raise UsageError(
            f"--keep_splits_of {data_dir} has the split {kept[0]} with seed {kept[1]}, this job {split} with {seed}: "
            "its test conversations would be trained on"
        )


def reading_columns(given: dict[str, str], numeric_features: tuple[str, ...]) -> dict[str, str]:
    """{column of the turn log or numeric feature: its name in the files}, of what `--columns` renames.

    Raises:
        UsageError: when it renames what is no column, or takes one column for two.
    """
    known = (*COLUMN_NAMES, *numeric_features)
    unknown = set(given) - set(known)
    if unknown:
        raise UsageError(f"--columns renames {', '.join(sorted(unknown))}; allowed are {', '.join(known)}")
    columns = {name: given.get(name, name) for name in known}
    if len(set(columns.values())) < len(columns):
        raise UsageError(f"--columns takes one column of the input for two: {', '.join(columns.values())}")
    return columns


def number(kind: type, low: float, high: float):
    """A flag's type: a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}; allowed is a number from {low} to {high}")
        return value

    return parse


def names(text: str) -> tuple[str, ...]:
    """A flag's type: different names, separated by commas."""
    found = tuple(text.split(","))
    if len(set(found)) < len(found) or not all(found):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed is a comma-separated list of different names")
    return found


def renamed(text: str) -> dict[str, str]:
    """A flag's type: `column=name,…` as {column: name}."""
    pairs = [item.split("=", 1) for item in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs) or len({name for name, _ in pairs}) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed is column=name,… with each column once")
    return dict(pairs)


def _split(text: str) -> dict[str, int]:
    """Reads `train:8,validation:1,test:1` as {split: weight}; a split left out has weight 0."""
    allowed = f"allowed is split:weight,… with splits {', '.join(SPLITS)} and whole weights, train's above 0"
    if not re.fullmatch(r"[a-z]+:[0-9]{1,9}(,[a-z]+:[0-9]{1,9})*", text):
        raise argparse.ArgumentTypeError(f"{text!r}; {allowed}")
    pairs = [item.split(":") for item in text.split(",")]
    weights = dict.fromkeys(SPLITS, 0) | {split: int(weight) for split, weight in pairs}
    if set(weights) != set(SPLITS) or len({split for split, _ in pairs}) < len(pairs) or not weights["train"]:
        raise argparse.ArgumentTypeError(f"{text!r}; {allowed}")
    return weights
