"""Differences of two models, their intervals, what changed, and the page. Trained models are in test_harmed_models."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest
from sklearn import metrics

from schemas.exit_status import DataRefused, TurnwiseError
from tests.made_predictions import random_predictions
from trainer import bootstrap
from trainer.comparison import MEASURES, changed_rows, compare_predictions
from trainer.comparison_report import Subject, examples_of, write_report
from trainer.windows import Window

HOSTILE = ("<script>alert(1)</script>", '"quotes" & \'apostrophes\'', "right\u202eto left", "😀|`a`\n*b*")


def two_models(**kwargs):
    """Two models' predictions of the same windows, the second a little worse at the last label."""
    a = random_predictions(**kwargs)
    worse = a.scores.copy()
    worse[::3, -1] = 1 - worse[::3, -1]
    noise = np.random.default_rng(5).normal(0, 0.1, a.scores.shape)
    return a, dataclasses.replace(a, scores=np.clip(worse + noise, 0, 1).astype(np.float32))


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("only",)])
def test_figures_are_scikit_learns(names):
    a, b = two_models(names=names)
    comparison = compare_predictions(a, b)
    assert (comparison.windows, comparison.conversations) == (200, len(set(a.conversation_ids)))
    assert list(comparison.overall) == list(MEASURES)
    only = [1] if len(names) == 1 else None  # scikit-learn takes a single column for a binary problem
    for who, model in (("a", a), ("b", b)):
        true, said = (array.squeeze(axis=1) if only else array for array in (model.labels, model.predicted))
        for average in ("micro", "macro"):
            expected = metrics.precision_recall_fscore_support(true, said, average=average, labels=only)
            found = [getattr(comparison.overall[f"{average}_{score}"], who) for score in ("precision", "recall", "f1")]
            np.testing.assert_allclose(found, expected[:3])
        assert getattr(comparison.overall["exact_match"], who) == pytest.approx(metrics.accuracy_score(true, said))
        expected = metrics.precision_recall_fscore_support(true, said, labels=only)
        for k, label in enumerate(comparison.per_label):
            found = [getattr(getattr(label, score), who) for score in ("precision", "recall", "f1")]
            np.testing.assert_allclose([*found, label.support], [column[k] for column in expected])
    for difference in (*comparison.overall.values(), *(label.f1 for label in comparison.per_label)):
        assert difference.difference == difference.b - difference.a


def test_intervals_are_those_of_conversations_drawn_once_for_both_models():
    a, b = two_models(windows=120, conversations=15)
    comparison = compare_predictions(a, b, confidence=0.8)
    conversations, weights = bootstrap.conversation_weights(a.conversation_ids)
    drawn = {"micro_f1": [], "exact_match": [], "d": []}
    for weight in weights:
        rows = np.repeat(np.arange(len(a.labels)), weight[conversations])
        true = a.labels[rows]
        said = [model.predicted[rows] for model in (a, b)]
        micro, exact, last = (
            [metrics.f1_score(true, one, average="micro") for one in said],
            [metrics.accuracy_score(true, one) for one in said],
            [metrics.f1_score(true[:, 3], one[:, 3], zero_division=0) for one in said])
        for name, (one, other) in zip(drawn, (micro, exact, last), strict=True):
            drawn[name].append(other - one)
        if len(drawn["d"]) == 150:
            break
    # The same draws, here written out window by window: the first 150 of them show the same spread.
    intervals = {**comparison.overall, "d": comparison.per_label[3].f1}
    for name, differences in drawn.items():
        low, high = intervals[name].interval
        np.testing.assert_allclose((low, high), np.quantile(differences, (0.1, 0.9)), atol=0.015, err_msg=name)
        assert low < intervals[name].difference < high


def test_equal_models_do_not_differ():
    a = random_predictions()
    comparison = compare_predictions(a, a)
    for difference in (*comparison.overall.values(), *(label.f1 for label in comparison.per_label)):
        assert (difference.difference, difference.interval) == (0.0, (0.0, 0.0))
    assert (comparison.right.only_a, comparison.right.only_b) == (0, 0)
    assert comparison.right.neither == comparison.right.neither_alike > 0
    assert changed_rows(a, a, 50).fixed == changed_rows(a, a, 50).broken == []


def test_one_conversation_and_a_label_without_windows_have_no_interval():
    a, b = two_models(conversations=1)
    assert {difference.interval for difference in compare_predictions(a, b).overall.values()} == {None}
    a, b = two_models()
    a.labels[:, 1] = False
    found = compare_predictions(a, b).per_label[1]
    assert (found.support, found.f1.interval, found.f1.a, found.f1.b) == (0, None, 0.0, 0.0)


def test_some_labels_alone():
    a, b = two_models()
    some = compare_predictions(a, b, labels=["d", "b"])
    every = compare_predictions(a, b)
    assert some.per_label == [every.per_label[3], every.per_label[1]]
    assert some.overall["micro_f1"].a == pytest.approx(
        metrics.f1_score(a.labels[:, [3, 1]], a.predicted[:, [3, 1]], average="micro"))
    with pytest.raises(DataRefused, match="no labels"):
        compare_predictions(a, b, labels=[])


def test_labels_that_a_model_does_not_know():
    a, b = two_models()
    b = dataclasses.replace(b, missing_labels=["c"])
    comparison = compare_predictions(a, b)
    assert (comparison.unknown_to_a, comparison.unknown_to_b) == ([], ["c"])
    assert comparison.per_label[2].f1.b == 0.0


def test_predictions_of_other_windows_are_not_compared():
    a, b = two_models()
    with pytest.raises(TurnwiseError, match="same windows"):
        compare_predictions(a, dataclasses.replace(b, turn_indices=b.turn_indices + 1))


def test_what_changed_by_hand():
    a = random_predictions(windows=6, names=("x", "y"))
    true = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [1, 1], [1, 0]], bool)
    a = dataclasses.replace(a, labels=true, scores=np.array(
        [[.9, .1], [.4, .1], [.1, .6], [.2, .6], [.9, .3], [.3, .2]], np.float32))
    b = dataclasses.replace(a, scores=np.array(
        [[.9, .9], [.6, .1], [.1, .4], [.2, .0], [.8, .2], [.3, .9]], np.float32))
    # 0: broken by .8; 1: fixed by .2; 2: broken by .2; 3: fixed by .6; 4: wrong alike; 5: wrong in two ways.
    changed = changed_rows(a, b, 50)
    assert (changed.fixed, changed.broken) == ([3, 1], [0, 2])
    assert changed_rows(a, b, 1).fixed == [3]
    comparison = compare_predictions(a, b)
    assert dataclasses.astuple(comparison.right) == (0, 2, 2, 2, 1)
    assert [(label.fixed, label.broken) for label in comparison.per_label] == [(1, 0), (1, 3)]


class Page(html.parser.HTMLParser):
    """What a page holds: its tags, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not {"href", "src"} & {name for name, value in attributes if not value.startswith("#")}, attributes

    def handle_data(self, data):
        self.text += data


def written(directory, a, b, labels=()):
    """Writes a comparison whose windows have hostile texts; gives its page, Markdown and JSON."""
    rows = changed_rows(a, b, 3)

    def window(row):
        texts = (HOSTILE[0], "x" * 10_000, HOSTILE[1], "", HOSTILE[2], HOSTILE[3])
        said = tuple(name for name, there in zip(a.label_names, a.labels[row], strict=True) if there)
        return Window(HOSTILE[0], 3, texts, ("user", HOSTILE[1], "", "", "agent", "user"), (float("nan"),), said)

    fixed, broken = (examples_of(some, list(map(window, some)), a, b) for some in (rows.fixed, rows.broken))
    write_report(compare_predictions(a, b), fixed, broken, Subject(HOSTILE[0], "B", "data", "test"), directory)
    return (Page((directory / "compare.html").read_text("utf-8")), (directory / "compare.md").read_text("utf-8"),
            json.loads((directory / "compare.json").read_text("utf-8")))


def test_log_text_is_shown_as_text(tmp_path):
    page, markdown, values = written(tmp_path, *two_models(names=HOSTILE))
    assert "script" not in page.tags and page.tags.count("svg") == 2
    assert page.tags.count("article") == 6
    assert HOSTILE[0] in page.text and HOSTILE[1] in page.text and "\u202e" not in page.text + markdown
    assert "and 9,400 more characters" in page.text and "x" * 601 not in page.text + markdown
    assert "<script>" not in markdown
    table = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in table} <= {4, 5, 6, 7, 11}
    assert [label["label"] for label in values["per_label"]] == list(HOSTILE)
    assert values["fixed"][0]["window"]["texts"][1] == "x" * 10_000


def test_the_same_comparison_gives_the_same_bytes_and_replaces_an_earlier_one(tmp_path):
    a, b = two_models()
    written(tmp_path, b, a)
    written(tmp_path, a, b)
    written(tmp_path / "other", a, b)
    names = ["compare.html", "compare.json", "compare.md"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_many_labels_are_cut_in_the_plot_and_whole_in_the_tables(tmp_path):
    names = [f"label {number}" for number in range(60)]
    page, markdown, _ = written(tmp_path, *two_models(names=names))
    assert "shows the 40 with the most windows; the table below has all 60" in page.text
    assert all(f"| {name} |" in markdown for name in names)
