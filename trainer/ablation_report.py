"""The files of an ablation: ablation.json and .csv with every run, ablation.md and .html with the comparison."""

import csv
import dataclasses
import io
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from trainer import plots
from trainer.ablation_grid import Grid
from trainer.display import csv_cell
from trainer.pages import environment, json_text, write_files

SCHEMA_VERSION = 1
HTML = "ablation.html"


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What came of a run; the figures are None where it failed or they are not known.

    Attributes:
        data: name of the data set.
        variant: name of the variant.
        seed: of the training.
        settings: those that differ from the default preset's.
        model_dir: where the model lies.
        error: why it failed; None where it did not.
        val_micro_f1: of the validation split, after the best epoch, as the two below.
        val_macro_f1: see `training_metrics.MacroF1`.
        val_loss: the loss.
        epochs: that were trained.
        best_epoch: the epoch whose weights are kept.
        seconds: of the training, without the start of the program and the export.
        windows_per_second: of the training.
    """

    data: str
    variant: str
    seed: int
    settings: Mapping[str, object]
    model_dir: str
    error: str | None = None
    val_micro_f1: float | None = None
    val_macro_f1: float | None = None
    val_loss: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    seconds: float | None = None
    windows_per_second: int | None = None


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation; None where there are too few values."""

    mean: float | None
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread":
        """Of the values that are there."""
        known = [value for value in values if value is not None]
        return cls(statistics.fmean(known) if known else None, statistics.stdev(known) if len(known) > 1 else None)


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant's figures on a data set, over the seeds; or over all data sets.

    Attributes:
        variant: its name.
        runs: that have figures.
        val_micro_f1: over the seeds; over the data sets: the mean of their means.
        val_macro_f1: likewise.
        seconds: likewise.
        difference: of micro-F1 to the base variant, the mean over the seeds that both have.
    """

    variant: str
    runs: int
    val_micro_f1: Spread
    val_macro_f1: Spread
    seconds: Spread
    difference: float | None


FIGURES = ("val_micro_f1", "val_macro_f1", "seconds")


@dataclasses.dataclass(frozen=True)
class Table:
    """The comparison, best variant over all data sets first.

    Attributes:
        overall: a row a variant, over all data sets; what a data set is missing for is not known overall.
        by_data: {data set: a row a variant}.
    """

    overall: list[Row]
    by_data: dict[str, list[Row]]


def write_results(results: Sequence[RunResult], grid: Grid, output_dir: pathlib.Path) -> None:
    """Writes the files; those of earlier results are replaced."""
    table = make_table(results, grid)
    values = {"schema_version": SCHEMA_VERSION, "base": grid.base,
              "runs": [dataclasses.asdict(result) for result in results], "table": dataclasses.asdict(table)}
    write_files(output_dir, {
        "ablation.json": json_text(values),
        "ablation.csv": runs_csv(results),
        "ablation.md": _templates().get_template("ablation.md.j2").render(_context(results, grid, table)),
        HTML: render_html(results, grid, table),
    })


def make_table(results: Sequence[RunResult], grid: Grid) -> Table:
    """Compares the variants."""
    names = [variant.name for variant in grid.variants]
    rows = {data: {name: _row(name, _of(results, data, name), _of(results, data, grid.base)) for name in names}
            for data in grid.data}
    overall = [_overall(name, [rows[data][name] for data in grid.data]) for name in names]
    overall.sort(key=lambda row: -1.0 if row.val_micro_f1.mean is None else row.val_micro_f1.mean, reverse=True)
    return Table(overall, {data: [rows[data][row.variant] for row in overall] for data in grid.data})


def runs_csv(results: Sequence[RunResult]) -> str:
    """One row a run; what is not known is an empty cell."""
    columns = [field.name for field in dataclasses.fields(RunResult) if field.name != "settings"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for result in results:
        values = [getattr(result, name) for name in columns]
        writer.writerow([csv_cell(value) if isinstance(value, str) else value for value in values])
    return file.getvalue()


def render_html(results: Sequence[RunResult], grid: Grid, table: Table) -> str:
    """The text of ablation.html: plots and tables on one page that needs nothing else, neither network nor script."""
    figures = [(_plot(f"scores{number}", data, rows, results, grid.base), data)
               for number, (data, rows) in enumerate(table.by_data.items())]
    return _templates().get_template("ablation.html.j2").render(
        _context(results, grid, table), figures=figures, max_bars=plots.MAX_BARS)


def _row(name: str, mine: Mapping[int, RunResult], base: Mapping[int, RunResult]) -> Row:
    """A variant's row on a data set, of its results and the base variant's by seed."""
    differences = [mine[seed].val_micro_f1 - base[seed].val_micro_f1 for seed in mine if seed in base]
    spreads = {figure: Spread.of([getattr(result, figure) for result in mine.values()]) for figure in FIGURES}
    return Row(name, len(mine), **spreads, difference=Spread.of(differences).mean)


def _of(results: Sequence[RunResult], data: str, variant: str | None) -> dict[int, RunResult]:
    """The results of a variant on a data set that have figures, by seed."""
    return {result.seed: result for result in results
            if (result.data, result.variant) == (data, variant) and result.val_micro_f1 is not None}


def _overall(name: str, rows: Sequence[Row]) -> Row:
    """A variant's row over the data sets, of those on each."""
    spreads = {figure: Spread(_mean([getattr(row, figure).mean for row in rows]), None) for figure in FIGURES}
    return Row(name, sum(row.runs for row in rows), **spreads, difference=_mean([row.difference for row in rows]))


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, if all values are there."""
    return None if None in values else statistics.fmean(values)


def _plot(key: str, data: str, rows: Sequence[Row], results: Sequence[RunResult], base: str | None) -> Markup:
    """The plot of a data set; the SVG is made by an XML serialiser, which has escaped the names in it."""
    scores = [(row.variant, [result.val_micro_f1 for result in _of(results, data, row.variant).values()])
              for row in rows]
    base_mean = next((row.val_micro_f1.mean for row in rows if row.variant == base), None)
    return Markup(plots.scores_by_variant(scores, base_mean, key, "Validation micro-F1 of each variant"))


def _context(results: Sequence[RunResult], grid: Grid, table: Table) -> dict[str, Any]:
    """What both templates need."""
    tables = {"All data sets": table.overall} if len(table.by_data) > 1 else {}
    return {
        "grid": grid,
        "tables": [*tables.items(), *((f"Data set {data}", rows) for data, rows in table.by_data.items())],
        "runs": len(grid.data) * len(grid.variants) * len(grid.seeds),
        "finished": sum(result.error is None for result in results),
        "failed": [result for result in results if result.error is not None],
    }


def _templates() -> jinja2.Environment:
    templates = environment()
    templates.filters.update(spread=_spread, difference=_difference)
    return templates


def _spread(spread: Spread, decimals: int) -> str:
    """Mean ± standard deviation for reading; a dash where it is not known."""
    if spread.mean is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.{decimals}f}"
    return f"{spread.mean:.{decimals}f}{deviation}"


def _difference(value: float | None) -> str:
    """A difference for reading, with its sign; a dash where it is not known."""
    return "–" if value is None else f"{value:+.4f}"
