"""The books and statistics.json, from the counts of a job."""

import collections

from schemas.data_directory import SPLITS, Books
from schemas.exit_status import DataRefused, TurnwiseError
from schemas.turn_log import HARMLESS_REASONS

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# Those that are in statistics.json as counts too, for comparing data directories.
HISTOGRAMS = ("turns_per_conversation", "tokens_per_turn")


def books_of(result: dict, dry_run: bool) -> Books:
    """The books of a job's added-up counts; of a dry run, windows are the targets that would have one."""
    books, splits = result["books"], result["splits"]
    return Books(
        turns_read=books.get("turns_read", 0),
        turns_rejected=dict(sorted(result.get("rejected", {}).items())),
        history_only=books["history_only"],
        targets=books["targets"],
        windows={
            split: sum(splits[split]["labels_per_turn"].values()) if dry_run else splits[split].get("windows", 0)
            for split in SPLITS
        },
        dropped=dict(sorted(result.get("dropped", {}).items())),
    )


def check_books(books: Books, max_bad_fraction: float, rejected: str, dry_run: bool) -> None:
    """Decides whether the input is fit for use.

    Raises:
        TurnwiseError: when the books don't balance.
        DataRefused: when too many rows are rejected or there is nothing to train on.
    """
    wrong = books.imbalances()
    if wrong:
        raise TurnwiseError(f"the books don't balance: {'; '.join(wrong)}")
    bad = sum(count for reason, count in books.turns_rejected.items() if reason not in HARMLESS_REASONS)
    if bad > max_bad_fraction * books.turns_read:
        reasons = ", ".join(f"{reason} {count}" for reason, count in books.turns_rejected.items())
        where = "" if dry_run else f"; they are in {rejected}"
        raise DataRefused(
            f"{bad} of {books.turns_read} rows are rejected ({reasons}), more than --max_bad_fraction "
            f"{max_bad_fraction}{where}"
        )
    if not books.windows["train"]:
        raise DataRefused(
            f"no turn with labels lies in the train split: {books.turns_read} rows read, {books.targets} with labels"
        )


def statistics_of(result: dict) -> dict:
    """The content of statistics.json: for each split its counts, distributions and rates."""
    labels = result["learnt"]["labels"]
    return {
        "splits": {split: _split_statistics(result["splits"][split], labels) for split in SPLITS},
        "speakers": result["learnt"]["speakers"],
        "target_speakers": result["learnt"]["target_speakers"],
    }


def _split_statistics(counts: dict, labels: list[str]) -> dict:
    turns = sum(counts["tokens_per_turn"].values())
    statistics = {
        "conversations": sum(counts["turns_per_conversation"].values()),
        "turns": turns,
        "windows": counts.get("windows", 0),
        "labels": dict(sorted(counts["labels"].items())),
        "labels_per_turn": _by_value(counts["labels_per_turn"]),
        "speakers": dict(sorted(counts["speakers"].items())),
        "turns_per_conversation": distribution(counts["turns_per_conversation"]),
        "tokens_per_turn": distribution(counts["tokens_per_turn"]),
        "histograms": {name: _by_value(counts[name]) for name in HISTOGRAMS},
        "label_cooccurrence": [
            [*sorted(labels[int(number)] for number in pair.split()), count]
            for pair, count in sorted(counts.get("cooccurrence", {}).items(), key=lambda item: (-item[1], item[0]))
        ],
        "unseen_labels": dict(sorted(counts.get("unseen_labels", {}).items())),
        "tokens": counts.get("tokens", 0),
        "out_of_vocabulary_tokens": counts.get("out_of_vocabulary", 0),
        "out_of_vocabulary_rate": counts.get("out_of_vocabulary", 0) / max(1, counts.get("tokens", 0)),
    }
    if "windows_also_in_train" in counts:
        statistics["windows_also_in_train"] = counts["windows_also_in_train"]
    return statistics


def _by_value(histogram: dict[str, int]) -> dict[str, int]:
    return dict(sorted(histogram.items(), key=lambda item: int(item[0])))


def distribution(histogram: dict[str, int]) -> dict[str, float]:
    """Mean, extremes and quantiles (the least value with at least that part at or below it) of {value: count}."""
    counts = collections.Counter({int(value): count for value, count in histogram.items()})
    total = sum(counts.values())
    if not total:
        return {}
    values = sorted(counts)
    result = {
        "mean": sum(value * count for value, count in counts.items()) / total,
        "min": values[0],
        "max": values[-1],
    }
    for quantile in QUANTILES:
        seen = 0
        for value in values:
            seen += counts[value]
            if seen >= quantile * total:
                result[f"p{round(100 * quantile)}"] = value
                break
    return result


def summary(books: Books, statistics: dict) -> str:
    """The books for people, some lines."""
    rejected, dropped = sum(books.turns_rejected.values()), sum(books.dropped.values())
    lines = [
        f"turns read    {books.turns_read:>12,} = {rejected:,} rejected + {books.history_only:,} history only"
        f" + {books.targets:,} targets"
    ]
    lines += [f"  rejected    {count:>12,} {reason}" for reason, count in books.turns_rejected.items()]
    windows = " + ".join(f"{count:,} {split}" for split, count in books.windows.items())
    lines.append(f"targets       {books.targets:>12,} = {windows} + {dropped:,} dropped")
    lines += [f"  dropped     {count:>12,} {reason}" for reason, count in books.dropped.items()]
    for split, numbers in statistics["splits"].items():
        lines.append(
            f"{split:<13} {numbers['conversations']:>12,} conversations, {numbers['turns']:,} turns, "
            f"{len(numbers['labels'])} labels, {numbers['out_of_vocabulary_rate']:.2%} of tokens unknown"
        )
    return "\n".join(lines)
