import csv
import html.parser
import json
import re

import numpy as np
import pytest

from schemas.visible_text import visible
from trainer import drawing, evaluation_plots, plots, report
from trainer.display import csv_cell, display_width, markdown_cell, shortened
from trainer.evaluation import evaluate_predictions
from trainer.predictions import Predictions

HOSTILE = [
    "greet", "Inform+酒店预订", "<script>alert(1)</script>", "=cmd()", "\u202eevil\u202c", "مرحبا", "😀👩‍👩‍👧", "$a_b$",
    "x" * 300, "`tick|pipe`\nline", "&amp; \"q\" 'r' {{ 7 * 7 }}", '" id="x" onload="alert(1)',
    "@sum", "-1", "\x00\x1b\uffff", " ", "]]>",
]
HISTORY = {"loss": [0.5, float("nan"), 0.3], "val_loss": [0.6, 0.5, 0.4], "$odd|<b>name</b>": [1.0, 2.0, float("inf")],
           "val_alone": [0.1, 0.2, 0.3]}
FILES = {"report.html", "report.md", "report.json", "per_label.csv", "attention.json", "gate.json", "thresholds.json"}


def evaluation_of(names, windows=60, slots=5):
    random = np.random.default_rng(1)
    labels = random.random((windows, len(names))) < np.linspace(0.5, 0.0, len(names))
    lengths = np.zeros((windows, 1 + slots), np.int64)
    for n in range(windows):
        lengths[n, : 1 + min(n % 7, slots)] = 4
    attention = random.dirichlet(np.ones(slots), windows) if slots else np.zeros((windows, 0))
    return evaluate_predictions(
        Predictions(
            label_names=list(names), labels=labels,
            scores=(labels * 0.4 + random.random(labels.shape) * 0.6).astype(np.float32),
            attention=attention.astype(np.float32), gate=random.random(windows, dtype=np.float32),
            turn_lengths=lengths, turn_keys=lengths, conversation_ids=np.arange(windows).astype(str),
            turn_indices=np.zeros(windows, np.int64)),
        np.full(len(names), 0.5))


SUBJECT = report.Subject("models/<b>mine</b>", "data|`x`", "test")


class Page(html.parser.HTMLParser):
    """Collects what a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def hostile_page():
    text = report.render_html(evaluation_of(HOSTILE), SUBJECT, HISTORY)
    return text, Page(text)


def test_page_runs_and_loads_nothing(hostile_page):
    text, page = hostile_page
    assert not page.open
    assert not {"script", "iframe", "object", "img", "link", "base", "foreignobject"} & set(page.tags)
    assert "<script" not in text.lower()
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert set(re.findall(r"https?://[^\"'<\s]+", text)) == {drawing._SVG}
    assert "url(" not in re.sub(r"url\(#[-\w]+\)", "", text)


def test_page_shows_every_name_as_text(hostile_page):
    _, page = hostile_page
    for name in HOSTILE:
        assert visible(name).strip() in page.texts
    assert "models/<b>mine</b>" in page.texts


def test_page_has_plots_before_tables(hostile_page):
    _, page = hostile_page
    assert page.tags.count("svg") == 5
    assert max(n for n, tag in enumerate(page.tags) if tag == "svg") < page.tags.index("table")


def test_ids_are_unique_and_references_resolve(hostile_page):
    _, page = hostile_page
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    clips = [re.fullmatch(r"url\((.*)\)", value)[1] for value in page.values("clip-path")]
    references = {reference.removeprefix("#") for reference in page.values("href") + clips}
    assert references
    assert references <= set(ids)


def test_dark_page_recolours_every_colour_of_the_plots(hostile_page):
    _, page = hostile_page
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", " ".join(page.values("style"))))
    assert colours == set(drawing.DARK_COLORS)


def test_markdown_tables_are_intact():
    text = report.render_markdown(evaluation_of(HOSTILE), SUBJECT)
    for block in text.split("\n\n"):
        rows = [line for line in block.strip().splitlines() if line.startswith("|")]
        cells = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}
        assert len(cells) <= 1, block
    assert len([line for line in text.splitlines() if "script" in line]) == 1
    assert "<" not in text
    assert r"\$a\_b\$" in text
    assert r"\`tick\|pipe\`\\u000aline" in text


def test_csv_cells_are_no_formulas(tmp_path):
    evaluation = evaluation_of(HOSTILE)
    report.write_report(evaluation, SUBJECT, {}, tmp_path)
    with open(tmp_path / "per_label.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(HOSTILE)
    assert not [row["label"] for row in rows if row["label"][:1] in tuple("=+-@\t\r")]
    assert {"'=cmd()", "'@sum", "'-1", "`tick|pipe`\nline"} <= {row["label"] for row in rows}
    assert [float(row["f1"]) for row in rows] == [label.f1 for label in evaluation.per_label]
    assert rows[-1]["average_precision"] == ""  # no window bears the last label


def test_files(tmp_path):
    evaluation = evaluation_of(HOSTILE)
    values = report.write_report(evaluation, SUBJECT, HISTORY, tmp_path / "new" / "evaluation")
    directory = tmp_path / "new" / "evaluation"
    assert {path.name for path in directory.iterdir()} == FILES
    read = {name: json.loads((directory / name).read_text("utf-8")) for name in FILES if name.endswith(".json")}
    assert read["report.json"] == values
    assert read["attention.json"] == values["attention"]
    assert read["gate.json"] == values["gate"]
    assert read["thresholds.json"] == dict.fromkeys(HOSTILE, 0.5)
    assert values["per_label"][-1]["average_precision"] is None


def test_keys_of_report_json():
    assert list(report.report_values(evaluation_of(["a", "b"]), SUBJECT)) == [
        "schema_version", "model", "data", "split", "windows", "conversations", "micro", "macro", "weighted",
        "smoothed_micro", "exact_match", "hamming_loss", "binary_accuracy", "average_precision_micro",
        "average_precision_macro", "labels_without_support", "labels_per_turn", "per_label", "attention", "gate"]


def test_same_evaluation_gives_same_bytes(tmp_path):
    for name in ("one", "two"):
        report.write_report(evaluation_of(HOSTILE), SUBJECT, HISTORY, tmp_path / name)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_second_report_replaces_the_first(tmp_path):
    report.write_report(evaluation_of(["a", "b"]), SUBJECT, {}, tmp_path)
    report.write_report(evaluation_of(["c", "d"]), SUBJECT, {}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert list(json.loads((tmp_path / "thresholds.json").read_text("utf-8"))) == ["c", "d"]


def test_many_labels_are_cut_in_plots_and_whole_in_tables():
    names = [f"label_{n}" for n in range(drawing.MAX_BARS + 5)]
    text = report.render_html(evaluation_of(names), SUBJECT, {})
    shown = [sum(f">{name}</text>" in text for name in names), sum(f">{name}</bdi>" in text for name in names)]
    assert shown == [drawing.MAX_BARS, len(names)]
    assert f"show the {drawing.MAX_BARS} with the most windows" in text


def test_one_label_and_no_history_slots():
    evaluation = evaluation_of(["only"], slots=0)
    page = Page(report.render_html(evaluation, SUBJECT, {}))
    assert page.tags.count("svg") == 3
    assert "Attention" not in page.texts
    assert "## Attention" not in report.render_markdown(evaluation, SUBJECT)


def test_main_curves_come_first_and_others_fill_up():
    names = ["odd", "recall", "micro_f1", "val_loss", "loss", "more"]
    svg = plots.learning_curves({name: [0.1, 0.2] for name in names})
    shown = [text for text in re.findall(r">([^<>]+)</text>", svg) if text in names]
    assert shown == ["loss", "micro_f1", "recall", "odd"]


def test_plots_do_not_depend_on_the_users_matplotlib_settings():
    import matplotlib

    evaluation = evaluation_of(["a", "b"])
    expected = evaluation_plots.gate_histogram(evaluation.gate)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert evaluation_plots.gate_histogram(evaluation.gate) == expected
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize(("text", "expected"), [
    ("plain 酒店 😀", "plain 酒店 😀"), ("a\nb\x00", r"a\u000ab\u0000"), ("\u202ex", r"\u202ex"), ("\uffff", r"\uffff"),
])
def test_visible(text, expected):
    assert visible(text) == expected


def test_shortened():
    assert shortened("short", 10) == "short"
    for text in ("x" * 300, "酒店" * 50):
        cut = shortened(text, 10)
        assert cut.endswith("…")
        assert 8 < display_width(cut) <= 10
    assert len(shortened("x" * 300, 10)) > len(shortened("酒" * 300, 10))


@pytest.mark.parametrize(("text", "expected"), [
    ("a|b", r"a\|b"), ("<b>&", "&lt;b&gt;&amp;"), ("a\nb", r"a\\u000ab"), ("[x](y) *z*", r"\[x\](y) \*z\*"),
])
def test_markdown_cell(text, expected):
    assert markdown_cell(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("\ta", "'\ta"), ("\ra", "'\ra"),
    ("a=1", "a=1"), ("", ""),
])
def test_csv_cell(text, expected):
    assert csv_cell(text) == expected
