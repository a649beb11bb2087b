"""The page of all runs of `trainer retrain`: runs/index.html."""

import dataclasses
import pathlib
import urllib.parse
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from trainer import runs_plots
from trainer.pages import environment, write_files
from trainer.run_record import DATA_REFUSED, FAILED, NOTHING_NEW, OUTCOMES, PROMOTED, REFUSED, RUN, RunRecord, read_runs
from trainer.runs_table import HEADER, row_of

INDEX = "index.html"
# What the page links to, where it is there.
LINKS = (("report", "evaluation/report.html"), ("drift", "drift/drift.html"), ("blessing", "blessing.json"),
         ("log", "log"), ("record", RUN))
SPOKEN = {PROMOTED: "promoted", REFUSED: "model refused", DATA_REFUSED: "data refused", NOTHING_NEW: "nothing new",
          FAILED: "failed"}


@dataclasses.dataclass(frozen=True)
class ShownRun:
    """A run's row.

    Attributes:
        record: its run.json.
        cells: {column: text} of the table that `trainer runs` prints, less the reasons.
        links: (name, address relative to the page) of what there is to read.
    """

    record: RunRecord
    cells: dict[str, str]
    links: list[tuple[str, str]]


def write_index(runs_dir: str | pathlib.Path) -> pathlib.Path:
    """Writes the page; gives its path.

    Raises:
        UsageError: when there is no such directory.
    """
    path = pathlib.Path(runs_dir)
    records, problems = read_runs(path)
    outcomes = Counter(record.outcome for record in records)
    promoted = [record for record in records if record.outcome == PROMOTED]
    page = environment().get_template("runs.html.j2").render(
        runs=[_shown(record, path) for record in reversed(records)],
        columns=[column for column in HEADER if column != "reasons"],
        counts=[(SPOKEN.get(outcome, outcome), outcomes[outcome]) for outcome in OUTCOMES if outcomes[outcome]],
        promoted=promoted[-1] if promoted else None,
        problems=problems,
        figures=_figures(records),
        shown=runs_plots.MAX_RUNS,
    )
    write_files(path, {INDEX: page})
    return path / INDEX


def _shown(record: RunRecord, runs_dir: pathlib.Path) -> ShownRun:
    """A run with its links."""
    cells = {name: cell for name, cell in zip(HEADER, row_of(record), strict=True) if name != "reasons"}
    # The name is part of an address, and a record may have been written by any hand.
    inside = pathlib.PurePath(record.run_id).name == record.run_id
    links = [(name, urllib.parse.quote(f"{record.run_id}/{file}")) for name, file in LINKS
             if inside and (runs_dir / record.run_id / file).is_file()]
    return ShownRun(record, cells, [(name, f"./{address}") for name, address in links])


def _figures(records: Sequence[RunRecord]) -> list[tuple[Markup, str]]:
    """The plots that there is something to draw for, with captions; their SVGs are escaped already."""
    drawn = ((runs_plots.scores(records), "What the new models reach on the test split. Hollow: not promoted."),
             (runs_plots.losses(records), "The validation loss of the new models. Hollow: not promoted."),
             (runs_plots.drift(records), "The new data against those of the last blessed model: the largest population "
                                         "stability index of any quantity, and the share of unknown tokens."),
             (runs_plots.minutes(records), "Minutes of all stages, the last time that each was begun."))
    return [(Markup(svg), caption) for svg, caption in drawn if svg is not None]
