"""`convert`: public dialogue datasets, as their authors publish them, to a turn log."""

import argparse
import collections
import contextlib
import dataclasses
import fnmatch
import gzip
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pipeline.convert import crosswoz, multiwoz, sgd
from pipeline.convert.dialogues import USER, MalformedDialogue, SourceFormat
from pipeline.convert.sources import JsonFile, find_paths, json_files
from schemas.exit_status import DataRefused, UsageError

FORMATS = {"crosswoz": crosswoz.FORMAT, "multiwoz": multiwoz.FORMAT, "sgd": sgd.FORMAT}
_OUTPUTS = (".jsonl", ".jsonl.gz")


@dataclasses.dataclass
class Counts:
    """What was converted.

    Attributes:
        files: JSON files with dialogues.
        passed_over: names of JSON files that hold no dialogues (schemas, databases, lists).
        dialogues: dialogues written.
        turns: turns written.
        labelled_turns: turns with labels, be it an empty list.
        unannotated_user_turns: user turns for which the dataset gives no acts; they serve as history only.
        labels: {label: turns that bear it}.
    """

    files: int = 0
    passed_over: list[str] = dataclasses.field(default_factory=list)
    dialogues: int = 0
    turns: int = 0
    labelled_turns: int = 0
    unannotated_user_turns: int = 0
    labels: collections.Counter = dataclasses.field(default_factory=collections.Counter)


def convert(
    format_name: str, source: str, output: str | os.PathLike, labels: str | None = None, id_prefix: str = ""
) -> Counts:
    """Converts a dataset to a turn log; the output is put in place when it is complete.

    Args:
        format_name: one of `FORMATS`.
        source: a .json or .zip file, a directory of such files, or a pattern.
        output: the .jsonl or .jsonl.gz file to write.
        labels: the label rule, one of the format's `label_rules`; None for its first.
        id_prefix: put before each dialogue id.

    Returns:
        What was converted.

    Raises:
        UsageError: when an argument is wrong or a file can't be read.
        DataRefused: when a file isn't of the format, a dialogue occurs twice, or there are none.
    """
    source_format = FORMATS[format_name]
    rules = source_format.label_rules
    if labels is not None and labels not in rules:
        raise UsageError(f"--labels {labels}: {format_name} has {' and '.join(rules)} only")
    if not os.fspath(output).endswith(_OUTPUTS):
        raise UsageError(f"--output {output}: the name must end in {' or '.join(_OUTPUTS)}")
    label_of = rules[labels or next(iter(rules))]
    counts = Counts()
    paths = find_paths(source)
    with _replacing(pathlib.Path(output)) as file:
        for name, dialogue_id, dialogue in _with_progress(_dialogues(source_format, paths, counts)):
            where = f"{name}: dialogue {dialogue_id!r}"
            for row in _rows(source_format, dialogue, label_of, where):
                _count(row, counts)
                file.write(_encode({"conversation_id": id_prefix + dialogue_id} | row, where))
        if not counts.dialogues:
            raise DataRefused(f"--input {source}: no {format_name} dialogues in {', '.join(paths[:3])}"
                              f"{' …' if len(paths) > 3 else ''}")
    return counts


def _dialogues(source_format: SourceFormat, paths: list[str], counts: Counts) -> Iterator[tuple[str, str, Any]]:
    """Yields (file name, id, dialogue); each id once."""
    seen: dict[str, str] = {}
    for path in paths:
        for file in json_files(path):
            if any(fnmatch.fnmatch(os.path.basename(file.name), pattern) for pattern in source_format.other_files):
                counts.passed_over.append(file.name)
                continue
            counts.files += 1
            for dialogue_id, dialogue in _split(source_format, file):
                if dialogue_id in seen:
                    raise DataRefused(f"{file.name}: dialogue {dialogue_id!r} is in {seen[dialogue_id]} too; convert "
                                      "splits of a dataset one by one, with a different --id_prefix each")
                seen[dialogue_id] = file.name
                counts.dialogues += 1
                yield file.name, dialogue_id, dialogue


def _split(source_format: SourceFormat, file: JsonFile) -> Iterator[tuple[str, Any]]:
    try:
        for dialogue_id, dialogue in source_format.split(file.content()):
            if not dialogue_id:
                raise MalformedDialogue("a dialogue's id is empty")
            yield dialogue_id, dialogue
    except MalformedDialogue as error:
        raise DataRefused(f"{file.name}: {error}") from error


def _rows(source_format: SourceFormat, dialogue: Any, label_of: Callable[..., str], where: str) -> Iterator[dict]:
    """Yields the rows of the turn log, but for the conversation id; `where` is for the errors."""
    place = where
    try:
        if not isinstance(dialogue, dict) or not isinstance(dialogue.get(source_format.turns_key), list):
            raise MalformedDialogue(f"it must be a JSON object with the list {source_format.turns_key!r}")
        for index, source_turn in enumerate(dialogue[source_format.turns_key]):
            place = f"{where}, turn {index}"
            turn = source_format.read_turn(source_turn, index, label_of)
            row = {"turn_index": index, "speaker": turn.speaker, "text": turn.text}
            if turn.labels is not None:
                if "" in turn.labels:
                    raise MalformedDialogue("an act has an empty name")
                row["labels"] = turn.labels
            yield row
    except MalformedDialogue as error:
        raise DataRefused(f"{place}: {error}") from error


def _count(row: dict, counts: Counts) -> None:
    counts.turns += 1
    if "labels" in row:
        counts.labelled_turns += 1
        counts.labels.update(row["labels"])
    elif row["speaker"] == USER:
        counts.unannotated_user_turns += 1


def _encode(row: dict, where: str) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise DataRefused(f"{where}, turn {row['turn_index']}: a text has a lone surrogate: {error.reason}") from error


@contextlib.contextmanager
def _replacing(output: pathlib.Path) -> Iterator[BinaryIO]:
    """Gives a file to write; it takes the place of `output` when all went well, else nothing of it is left."""
    part = output.with_name(f".{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        raw = open(part, "wb")
    except OSError as error:
        raise UsageError(f"--output {output}: can't be written: {error.strerror}") from error
    try:
        with raw:
            if output.name.endswith(".gz"):
                # Neither name nor time in the header: the same input gives the same bytes.
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    yield packed
            else:
                yield raw
        os.replace(part, output)
    finally:
        part.unlink(missing_ok=True)


def _with_progress(dialogues: Iterator) -> Iterator:
    from tqdm import tqdm

    return tqdm(dialogues, "convert", unit=" dialogues", disable=None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's flags."""
    rules = "; ".join(f"{name}: {', '.join(source.label_rules)}" for name, source in FORMATS.items())
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="the dataset")
    parser.add_argument("--input", required=True, help="its .json or .zip file, a directory of them, or a pattern")
    parser.add_argument("--output", required=True, metavar="FILE.jsonl[.gz]", help="the turn log to write")
    parser.add_argument("--labels", choices=("act", "domain_act"),
                        help=f"what makes a label ({rules}; default: the first)")
    parser.add_argument("--id_prefix", default="", help="put before each dialogue id, for splits whose ids repeat")


def run(args: argparse.Namespace) -> None:
    """Runs the command and says what was converted."""
    counts = convert(args.format, args.input, args.output, args.labels, args.id_prefix)
    if counts.passed_over:
        print(f"passed over, not dialogues: {', '.join(counts.passed_over)}")
    print(f"{counts.dialogues} dialogues of {counts.files} files: {counts.turns} turns, "
          f"{counts.labelled_turns} labelled, {counts.unannotated_user_turns} user turns without annotation")
    print(f"{len(counts.labels)} labels: {', '.join(f'{label} {n}' for label, n in counts.labels.most_common())}")
    print(f"turn log: {args.output}")
