"""`synthesize`: the promise of its history-dependent turns, and its files."""

import argparse
import collections
import datetime
import functools
import itertools
import json
import random
import re

import pytest

from pipeline.synthesize import MAX_HISTORY_SHARE, SUMMARY, add_arguments, generate, interleave, run, synthesize
from pipeline.synthetic_conversation import LANGUAGES, fill
from pipeline.synthetic_world import LABELS, REPLY_LABELS, TOPICS
from schemas.exit_status import UsageError
from schemas.turn_log import COLUMN_NAMES

BOTH = ("en", "zh")
HAN = re.compile("[\u4e00-\u9fff]")


def bare(text):
    """The text as a classifier may see it: case, spaces and punctuation don't count."""
    return re.sub(r"[\W_]", "", text.casefold())


def label_sets(turns):
    """{bare text: {labels: times}}."""
    found = collections.defaultdict(collections.Counter)
    for turn in turns:
        found[bare(turn.row["text"])][tuple(turn.row["labels"])] += 1
    return found


@pytest.fixture(scope="module")
def conversations():
    return list(generate(1500, BOTH, 0.5, seed=3))


@pytest.fixture(scope="module")
def labelled(conversations):
    return [turn for conversation in conversations for turn in conversation if "labels" in turn.row]


def test_marked_turns_cannot_be_told_from_their_text(labelled):
    marked = label_sets(turn for turn in labelled if turn.needs_history)
    assert len(marked) > 80
    assert {text for text, sets in marked.items() if len(sets) < 2} == set()
    # Whoever sees only the text and knows the most frequent labels of each is wrong in most of these turns.
    best = sum(max(sets.values()) for sets in marked.values())
    assert best < 0.4 * sum(sum(sets.values()) for sets in marked.values())


def test_other_turns_can_be_told_from_their_text(labelled):
    marked = label_sets(turn for turn in labelled if turn.needs_history)
    others = label_sets(turn for turn in labelled if not turn.needs_history)
    assert {text: sets for text, sets in others.items() if len(sets) > 1} == {}
    assert set(others) & set(marked) == set()
    assert len(others) > 3000


@functools.cache
def template_pattern(template, language_name):
    """Matches what `fill` makes of the template."""
    slots = LANGUAGES[language_name].slots
    parts = re.split(r"\{([a-z]+)\d?\}", template)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (f"(?:{'|'.join(map(re.escape, slots[name]))})" for name in parts[1::2])
    return re.compile("".join(parts))


def topics_said(language_name, turn):
    """The topics that an explicit clause or an agent's prompt in this turn names."""
    if turn.row["speaker"] == "user":
        return set(turn.row["labels"]) & set(TOPICS) if not turn.needs_history else set()
    return {
        context
        for contexts in LANGUAGES[language_name].prompts.values() for context, templates in contexts.items()
        for template in templates if template_pattern(template, language_name).fullmatch(turn.row["text"])
    }


def contexts_seen(conversation, place):
    """The latest context named in the five turns before a reply."""
    language_name = "zh" if HAN.search(conversation[place - 1].row["text"]) else "en"
    for turn in reversed(conversation[max(0, place - 5):place]):
        said = topics_said(language_name, turn)
        if said:
            return said
    return set()


def test_five_turns_of_history_tell_the_labels(conversations):
    """A reader who knows the world, and sees the five turns before, finds the labels of every marked turn."""
    marked = far = 0
    for conversation in conversations[:400]:
        for place, turn in enumerate(conversation):
            if not turn.needs_history:
                continue
            group = next(group for group in REPLY_LABELS for language in LANGUAGES.values()
                         if turn.row["text"] in language.replies[group])
            seen = contexts_seen(conversation, place)
            assert len(seen) == 1, (seen, turn.row, conversation[place - 1].row)
            assert turn.row["labels"] == list(REPLY_LABELS[group][seen.pop()])
            marked += 1
            far += any(conversation[place - 1].row["text"] in language.neutral_prompts.get(group, ())
                       for language in LANGUAGES.values())
    assert far > 0.1 * marked  # these need more than the agent's last turn


def test_tables_of_the_world_agree():
    for language, (group, contexts) in itertools.product(LANGUAGES.values(), REPLY_LABELS.items()):
        assert set(language.prompts[group]) == set(contexts)
        assert len(set(contexts.values())) > 1
        assert all(labels == tuple(sorted(labels)) and set(labels) <= set(LABELS) for labels in contexts.values())
    for language in LANGUAGES.values():
        assert set(language.clauses) | set(language.openers) == set(LABELS)
        assert set(language.neutral_prompts) <= set(REPLY_LABELS)
        replies = [text for texts in language.replies.values() for text in texts]
        assert len(set(map(bare, replies))) == len(replies)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, MAX_HISTORY_SHARE])
def test_share_is_met_after_every_conversation(share):
    labelled = marked = 0
    for conversation in generate(300, BOTH, share, seed=11):
        labelled += sum("labels" in turn.row for turn in conversation)
        marked += sum(turn.needs_history for turn in conversation)
        assert abs(marked - share * labelled) <= 1


def test_first_conversations_do_not_depend_on_the_rest():
    few, many = (list(generate(count, BOTH, 0.3, seed=7)) for count in (20, 60))
    assert few == many[:20]
    assert few != list(generate(20, BOTH, 0.3, seed=8))


def test_log_is_ordered_by_time_and_interleaved():
    turns = list(interleave(generate(50, BOTH, 0.3, seed=1)))
    times = [datetime.datetime.fromisoformat(turn.row["timestamp"]) for turn in turns]
    assert times == sorted(times)
    assert all(time.tzinfo is not None for time in times)
    ids = [turn.row["conversation_id"] for turn in turns]
    assert len(list(itertools.groupby(ids))) > 0.7 * len(ids)
    by_conversation = sorted(turns, key=lambda turn: (turn.row["conversation_id"], turn.row["turn_index"]))
    assert by_conversation == [turn for conversation in generate(50, BOTH, 0.3, seed=1) for turn in conversation]


def test_interleaving_keeps_few_conversations_in_memory():
    made = 0

    def counting():
        nonlocal made
        for conversation in generate(400, ("en",), 0.3, seed=1):
            made += 1
            yield conversation

    started = set()
    for turn in interleave(counting()):
        started.add(turn.row["conversation_id"])
        assert made - len(started) <= 1  # no more is taken than is needed to know what comes next


def test_rows(conversations):
    for conversation in conversations[:200]:
        assert [turn.row["turn_index"] for turn in conversation] == list(range(len(conversation)))
        for before, turn in itertools.pairwise(conversation):
            assert before.row["speaker"] != turn.row["speaker"]
            assert before.second < turn.second
        for turn in conversation:
            assert set(turn.row) <= set(COLUMN_NAMES)
            assert ("labels" in turn.row) == (turn.row["speaker"] == "user")
            assert "{" not in turn.row["text"]
            assert turn.row["text"].strip()


@pytest.mark.parametrize("language", BOTH)
def test_each_language_has_all_labels_and_several_intents_a_turn(language):
    turns = [turn for conversation in generate(400, (language,), 0.3, seed=5) for turn in conversation]
    labels = [turn.row["labels"] for turn in turns if "labels" in turn.row]
    assert {label for found in labels for label in found} == set(LABELS)
    assert [] in labels
    assert sum(len(found) > 1 for found in labels) > 0.2 * len(labels)
    chinese = sum(bool(HAN.search(turn.row["text"])) for turn in turns)
    assert chinese == 0 if language == "en" else chinese > 0.95 * len(turns)


@pytest.mark.parametrize(("language", "units"), [("en", r"[a-z]+"), ("zh", HAN)])
def test_some_turns_are_misspelt(language, units):
    words = LANGUAGES[language]
    tables = (*words.slots.values(), *words.clauses.values(), *words.openers.values(), *words.replies.values(),
              words.chatter, words.joiners)
    known = set(re.findall(units, " ".join(text for table in tables for text in table).casefold()))
    turns = [turn for conversation in generate(600, (language,), 0.3, seed=5) for turn in conversation
             if "labels" in turn.row]
    slips = [bool(set(re.findall(units, turn.row["text"].casefold())) - known) for turn in turns]
    assert 0.002 * len(turns) < sum(slips) < 0.06 * len(turns)


def test_a_template_does_not_use_a_value_twice():
    language = LANGUAGES["en"]
    for seed in range(100):
        start, end = fill("{city}/{city2}", language, random.Random(seed)).split("/")
        assert start != end


def test_files_and_summary(tmp_path):
    directory = tmp_path / "new" / "logs"
    summary = synthesize(directory, conversations=30, languages=("zh",), history_share=0.4, seed=2, files=3)
    assert sorted(path.name for path in directory.iterdir()) == [
        "logs-00000-of-00003.jsonl", "logs-00001-of-00003.jsonl", "logs-00002-of-00003.jsonl", SUMMARY]
    files = [path.read_text("utf-8").splitlines() for path in sorted(directory.glob("*.jsonl"))]
    assert max(map(len, files)) - min(map(len, files)) <= 1
    rows = [json.loads(line) for lines in files for line in lines]
    expected = [turn for conversation in generate(30, ("zh",), 0.4, seed=2) for turn in conversation]
    rows.sort(key=lambda row: (row["conversation_id"], row["turn_index"]))
    assert rows == [turn.row for turn in expected]
    assert json.loads((directory / SUMMARY).read_text("utf-8")) == summary
    assert summary["turns"] == len(rows)
    assert summary["conversations"] == 30
    assert summary["labelled_turns"] == sum("labels" in row for row in rows)
    assert summary["history_dependent_turns"] == sum(turn.needs_history for turn in expected)
    assert summary["history_dependent_share"] == pytest.approx(0.4, abs=0.01)
    assert summary["labels"] == collections.Counter(label for row in rows for label in row.get("labels", ()))


def test_same_options_same_bytes(tmp_path):
    for name in ("a", "b"):
        synthesize(tmp_path / name, conversations=25, files=2)
    synthesize(tmp_path / "b", conversations=25, files=2)  # a second run takes the first one's place
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_files_of_another_run_are_not_mixed_in(tmp_path):
    synthesize(tmp_path, conversations=1, files=2)
    with pytest.raises(UsageError, match="logs-00000-of-00002.jsonl of a run with another number of files"):
        synthesize(tmp_path, conversations=1, files=3)


@pytest.mark.parametrize("options", [
    {"conversations": 0}, {"files": 0}, {"history_share": 0.8}, {"history_share": -0.1}, {"languages": ()},
    {"languages": ("en", "fr")},
])
def test_options_out_of_range(tmp_path, options):
    with pytest.raises(UsageError):
        synthesize(tmp_path / "logs", **options)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(("flags", "message"), [
    (["--conversations", "0"], "'0' is no whole number of 1 or more"),
    (["--files", "two"], "'two' is no whole number"),
    (["--history_share", "0.9"], "'0.9' is no number from 0 to 0.75"),
    (["--history_share", "nan"], "'nan' is no number"),
    (["--languages", "en,fr"], "languages of: en, zh"),
    (["--languages", "en,en"], "'en,en' is no list of different languages"),
])
def test_wrong_flags(capsys, flags, message):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--output_dir", "logs", *flags])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_command_says_where_the_log_is(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args(["--output_dir", str(tmp_path), "--conversations", "5", "--languages", "en"]))
    printed = capsys.readouterr().out
    assert str(tmp_path / SUMMARY) in printed
    assert "need the history" in printed
