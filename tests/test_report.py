import csv
import dataclasses
import html.parser
import json
import re

import pytest

from schemas.visible_text import visible
from tests.json_schema import problems
from tests.report_examples import (
    HISTORY,
    HOSTILE,
    HOSTILE_TEXTS,
    LONG_WORD,
    SUBJECT,
    errors_of,
    evaluation_of,
    report_of,
)
from trainer import drawing, evaluation_plots, pages, plots, report
from trainer.dialogues import MAX_CHARACTERS, ShownLabel, shown_labels, shown_turns
from trainer.display import csv_cell, display_width, markdown_cell, shortened
from trainer.report_schema import report_schema
from trainer.report_sections import DIMENSIONS, Report, sections
from trainer.windows import Window

FILES = {"report.html", "report.md", "report.json", "report_schema.json", "per_label.csv", "attention.json",
         "gate.json"}


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
def hostile_report():
    return report_of(HOSTILE)


@pytest.fixture(scope="module")
def hostile_page(hostile_report):
    text = report.render_html(hostile_report)
    return text, Page(text)


@pytest.fixture(scope="module")
def hostile_markdown(hostile_report):
    return report.render_markdown(hostile_report)


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
    assert "<i>agent</i>" in page.texts
    assert "c<0>" in page.texts


def test_page_shows_every_text_as_text(hostile_page):
    _, page = hostile_page
    for text in HOSTILE_TEXTS:
        assert visible(text[:MAX_CHARACTERS]) in page.texts


def test_long_texts_are_cut(hostile_page, hostile_markdown):
    text, page = hostile_page
    assert "w" * MAX_CHARACTERS in page.texts
    for shown in (text, hostile_markdown):
        assert "w" * (MAX_CHARACTERS + 1) not in shown
        assert f"… and {len(LONG_WORD) - MAX_CHARACTERS:,} more characters" in shown


def test_sections_are_linked(hostile_page, hostile_report):
    _, page = hostile_page
    ids = [section.id for section in sections(hostile_report)]
    assert ids == ["overall", "labels", "calibration", "slices", "confusions", "attention", "gate", "ablations",
                   "training", "errors"]
    assert [value for value in page.values("href") if value.removeprefix("#") in ids] == [f"#{id}" for id in ids]
    assert page.tags.count("section") == len(ids)
    assert page.tags.count("svg") == 8
    assert page.tags.count("article") == len(hostile_report.worst_errors) == 50


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


def test_markdown_tables_are_intact(hostile_markdown):
    for block in hostile_markdown.split("\n\n"):
        rows = [line for line in block.strip().splitlines() if line.startswith("|")]
        cells = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}
        assert len(cells) <= 1, block
        assert not rows or re.fullmatch(r"\|(-+:?\|)+", rows[1]), block
    assert "<" not in hostile_markdown
    assert r"\$a\_b\$" in hostile_markdown
    assert r"\`tick\|pipe\`\\u000aline" in hostile_markdown


def test_markdown_has_the_same_tables_and_windows(hostile_page, hostile_markdown, hostile_report):
    _, page = hostile_page
    tables = [table for section in sections(hostile_report) for table in section.tables]
    rows = sum(len(table.rows) for table in tables)
    assert page.tags.count("table") == len(tables)
    assert page.tags.count("tr") == rows + len(tables)
    in_markdown = [block for block in hostile_markdown.split("\n\n") if block.strip().startswith("|")]
    windows = hostile_report.worst_errors
    assert len(in_markdown) == 1 + len(tables) + 2 * len(windows)
    titles = re.findall(r"^### \d+\. Conversation c&lt;\d&gt;, turn \d$", hostile_markdown, re.MULTILINE)
    assert len(titles) == len(windows)
    for title, _ in DIMENSIONS.values():
        assert title in page.texts
        assert f"### {title}\n" in hostile_markdown


def test_figures_stand_with_their_intervals(hostile_page, hostile_markdown, hostile_report):
    text, _ = hostile_page
    evaluation = hostile_report.evaluation
    low, high = evaluation.intervals["micro_f1"]
    assert f"<dd>{evaluation.micro.f1:.3f}<small>{low:.3f} to {high:.3f}</small></dd>" in text
    assert f"| micro F1 | {evaluation.micro.f1:.3f} ({low:.3f} to {high:.3f}) |" in hostile_markdown


def test_csv_cells_are_no_formulas(tmp_path):
    evaluation = evaluation_of(HOSTILE)
    report.write_report(evaluation, SUBJECT, {}, tmp_path)
    with open(tmp_path / "per_label.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(HOSTILE)
    assert not [row["label"] for row in rows if row["label"][:1] in tuple("=+-@\t\r")]
    assert {"'=cmd()", "'@sum", "'-1", "`tick|pipe`\nline"} <= {row["label"] for row in rows}
    assert [float(row["f1"]) for row in rows] == [label.f1 for label in evaluation.per_label]
    assert (float(rows[0]["f1_low"]), float(rows[0]["f1_high"])) == evaluation.per_label[0].intervals["f1"]
    # No window bears the last label.
    assert (rows[-1]["average_precision"], rows[-1]["f1_low"]) == ("", "")


def test_files(tmp_path, hostile_report):
    directory = tmp_path / "new" / "evaluation"
    values = report.write_report(hostile_report.evaluation, SUBJECT, HISTORY, directory, hostile_report.worst_errors)
    assert {path.name for path in directory.iterdir()} == FILES
    read = {name: json.loads((directory / name).read_text("utf-8")) for name in FILES if name.endswith(".json")}
    assert read["report.json"] == values
    assert read["attention.json"] == values["attention"]
    assert read["gate.json"] == values["gate"]
    assert read["report_schema.json"] == report_schema()
    assert problems(values, read["report_schema.json"]) == []
    assert values["per_label"][-1]["average_precision"] is None
    assert values["history"]["loss"] == [0.5, None, 0.3]
    assert LONG_WORD in {text for error in values["worst_errors"] for text in error["window"]["texts"]}


def test_schema_refuses_what_is_not_as_it_says(hostile_report):
    values, schema = report.report_values(hostile_report), report_schema()
    values["windows"] = "60"
    del values["micro"]["f1"]
    values["gate"]["odd"] = 1
    values["intervals"]["macro_f1"] = [0.5]
    assert sorted(problem.partition(":")[0] for problem in problems(values, schema)) == [
        "$.gate", "$.intervals.macro_f1", "$.micro", "$.windows"]


def test_schema_describes_every_field_of_the_evaluation():
    schema = report_schema()
    assert [name for name, entry in schema["properties"].items() if "description" not in entry] == [
        "schema_version", "model", "data", "split"]
    assert "None" not in json.dumps(schema)


def test_same_evaluation_gives_same_bytes(tmp_path):
    for name in ("one", "two"):
        report.write_report(evaluation_of(HOSTILE), SUBJECT, HISTORY, tmp_path / name, errors_of(HOSTILE))
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_second_report_replaces_the_first(tmp_path):
    report.write_report(evaluation_of(["a", "b"]), SUBJECT, {}, tmp_path)
    report.write_report(evaluation_of(["c", "d"]), SUBJECT, {}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    values = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [label["label"] for label in values["per_label"]] == ["c", "d"]


def test_many_labels_are_cut_in_plots_and_whole_in_tables():
    names = [f"label_{n}" for n in range(drawing.MAX_BARS + 5)]
    evaluation = evaluation_of(names)
    text = report.render_html(Report(dataclasses.replace(evaluation, ablations=[], confusions=[]), SUBJECT, {}, []))
    shown = [sum(f">{name}</text>" in text for name in names), sum(f">{name}</bdi>" in text for name in names)]
    assert shown == [drawing.MAX_BARS, len(names)]
    assert f"The {drawing.MAX_BARS} labels with the most windows; the table has all." in text


def test_one_label_and_no_history_slots():
    small = Report(evaluation_of(["only"], slots=0), SUBJECT, {}, errors_of(["only"], slots=0))
    page = Page(report.render_html(small))
    assert [section.id for section in sections(small)] == [
        "overall", "labels", "calibration", "slices", "gate", "ablations", "errors"]
    assert page.tags.count("svg") == 6
    assert "## Attention" not in report.render_markdown(small)


def test_nothing_known_beside_the_measures():
    bare = dataclasses.replace(evaluation_of(["a", "b"]), splits=[], ablations=[], confusions=[], curves=[])
    text = report.render_markdown(Report(bare, SUBJECT, {}, []))
    for title in ("The splits side by side", "Which label instead of which", "What the model needs", "Training",
                  "worst"):
        assert title not in text
    assert Page(report.render_html(Report(bare, SUBJECT, {}, []))).tags.count("svg") == 5


def test_labels_of_one_side_alone_are_said():
    evaluation = dataclasses.replace(evaluation_of(["a", "b"]), missing_labels=["b"], extra_labels=["<old>"])
    texts = Page(report.render_html(Report(evaluation, SUBJECT, {}, []))).texts
    assert texts[texts.index("<old>") + 1] == "yes, but the data do not; left out"
    assert "no; never predicted" in texts


@pytest.mark.parametrize(("mean", "deviation", "expected"), [
    ([0.0] * 5, 0.2, "9 windows have no history; there every weight is 0."),
    ([0.2] * 5, 0.0, "9 windows have no history; there the weights lie at most 0 from 0.200, equal attention."),
])
def test_attention_without_history(mean, deviation, expected):
    evaluation = evaluation_of(HOSTILE)
    attention = dataclasses.replace(evaluation.attention, mean_without_history=mean,
                                    max_deviation_without_history=deviation)
    text = report.render_markdown(Report(dataclasses.replace(evaluation, attention=attention), SUBJECT, {}, []))
    assert expected in text


def test_turns_are_shown_as_a_dialogue():
    window = Window("c", 2, ("now", "x" * (MAX_CHARACTERS + 7), "", ""), ("user", "", "agent", ""), (), ())
    turns = shown_turns(window, (0.6, 0.4, 0.0))
    assert [(turn.age, turn.speaker, turn.left_out, turn.attention) for turn in turns] == [
        (2, "agent", 0, 0.4), (1, "(unknown)", 7, 0.6), (0, "user", 0, None)]
    assert [len(turn.text) for turn in turns] == [0, MAX_CHARACTERS, 3]


def test_labels_are_shown_by_whether_they_are_right():
    assert shown_labels(("a", "b"), ("b", "c"), {"d": 0.4, "c": 0.7, "b": 0.8}) == [
        ShownLabel("b", "right", 0.8), ShownLabel("a", "missed", None), ShownLabel("c", "wrong", 0.7),
        ShownLabel("d", "other", 0.4)]


@pytest.mark.parametrize(("shown", "expected"), [
    (pages.figure(0.12345), "0.123"), (pages.figure(None), "–"), (pages.signed(-0.5), "−0.500"),
    (pages.signed(0.25), "+0.250"), (pages.signed(None), "–"), (pages.interval((0.1, 0.25)), "0.100 to 0.250"),
    (pages.interval([-0.1, 0.25], True), "−0.100 to +0.250"), (pages.interval(None), "–"),
    (pages.count(12345), "12,345"), (pages.percent(0.1234), "12.3%"), (pages.percent(None), "–"),
])
def test_figures_for_reading(shown, expected):
    assert shown == expected


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


def test_every_number_of_the_heat_map_is_readable():
    svg = evaluation_plots.attention_heat_map([("all", [0.5, 0.25]), ("none", [None, 0.0])])
    assert [text for text in re.findall(r">([^<>]+)</text>", svg) if text in ("0.50", "0.25", "0.00", "–")] == [
        "0.50", "0.25", "–", "0.00"]
    opacities = [float(value) for value in re.findall(r"opacity: ([\d.]+)", svg)]
    assert max(opacities) == evaluation_plots.MAX_HEAT


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
