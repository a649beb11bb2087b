"""The plots of the page of runs: what changes from run to run, as SVG images; None where there is nothing to draw."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from schemas.visible_text import visible
from trainer.display import shortened
from trainer.drawing import INK, PREDICTED, TRUE, legend_above, new_figure, style, svg
from trainer.run_record import PROMOTED, RunRecord

# The plots show so many runs, the last ones.
MAX_RUNS = 60
MAX_ID_EMS = 7
HEIGHT = 2.6

Value = Callable[[RunRecord], float | None]


def scores(records: Sequence[RunRecord]) -> str | None:
    """Micro F1, macro F1 and exact match of each run's model."""
    curves = (("micro F1", _metric("micro_f1"), TRUE), ("macro F1", _metric("macro_f1"), PREDICTED),
              ("exact match", _metric("exact_match"), INK))
    return _by_run(records, curves, "scores", "Scores of each run's model", "score")


def losses(records: Sequence[RunRecord]) -> str | None:
    """The validation loss of each run's model."""
    return _by_run(records, (("validation loss", _metric("val_loss"), TRUE),), "losses",
                   "Validation loss of each run's model", "validation loss")


def drift(records: Sequence[RunRecord]) -> str | None:
    """How far each run's data lie from those of the last blessed model."""
    curves = (("largest index", _largest_index, TRUE), ("unknown tokens", _unknown_tokens, PREDICTED))
    return _by_run(records, curves, "drift", "Drift of each run's data", "index, share", hollow=False)


def minutes(records: Sequence[RunRecord]) -> str | None:
    """How long each run's stages took."""
    return _by_run(records, (("minutes", _stage_minutes, TRUE),), "minutes", "Minutes of each run's stages", "minutes",
                   hollow=False)


def _by_run(records: Sequence[RunRecord], curves: Sequence[tuple[str, Value, str]], name: str, title: str, unit: str,
            hollow: bool = True) -> str | None:
    """Curves over the runs.

    Args:
        records: of all runs, in order; the last `MAX_RUNS` are drawn.
        curves: name, value of a run (None where it has none) and colour of each.
        name: keeps the plot apart from others on the page.
        title: what the plot shows.
        unit: of the vertical axis.
        hollow: whether the points of runs whose model was not promoted are hollow.
    """
    shown = records[-MAX_RUNS:]
    drawn = [(curve, [_finite(value(record)) for record in shown], color) for curve, value, color in curves]
    if not any(value is not None for _, values, _ in drawn for value in values):
        return None
    with style(f"runs-{name}"):
        figure, axes = new_figure(HEIGHT)
        for curve, values, color in drawn:
            places = [place for place, value in enumerate(values) if value is not None]
            axes.plot(places, [values[place] for place in places], color=color, linewidth=1.2, label=curve)
            filled = [place for place in places if not hollow or shown[place].outcome == PROMOTED]
            for marked, face in ((filled, color), ([place for place in places if place not in filled], "none")):
                axes.plot(marked, [values[place] for place in marked], color=color, linestyle="none", marker="o",
                          markersize=5, markerfacecolor=face)
        _name_runs(axes, shown)
        axes.set_ylabel(unit)
        axes.grid(axis="y")
        if len(drawn) > 1:
            legend_above(axes, columns=len(drawn))
            axes.margins(y=0.15)
        return svg(figure, f"runs-{name}", title)


def _name_runs(axes: Axes, records: Sequence[RunRecord]) -> None:
    """Run ids on the horizontal axis, as many as find room."""
    axes.set_xlim(-0.5, len(records) - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(
        lambda place, _: shortened(visible(records[round(place)].run_id), MAX_ID_EMS)
        if 0 <= round(place) < len(records) else ""))
    axes.set_xlabel("run")


def _metric(name: str) -> Value:
    return lambda record: record.metrics.get(name)


def _largest_index(record: RunRecord) -> float | None:
    indices = [one.get("psi") for one in _drift(record).get("distributions") or []]
    return max((index for index in indices if index is not None), default=None)


def _unknown_tokens(record: RunRecord) -> float | None:
    rates = _drift(record).get("out_of_vocabulary")
    return rates[1].get("value") if rates else None


def _drift(record: RunRecord) -> Mapping[str, Any]:
    return record.drift or {}


def _stage_minutes(record: RunRecord) -> float | None:
    seconds = [stage.seconds for stage in record.stages if stage.seconds is not None]
    return sum(seconds) / 60 if seconds else None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
