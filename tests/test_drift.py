"""Drift: the formulas against others' figures, what each kind of change does, and the command with its page."""

import collections
import dataclasses
import json
import shutil

import numpy as np
import pytest
from scipy.special import rel_entr

from schemas import data_directory
from schemas.exit_status import DATA_REFUSED, DONE, USAGE, UsageError
from tests.data_directories import LABELS, Turn, Window, make_windows, write_data_directory
from trainer.__main__ import main
from trainer.divergence import (
    Ratio,
    binned,
    jensen_shannon_divergence,
    population_stability_index,
    psi_by_chance,
    upper_edges,
)
from trainer.drift_facts import NO_LABEL, Facts, read_facts, renamed
from trainer.drift_measures import drift_of
from trainer.drift_model import Answers, out_of_vocabulary
from trainer.drift_report import Subject, write_report
from trainer.drift_thresholds import Limits, Thresholds, read_thresholds

HOSTILE = ("<script>alert(1)</script>", "a\u202eb", "取消", "x" * 300)


def test_the_index_by_hand():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5) = 0.018232 + 0.022314
    assert population_stability_index([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.040547, abs=1e-5)
    assert population_stability_index([10, 20], [10, 20]) == 0.0
    # A bin that one sample has nothing in is no infinity.
    assert 0.5 < population_stability_index([90, 10], [100, 0]) + population_stability_index([100, 0], [50, 50]) < 5


def test_the_divergence_is_the_mean_of_two_relative_entropies():
    p, q = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.1, 0.3, 0.4, 0.2])
    middle = (p + q) / 2
    expected = (rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2 / np.log(2)
    assert jensen_shannon_divergence(p * 1000, q * 1000) == pytest.approx(expected)
    assert jensen_shannon_divergence([5, 0], [0, 9]) == pytest.approx(1)
    assert jensen_shannon_divergence([0, 0], [1, 2]) == 0.0


def test_chance_alone_stays_below_its_bound():
    random, shares = np.random.default_rng(1), np.array([0.4, 0.3, 0.2, 0.1])
    indices = [population_stability_index(random.multinomial(400, shares), random.multinomial(900, shares))
               for _ in range(2000)]
    above = np.mean(np.array(indices) > psi_by_chance(4, 400, 900, 0.95))
    assert 0.03 < above < 0.07


def test_bins_of_equal_parts():
    values, counts = np.arange(1, 101), np.full(100, 3)
    edges = upper_edges(values, counts)
    assert binned(values, counts, edges).tolist() == [0, *[30] * 10]
    # What is below or above all that was there has a bin of its own.
    constant = upper_edges(np.array([6]), np.array([10]))
    assert binned(np.array([5, 6, 7]), np.array([1, 2, 4]), constant).tolist() == [1, 2, 4]


def test_the_error_of_a_ratio_is_the_bootstraps():
    random = np.random.default_rng(2)
    sizes = random.integers(1, 30, 300)
    hits = random.binomial(sizes, random.beta(2, 8, 300))
    ratio = Ratio.of(hits, sizes)
    drawn = random.integers(300, size=(4000, 300))
    assert ratio.value == hits.sum() / sizes.sum()
    assert ratio.standard_error == pytest.approx(np.std(hits[drawn].sum(1) / sizes[drawn].sum(1)), rel=0.1)
    assert Ratio.of(np.array([1]), np.array([2])) == Ratio(0.5, None)
    assert Ratio.of(np.array([0]), np.array([0])) == Ratio(0.0, None)


def facts(conversations=1000, **changes):
    """Facts of so many conversations of ten turns, half of them targets."""
    targets = 5 * conversations
    values = {
        "labels": {"ask": 3 * conversations, "tell": conversations, NO_LABEL: conversations},
        "labels_per_turn": {0: conversations, 1: 4 * conversations},
        "speakers": {"user": targets, "agent": targets},
        "turns_per_conversation": {8: conversations // 2, 12: conversations - conversations // 2},
        "tokens_per_turn": {length: conversations for length in range(1, 11)},
    }
    return Facts(conversations=conversations, targets=targets, **{**values, **changes})


STEADY = (Ratio(0.02, 0.001), Ratio(0.02, 0.001))


def drift(new, rates=STEADY, asked="no model was named", **thresholds):
    """The drift of new facts from `facts()`."""
    return drift_of(facts(), new, rates, asked, Thresholds(**thresholds))


def failed(found):
    """The names of the failed checks."""
    return [check.name for check in found.checks if check.passed is False]


def test_the_same_again_is_accepted():
    found = drift(facts(800))
    assert (found.refused, found.reasons) == (False, [])
    assert max(one.psi for one in found.distributions) < 1e-4
    unjudged = [check.name for check in found.checks if check.passed is None]
    assert unjudged == ["predicted labels: population stability index", "highest score: population stability index",
                        "agreement with the model"]


INDEX = "population stability index"


@pytest.mark.parametrize(("changes", "name", "reason"), [
    ({"labels": {"ask": 500, "tell": 4000, NO_LABEL: 500}}, f"labels: {INDEX}",
     "most of all 'tell', from 20.0% to 80.0%"),
    ({"labels_per_turn": {0: 4000, 1: 1000}}, f"labels a turn: {INDEX}", "from 20.0% to 80.0%"),
    ({"speakers": {"user": 9000, "agent": 500, "bot": 500}}, f"speakers: {INDEX}", "'agent', from 50.0% to 5.0%"),
    ({"turns_per_conversation": {2: 1000}}, f"turns a conversation: {INDEX}", "most of all '2', from 0.0% to 100.0%"),
    ({"tokens_per_turn": {1: 9000, 10: 1000}}, f"tokens a turn: {INDEX}", "most of all '1', from 10.0% to 90.0%"),
])
def test_each_quantity_refuses_by_itself(changes, name, reason):
    found = drift(facts(**changes))
    assert failed(found) == [name]
    assert reason in found.reasons[0]
    limits = {name.split(":")[0].replace(" a ", "_per_"): Limits(None, None)}
    assert not drift(facts(**changes), **limits).refused


def test_what_may_be_chance_does_not_refuse():
    labels = {"ask": 3, "tell": 6, NO_LABEL: 1}
    few = drift(facts(2, labels=labels), least_volume=0.0)
    assert not few.refused
    [check] = [check for check in few.checks if check.name.startswith("labels:")]
    assert check.passed is None and check.detail.startswith("may be chance") and check.value > check.limit
    many = drift(facts(1000, labels={name: 500 * count for name, count in labels.items()}))
    assert failed(many) == [f"labels: {INDEX}"]


def test_limits_of_the_divergence():
    changed = facts(speakers={"user": 6000, "agent": 4000})
    assert not drift(changed).refused
    found = drift(changed, speakers=Limits(None, 0.001))
    assert failed(found) == ["speakers: Jensen-Shannon divergence"]


def test_labels_that_the_reference_lacks():
    new = facts(labels={"ask": 2995, "tell": 1000, "buy\n": 5, NO_LABEL: 1000})
    found = drift(new)
    assert failed(found) == ["new labels"]
    assert "0.100% of the labelled turns bear labels that the reference lacks: 'buy\\n' (5)" in found.reasons[0]
    assert not drift(new, new_labels=("buy\n",)).refused
    assert not drift(new, new_label_share=0.001).refused
    assert drift(new, new_label_share=0.0009).refused
    assert not drift(new, new_label_share=None).refused


def test_a_label_map_holds_for_the_reference_too():
    found = renamed(facts(), {"ask": "question", "tell": None})
    assert found.labels == {"question": 3000, NO_LABEL: 1000}
    merged = renamed(facts(), {"ask": "tell"})
    assert merged.labels == {"tell": 4000, NO_LABEL: 1000}


def test_volume():
    found = drift(facts(100))
    assert failed(found) == ["least volume"]
    assert found.reasons == ["100 conversations are 0.1 times the reference's 1,000; the least volume is 0.25 times"]
    assert not drift(facts(250)).refused and not drift(facts(9000)).refused
    assert failed(drift(facts(9000), most_volume=3.0)) == ["most volume"]
    assert not drift(facts(100), least_volume=None).refused


def test_words_that_the_vocabulary_lacks():
    found = drift(facts(), rates=(Ratio(0.02, 0.001), Ratio(0.3, 0.01)))
    assert found.reasons == ["out-of-vocabulary rate rises from 0.0200 to 0.3000; allowed is 0.05"]
    assert not drift(facts(), rates=(Ratio(0.3, 0.01), Ratio(0.02, 0.001))).refused
    assert not drift(facts(), rates=(Ratio(0.02, 0.001), Ratio(0.3, 0.2))).refused
    assert not drift(facts(), rates=(Ratio(0.02, 0.001), None)).refused


def answers(windows=600, shuffle=False, seed=0):
    """A model's answers that are mostly right, or that have nothing to do with the labels."""
    random = np.random.default_rng(seed)
    labels = random.random((windows, 3)) < (0.5, 0.3, 0.1)
    predicted = labels ^ (random.random(labels.shape) < 0.05)
    if shuffle:
        labels = random.permutation(labels)
    ids = np.char.add("c", (np.arange(windows) // 4).astype(str))
    scores = (0.5 + 0.5 * random.random(windows)).astype(np.float32)
    return Answers(ids, scores, ["a", "b", "c"], labels, predicted)


def test_labels_that_have_nothing_to_do_with_the_texts():
    assert not drift(facts(), asked=(answers(), answers(seed=1))).refused
    found = drift(facts(), asked=(answers(), answers(seed=1, shuffle=True)))
    assert failed(found) == ["agreement with the model"]
    assert found.agreement[0].value > 0.85 and found.agreement[1].value < 0.5


def test_a_model_that_says_something_else():
    new = answers(seed=1)
    silent = dataclasses.replace(new, predicted=np.zeros_like(new.predicted), top_scores=new.top_scores / 2)
    found = drift(facts(), asked=(answers(), silent), agreement_drop=None)
    assert failed(found) == [f"predicted labels: {INDEX}", f"highest score: {INDEX}"]


@pytest.mark.parametrize(("text", "message"), [
    ("labels: {psi: -1}", "labels.psi: -1 is not allowed; allowed: a number from 0 to 1000"),
    ("labels: {PSI: 1}", "unknown key labels.PSI; known: psi, js_divergence"),
    ("words: 1", "unknown key words; known: labels, "),
    ("new_labels: buy", "new_labels: 'buy' is not allowed"),
    ("speakers: 0.2", "speakers: expected a mapping"),
])
def test_wrong_thresholds(tmp_path, text, message):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(UsageError, match="t.yaml: ") as raised:
        read_thresholds(tmp_path / "t.yaml")
    assert message in str(raised.value)


def test_thresholds_of_a_file(tmp_path):
    (tmp_path / "t.yaml").write_text("labels: null\nspeakers: {js_divergence: 0.1}\nleast_volume: 0.5\n")
    assert read_thresholds(tmp_path / "t.yaml") == Thresholds(
        labels=Limits(None, None), speakers=Limits(0.25, 0.1), least_volume=0.5)
    assert read_thresholds(None) == Thresholds()


def write_statistics(path, splits):
    """Adds what `prepare` counts to a data directory of the trainer's tests, all turns being targets."""
    counted = {}
    for split, windows in splits.items():
        lengths = collections.Counter(window.conversation_id for window in windows)
        labels = collections.Counter(label for window in windows
                                     for label, there in zip(LABELS, window.labels, strict=True) if there)
        counted[split] = {
            "conversations": len(lengths), "windows": len(windows), "labels": labels,
            "labels_per_turn": collections.Counter(str(sum(window.labels)) for window in windows),
            "speakers": {"user": len(windows)},
            "histograms": {
                "turns_per_conversation": collections.Counter(map(str, lengths.values())),
                "tokens_per_turn": collections.Counter(str(len(window.turns[0].words)) for window in windows),
            },
        }
    (path / data_directory.STATISTICS).write_text(json.dumps({"splits": counted}), "utf-8")
    (path / data_directory.CONFIG).write_text(json.dumps({"label_map": {}}), "utf-8")


def written(path, seed, word=None):
    """A data directory; every other word is `word`, if one is given."""
    splits = {split: make_windows(conversations, seed + number, f"{split}-{seed}-")
              for number, (split, conversations) in enumerate({"train": 30, "validation": 30, "test": 30}.items())}
    if word:
        splits = {split: [changed(window, word) for window in windows] for split, windows in splits.items()}
    write_data_directory(path, splits)
    write_statistics(path, splits)
    return path


def changed(window, word):
    turns = tuple(Turn(tuple(word if place % 2 else old for place, old in enumerate(turn.words)), turn.numeric)
                  for turn in window.turns)
    return dataclasses.replace(window, turns=turns)


def test_the_command(tmp_path, capsys):
    reference, same, other = (written(tmp_path / name, seed, word) for name, seed, word in (
        ("reference", 1, None), ("same", 50, None), ("other", 90, "w999")))

    def run(data):
        return main(["drift", "--data_dir", str(data), "--reference", str(reference), "--output_dir",
                     str(tmp_path / "out")])

    assert run(same) == DONE
    assert capsys.readouterr().out.endswith("accepted\n")
    accepted = json.loads((tmp_path / "out" / "drift.json").read_text())
    assert (accepted["refused"], accepted["reasons"], accepted["data"]) == (False, [], str(same))
    assert accepted["out_of_vocabulary"][1]["value"] == 0.0
    assert run(other) == DATA_REFUSED
    assert "out-of-vocabulary rate rises from 0.0000 to 0.4" in capsys.readouterr().err
    refused = json.loads((tmp_path / "out" / "drift.json").read_text())
    assert refused["refused"] and len(refused["reasons"]) == 1
    page = (tmp_path / "out" / "drift.html").read_text()
    assert "Why the data are refused" in page and page.count("<svg") == 5
    (same / data_directory.STATISTICS).write_text("{}")
    assert run(same) == USAGE
    assert "run `prepare` again" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())  # the verdict on other data is gone


def test_unknown_tokens_are_counted_in_all_slots(tmp_path):
    turns = [Turn(("w2", "w99"), (0.0, 0.0)), Turn(("w98",) * 3, (0.0, 0.0))]
    held_out = [Window("a", 1, tuple(turns), (0,) * 4), Window("b", 0, (turns[0],), (0,) * 4)]
    write_data_directory(tmp_path / "new", {"train": [], "validation": held_out[:1], "test": held_out[1:]})
    write_data_directory(tmp_path / "reference", {"train": held_out, "validation": [], "test": []})
    assert out_of_vocabulary(tmp_path / "new", tmp_path / "reference").value == 5 / 7
    assert out_of_vocabulary(tmp_path / "reference", tmp_path / "reference") is None


def test_facts_of_what_prepare_writes(tmp_path):
    found = read_facts(written(tmp_path / "data", 3))
    assert found.targets == sum(found.labels_per_turn.values()) == sum(found.speakers.values())
    assert found.labels[NO_LABEL] == found.labels_per_turn[0] > 0
    assert sum(found.turns_per_conversation.values()) == found.conversations == 90


def test_hostile_names_on_the_page(tmp_path):
    new = facts(labels={**dict.fromkeys(HOSTILE, 100), NO_LABEL: 10}, speakers=dict.fromkeys(HOSTILE, 5))
    write_report(drift(new), Thresholds(), Subject(HOSTILE[0], HOSTILE[1], None), tmp_path)
    page = (tmp_path / "drift.html").read_text("utf-8")
    assert "<script" not in page and "\u202e" not in page and "取消" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert json.loads((tmp_path / "drift.json").read_text("utf-8"))["labels"]


@pytest.mark.slow
def test_with_a_trained_model(tmp_path, capsys):
    reference, new, shuffled = (written(tmp_path / name, seed) for name, seed in (
        ("reference", 1), ("new", 50), ("shuffled", 70)))
    settings = [f"--set={setting}" for setting in ("embedding_dim=16", "units=16", "epochs=12", "global_batch_size=16",
                                                  "learning_rate=0.01", "dropout=0", "token_dropout=0")]
    assert main(["train", "--data_dir", str(reference), "--model_dir", str(tmp_path / "model"), *settings]) == DONE
    relabel(shuffled)

    def run(data, model):
        status = main(["drift", "--data_dir", str(data), "--reference", str(reference), "--output_dir",
                       str(tmp_path / "out"), "--model_dir", str(model)])
        return status, json.loads((tmp_path / "out" / "drift.json").read_text("utf-8"))

    for model in (tmp_path / "model", tmp_path / "model" / "saved_model"):
        status, found = run(new, model)
        assert (status, found["reasons"]) == (DONE, [])
        assert [check["name"] for check in found["checks"] if check["passed"] is None] == []
        assert found["agreement"][0]["value"] > 0.8
    status, found = run(shuffled, tmp_path / "model")
    assert status == DATA_REFUSED
    assert len(found["reasons"]) == 1 and found["reasons"][0].startswith("agreement with the model falls from")
    capsys.readouterr()
    assert main(["drift", "--data_dir", str(new), "--reference", str(reference), "--output_dir", str(tmp_path / "out"),
                 "--model_dir", str(tmp_path / "missing")]) == USAGE
    assert "there is no such directory" in capsys.readouterr().err


def relabel(path):
    """Gives each window of a data directory the labels of another one."""
    random = np.random.default_rng(4)
    splits = {split: make_windows(30, 70 + number, f"{split}-70-")
              for number, split in enumerate(data_directory.SPLITS)}
    for split, windows in splits.items():
        order = random.permutation(len(windows))
        splits[split] = [dataclasses.replace(window, labels=windows[other].labels)
                         for window, other in zip(windows, order, strict=True)]
    shutil.rmtree(path)
    write_data_directory(path, splits)
    write_statistics(path, splits)
