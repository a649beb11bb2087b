"""Plots that several reports share, each a function from measures to the text of an SVG image."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from schemas.visible_text import visible
from trainer.display import shortened
from trainer.drawing import (
    DASHED,
    INK,
    MAX_BARS,
    MAX_NAME_EMS,
    PREDICTED,
    TRUE,
    WIDTH,
    bars_figure,
    legend_above,
    style,
    svg,
)

# A combination of settings tells itself from others at its end.
MAX_VARIANT_EMS = 20
MAX_CURVES = 4
# The curves that are drawn before any others.
FIRST_CURVES = ("loss", "micro_f1", "precision", "recall")


def learning_curves(history: Mapping[str, Sequence[float]]) -> str:
    """One panel a metric, training and validation over the epochs.

    Args:
        history: {metric: one value an epoch}, validation under `val_` and the metric's name; at least one metric. Those
            of `shown_metrics` are drawn.
    """
    shown = shown_metrics(history)
    with style("curves"):
        figure = Figure(figsize=(WIDTH, 0.5 + 1.7 * len(shown)), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.1)
        for axes, name in zip(figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0], shown, strict=True):
            _curve(axes, history.get(name, ()), TRUE, "training")
            _curve(axes, history.get(f"val_{name}", ()), PREDICTED, "validation")
            axes.set_ylabel(shortened(visible(name), MAX_NAME_EMS))
            axes.grid(axis="y")
        legend_above(figure.axes[0])
        figure.axes[-1].set_xlabel("epoch")
        figure.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        return svg(figure, "curves", "Learning curves")


def shown_metrics(history: Mapping[str, Sequence[float]]) -> list[str]:
    """The metrics of a training that are shown: at most `MAX_CURVES`, `FIRST_CURVES` before others."""
    measured = dict.fromkeys(name.removeprefix("val_") for name in history)
    names = sorted(measured, key=lambda name: FIRST_CURVES.index(name) if name in FIRST_CURVES else len(FIRST_CURVES))
    return names[:MAX_CURVES]


def scores_by_variant(
    variants: Sequence[tuple[str, Sequence[float]]], base_mean: float | None, name: str, title: str
) -> str:
    """The scores of each variant's runs as points, with a bar at their mean.

    Args:
        variants: (name, scores) each; the first `MAX_BARS` are drawn.
        base_mean: where a dashed line goes; None for no line.
        name: keeps the plot apart from others on the page.
        title: what the plot shows.
    """
    shown = variants[:MAX_BARS]
    with style(name):
        figure, axes = bars_figure([variant for variant, _ in shown], row=0.26, above=0.1, max_ems=MAX_VARIANT_EMS)
        for row, (_, scores) in enumerate(shown):
            if scores:
                mean = sum(scores) / len(scores)
                axes.plot([mean, mean], [row - 0.35, row + 0.35], color=PREDICTED, linewidth=2)
                axes.plot(scores, [row] * len(scores), color=TRUE, linestyle="none", marker="o", markersize=4,
                          markeredgewidth=0)
        if base_mean is not None:
            axes.axvline(base_mean, color=INK, linewidth=0.8, linestyle=DASHED)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.set_xlabel("validation micro-F1")
        return svg(figure, name, title)


def _curve(axes: Axes, values: Sequence[float], color: str, name: str) -> None:
    if len(values):
        axes.plot(range(1, len(values) + 1), values, color=color, label=name, marker=".")
