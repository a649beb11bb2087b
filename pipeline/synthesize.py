"""`synthesize`: logs to try the whole way out on, whose labels need the history in a known share of the turns."""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import heapq
import json
import os
import pathlib
import random
from collections.abc import Iterable, Iterator

from pipeline.synthetic_conversation import LANGUAGES, converse
from schemas.exit_status import UsageError

SUMMARY = "synthesis.json"
# The shortest conversation has 4 user turns, of which the first has no history.
MAX_HISTORY_SHARE = 0.75

_USER_TURNS = (4, 9)
_SECONDS_BETWEEN_CONVERSATIONS = 20
_FIRST_SECOND = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class SyntheticTurn:
    """One turn.

    Attributes:
        row: the turn's row of the log, by column.
        second: seconds since the log's beginning.
        needs_history: a labelled turn whose text bears other labels elsewhere; not part of the row.
    """

    row: dict
    second: int
    needs_history: bool


def generate(
    conversations: int, languages: tuple[str, ...], history_share: float, seed: int
) -> Iterator[list[SyntheticTurn]]:
    """Yields conversations one by one, in the order of their beginnings.

    A conversation depends on the seed and on its number alone (and on how many turns came before, for the share): the
    first n are the same however many follow.

    Args:
        conversations: how many.
        languages: names in `LANGUAGES`; each conversation is in one of them.
        history_share: share of the labelled turns that need the history, 0 to `MAX_HISTORY_SHARE`. After every
            conversation the share so far is the nearest possible, give or take one turn.
        seed: another seed makes other conversations.
    """
    labelled = needing_history = 0
    for number in range(conversations):
        rng = random.Random(f"{seed}/{number}")
        user_turns = rng.randint(*_USER_TURNS)
        labelled += user_turns
        quota = min(round(history_share * labelled) - needing_history, user_turns - 1)
        needing_history += quota
        places = set(rng.sample(range(1, user_turns), quota))
        utterances = converse(rng, LANGUAGES[rng.choice(languages)], user_turns, places)
        second = number * _SECONDS_BETWEEN_CONVERSATIONS + rng.randrange(_SECONDS_BETWEEN_CONVERSATIONS)
        turns = []
        for index, utterance in enumerate(utterances):
            row = {
                "conversation_id": f"synthetic-{seed}-{number:08d}",
                "turn_index": index,
                "timestamp": (_FIRST_SECOND + datetime.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "speaker": utterance.speaker,
                "text": utterance.text,
            }
            if utterance.labels is not None:
                row["labels"] = list(utterance.labels)
            turns.append(SyntheticTurn(row, second, utterance.needs_history))
            second += rng.randint(2, 40)
        yield turns


def interleave(conversations: Iterable[list[SyntheticTurn]]) -> Iterator[SyntheticTurn]:
    """Merges conversations into one log ordered by time; keeps those in memory that go on at the same time.

    Args:
        conversations: in the order of their beginnings.
    """
    waiting: list[tuple[int, int, int, SyntheticTurn]] = []
    for number, turns in enumerate(conversations):
        while waiting and waiting[0][0] <= turns[0].second:
            yield heapq.heappop(waiting)[-1]
        for index, turn in enumerate(turns):
            heapq.heappush(waiting, (turn.second, number, index, turn))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def synthesize(
    output_dir: str | os.PathLike,
    conversations: int = 2000,
    languages: tuple[str, ...] = ("en", "zh"),
    history_share: float = 0.3,
    seed: int = 7,
    files: int = 4,
) -> dict:
    """Writes a turn log as JSON Lines, with its summary beside it.

    Memory doesn't grow with the number of conversations. The files are put in place when all of them are complete,
    the summary last; one turn after another goes to the next file, so a conversation is spread over all of them.

    Args:
        output_dir: made when missing; gets `logs-00000-of-00004.jsonl` and so on, and `synthesis.json`.
        conversations, languages, history_share, seed: see `generate`.
        files: number of files.

    Returns:
        What `synthesis.json` holds: the options and the counts.

    Raises:
        UsageError: when an option is out of its range or the directory can't take the files.
    """
    if min(conversations, files) < 1 or not 0 <= history_share <= MAX_HISTORY_SHARE:
        raise UsageError(f"conversations ({conversations}) and files ({files}) must be 1 or more, "
                         f"history_share ({history_share}) 0 to {MAX_HISTORY_SHARE}")
    if not languages or set(languages) - set(LANGUAGES):
        raise UsageError(f"languages {languages!r}: allowed are {', '.join(LANGUAGES)}")
    directory = pathlib.Path(output_dir)
    paths = [directory / f"logs-{index:05d}-of-{files:05d}.jsonl" for index in range(files)]
    _make_directory(directory, {path.name for path in paths})
    turns = interleave(_with_progress(generate(conversations, languages, history_share, seed), conversations))
    counts = _write(turns, paths)
    labelled, dependent = counts["labelled_turns"], counts["history_dependent_turns"]
    summary = {
        "options": {"conversations": conversations, "languages": list(languages), "history_share": history_share,
                    "seed": seed, "files": files},
        "conversations": conversations,
        **counts,
        "history_dependent_share": dependent / labelled,
    }
    temporary = directory / f".{SUMMARY}.part"
    temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(temporary, directory / SUMMARY)
    return summary


def _make_directory(directory: pathlib.Path, names: set[str]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't make the output directory {directory}: {error.strerror}") from error
    # A pattern such as logs/*.jsonl would read the files of both runs.
    others = sorted(path.name for path in directory.glob("logs-*-of-*.jsonl") if path.name not in names)
    if others:
        raise UsageError(f"{directory} holds {others[0]} of a run with another number of files; remove it first, "
                         "or choose an empty --output_dir")


def _write(turns: Iterable[SyntheticTurn], paths: list[pathlib.Path]) -> dict:
    """Writes the turns to the files in rotation; counts them."""
    counts = {"turns": 0, "labelled_turns": 0, "history_dependent_turns": 0}
    labels = collections.Counter()
    temporary = [path.with_name(f".{path.name}.part") for path in paths]
    with contextlib.ExitStack() as stack:
        for path in temporary:
            # Whatever ends the run early, no half-written files stay behind.
            stack.callback(path.unlink, missing_ok=True)
        files = [stack.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in temporary]
        for turn in turns:
            files[counts["turns"] % len(files)].write(json.dumps(turn.row, ensure_ascii=False) + "\n")
            counts["turns"] += 1
            counts["labelled_turns"] += "labels" in turn.row
            counts["history_dependent_turns"] += turn.needs_history
            labels.update(turn.row.get("labels", ()))
        for file in files:
            file.close()
        for path, final in zip(temporary, paths, strict=True):
            os.replace(path, final)
    return counts | {"labels": dict(sorted(labels.items()))}


def _with_progress(conversations: Iterable, total: int) -> Iterable:
    from tqdm import tqdm

    return tqdm(conversations, "synthesize", total, unit=" conversations", unit_scale=True, disable=None)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= MAX_HISTORY_SHARE:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MAX_HISTORY_SHARE}")


def _languages(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if set(names) - set(LANGUAGES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of different languages of: {', '.join(LANGUAGES)}")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's flags."""
    parser.add_argument("--output_dir", required=True, help="directory for the log files; made when missing")
    parser.add_argument("--conversations", type=_positive, default=2000, help="how many (default %(default)s)")
    parser.add_argument("--languages", type=_languages, default=("en", "zh"), metavar="en,zh",
                        help="comma-separated, of en and zh (default both)")
    parser.add_argument("--history_share", type=_share, default=0.3, metavar="SHARE",
                        help="share of the labelled turns that can't be told without the turns before them, 0 to "
                        f"{MAX_HISTORY_SHARE} (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, other conversations (default %(default)s)")
    parser.add_argument("--files", type=_positive, default=4, help="number of log files (default %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Runs the command and says what was written where."""
    summary = synthesize(args.output_dir, args.conversations, args.languages, args.history_share, args.seed, args.files)
    print(f"{summary['turns']} turns of {summary['conversations']} conversations, {summary['labelled_turns']} of them "
          f"labelled; {summary['history_dependent_turns']} labelled turns ({summary['history_dependent_share']:.1%}) "
          f"need the history")
    print(f"logs: {args.output_dir}/logs-*-of-{args.files:05d}.jsonl, summary: {args.output_dir}/{SUMMARY}")
