"""The page of runs: what it shows of each, its links, plots, and names that are no harm to it."""

import dataclasses
import html.parser
import re

import matplotlib.image
import pytest

from schemas.exit_status import UsageError
from tests.browser import DARK, browser, screenshot, visit
from trainer import runs_plots
from trainer.drawing import TRUE
from trainer.run_record import DATA_REFUSED, FAILED, PROMOTED, REFUSED, RUNNING, RunRecord, StageRecord, write_record
from trainer.runs_page import write_index

HOSTILE = "<script>document.title='bad'</script>\u202e\u0007"
WIDE = """<script>
document.title = [...document.querySelectorAll("body *")].filter(part =>
  !part.closest(".scroll, svg") && part.getBoundingClientRect().right > innerWidth + 0.5).length;
</script></body>"""


def run_of(number, outcome=PROMOTED, **changes):
    """A run of one night of March."""
    micro = 0.7 + number / 100
    record = RunRecord(
        run_id=f"2024-03-{number:02d}", date=f"2024-03-{number:02d}", started=f"2024-03-{number:02d}T02:00:00+00:00",
        ended=f"2024-03-{number:02d}T02:12:30+00:00", config={}, inputs=(), version=number, base_version=None,
        base_run=None, in_service=None, host="h", versions={}, outcome=outcome, exit_status=0,
        stages=(StageRecord("prepare", "", 30.0, 0), StageRecord("train", "", 90.0, 0, 2)),
        metrics={"micro_f1": micro, "macro_f1": micro - 0.1, "exact_match": micro - 0.2, "val_loss": 1 - micro,
                 "epochs": 3},
        drift={"distributions": [{"psi": 0.01}, {"psi": 0.2}], "out_of_vocabulary": [{"value": 0.01}, {"value": 0.02}]})
    return dataclasses.replace(record, **changes)


def page_of(directory, *records):
    """The page of some runs."""
    for record in records:
        (directory / record.run_id).mkdir(parents=True)
        write_record(directory / record.run_id, record)
    return write_index(directory)


@pytest.fixture
def five(tmp_path):
    """The page of five nights, of which one run was interrupted and one has hostile reasons."""
    runs = tmp_path / "runs"
    for name in ("evaluation/report.html", "drift/drift.html", "log"):
        file = runs / "2024-03-01" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    write_record(runs / "2024-03-01", run_of(1))
    return page_of(
        runs, run_of(2, REFUSED, reasons=("micro F1 drops from 0.9 to 0.8", HOSTILE)),
        run_of(3, DATA_REFUSED, metrics={}, reasons=("drift: new labels",)),
        run_of(4, RUNNING, ended=None, exit_status=None, metrics={}, drift=None, stages=(StageRecord("prepare", ""),)),
        run_of(5, FAILED, metrics={"micro_f1": None, "val_loss": float("nan")}, reasons=("train: no room",)))


class Rows(html.parser.HTMLParser):
    """The texts of the table's rows, and the addresses of links."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append("")
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_data(self, data):
        if self.rows:
            self.rows[-1] += f" {data.strip()}"


def test_every_run_with_outcome_reasons_and_links(five):
    page = Rows(five.read_text("utf-8"))
    rows = [" ".join(row.split()) for row in page.rows if "2024-03" in row]
    assert [row.split()[0] for row in rows] == [f"2024-03-0{number}" for number in (5, 4, 3, 2, 1)]
    for row, said in zip(rows, ("failed", "running", "data refused", "refused", "promoted"), strict=True):
        assert said in row
    assert "drift: new labels" in rows[2] and "micro F1 drops from 0.9 to 0.8" in rows[3]
    assert "0.7100" in rows[4] and "12.5" in rows[4]
    first = [link for link in page.links if "03-01" in link]
    assert first == [f"./2024-03-01/{name}" for name in
                     ("evaluation/report.html", "drift/drift.html", "log", "run.json")]
    for link in page.links:
        assert (five.parent / link).is_file()


def test_no_name_is_taken_for_markup(five):
    text = five.read_text("utf-8")
    assert "<script" not in text and "\u202e" not in text and "\u0007" not in text
    assert "&lt;script&gt;" in text and "\\u202e\\u0007" in text


def test_plots_of_what_is_known(five):
    assert five.read_text("utf-8").count("<svg") == 4
    unknown = [run_of(1, FAILED, metrics={}, drift=None, stages=())]
    assert {plot(unknown) for plot in (runs_plots.scores, runs_plots.losses, runs_plots.drift, runs_plots.minutes)} == {
        None}


def test_hollow_points_and_the_last_runs():
    def points(*records):
        """How many are filled and hollow."""
        text = runs_plots.losses(records)
        return len(re.findall(f'<use [^>]*"fill: {TRUE}', text)), len(re.findall('<use [^>]*"fill-opacity: 0', text))

    assert points(run_of(1), run_of(2, REFUSED), run_of(3, DATA_REFUSED, metrics={})) == (1, 1)
    many = [run_of(1, run_id=f"run {number}") for number in range(runs_plots.MAX_RUNS + 5)]
    assert points(*many) == (runs_plots.MAX_RUNS, 0)


def test_no_runs_and_unreadable_ones(tmp_path):
    with pytest.raises(UsageError, match="no such directory"):
        write_index(tmp_path / "none")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    text = write_index(tmp_path).read_text("utf-8")
    assert "There are no runs yet" in text and "can&#39;t read" in text


def test_a_run_whose_name_leads_elsewhere_gets_no_links(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "log").write_text("")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    write_record(tmp_path / "runs" / "a", run_of(1, run_id="../secret"))
    assert Rows(write_index(tmp_path / "runs").read_text("utf-8")).links == []


@pytest.mark.skipif(browser() is None, reason="no Chromium here")
def test_in_a_browser(five, tmp_path):
    seen = visit(five, tmp_path / "profile")
    assert seen.console == [] and seen.requests == []
    assert "<title>Runs</title>" in seen.dom
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", five.read_text("utf-8"))
    wide = tmp_path / "wide.html"
    wide.write_text(text.replace("</body>", WIDE), "utf-8")
    assert "<title>0</title>" in visit(wide, tmp_path / "other", 500).dom
    screenshot(five, tmp_path / "dark", tmp_path / "shot.png", 800, DARK)
    corner = (matplotlib.image.imread(tmp_path / "shot.png")[2, 2, :3] * 255).round().astype(int)
    assert corner.tolist() == [0x16, 0x18, 0x1B]
