"""What is known of a data directory without reading its windows: the counts of statistics.json."""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Mapping

from schemas import data_directory
from schemas.exit_status import UsageError

# Stands for the absence of any label; no label is called so.
NO_LABEL = ""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Counts over all splits of a data directory.

    Attributes:
        conversations: how many there are.
        targets: turns with a window.
        labels: {label: targets that bear it}; `NO_LABEL` for those that bear none.
        labels_per_turn: {number of labels: targets}.
        speakers: {speaker: turns}.
        turns_per_conversation: {turns: conversations}.
        tokens_per_turn: {tokens: turns}.
    """

    conversations: int
    targets: int
    labels: Mapping[str, int]
    labels_per_turn: Mapping[int, int]
    speakers: Mapping[str, int]
    turns_per_conversation: Mapping[int, int]
    tokens_per_turn: Mapping[int, int]


def read_facts(data_dir: str | pathlib.Path) -> Facts:
    """The facts of a completed data directory.

    Raises:
        UsageError: when it is missing, not completed, damaged, or lacks what is needed.
    """
    data_directory.read_manifest(data_dir)
    path = pathlib.Path(data_dir) / data_directory.STATISTICS
    try:
        splits = json.loads(path.read_text("utf-8"))["splits"].values()
        labels_per_turn = _histogram(split["labels_per_turn"] for split in splits)
        labels = _sum(split["labels"] for split in splits)
        if labels_per_turn[0]:
            labels[NO_LABEL] = labels_per_turn[0]
        return Facts(
            conversations=sum(split["conversations"] for split in splits),
            targets=sum(split["windows"] for split in splits),
            labels=labels,
            labels_per_turn=labels_per_turn,
            speakers=_sum(split["speakers"] for split in splits),
            turns_per_conversation=_histogram(split["histograms"]["turns_per_conversation"] for split in splits),
            tokens_per_turn=_histogram(split["histograms"]["tokens_per_turn"] for split in splits),
        )
    except OSError as error:
        raise UsageError(f"can't read {path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged, or of an older version; run `prepare` again: {error!r}") from error


def read_label_map(data_dir: str | pathlib.Path) -> dict[str, str | None]:
    """{label: new name, or None where it was dropped} of a data directory.

    Raises:
        UsageError: when its configuration can't be read.
    """
    path = pathlib.Path(data_dir) / data_directory.CONFIG
    try:
        return dict(json.loads(path.read_text("utf-8"))["label_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"can't read the label map in {path}: {error}") from error


def renamed(facts: Facts, label_map: Mapping[str, str | None]) -> Facts:
    """The facts with labels renamed, merged and dropped as in other data.

    A turn that bears two of the labels that are merged counts twice: the counts do not tell such turns.
    """
    labels = collections.Counter()
    for label, count in facts.labels.items():
        name = label_map.get(label, label)
        if name is not None:
            labels[name] += count
    return dataclasses.replace(facts, labels=labels)


def _sum(counts) -> collections.Counter:
    """Counts added up."""
    total = collections.Counter()
    for part in counts:
        total.update(part)
    return total


def _histogram(counts) -> collections.Counter:
    """Counts by whole number added up."""
    return _sum({int(value): count for value, count in part.items()} for part in counts)
