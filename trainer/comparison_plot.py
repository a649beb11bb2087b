"""The plots of a comparison: differences between two models, with their intervals, as SVG images."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from trainer.comparison import Difference, LabelComparison, spoken
from trainer.drawing import FONT_POINTS, INK, MAX_BARS, PREDICTED, TRUE, bars_figure, style, svg
from trainer.pages import signed

# Axes never show less than this, lest a difference of nothing fill the plot.
LEAST_REACH = 0.01


def overall_differences(differences: Mapping[str, Difference]) -> str:
    """Each measure's difference."""
    rows = [(spoken(measure), difference, "") for measure, difference in differences.items()]
    return _differences(rows, "overall", "Differences over all labels")


def label_differences(labels: Sequence[LabelComparison]) -> str:
    """The difference of each label's F1, of the `MAX_BARS` labels with the most support, the greatest loss on top."""
    frequent = sorted(labels, key=lambda label: (-label.support, label.label))[:MAX_BARS]
    shown = sorted(frequent, key=lambda label: (label.f1.difference, -label.support, label.label))
    rows = [(label.label, label.f1, f" ({label.support})") for label in shown]
    return _differences(rows, "labels", "Difference of F1 of each label")


def _differences(rows: Sequence[tuple[str, Difference, str]], name: str, title: str) -> str:
    """Points with intervals.

    Args:
        rows: what is measured, its difference, and what is written behind the number.
        name: keeps the plot apart from others on the page.
        title: what the plot shows.
    """
    with style(name):
        figure, axes = bars_figure([row_name for row_name, _, _ in rows], row=0.26)
        reach = LEAST_REACH
        for row, (_, difference, remark) in enumerate(rows):
            color = PREDICTED if difference.difference < 0 else TRUE
            low, high = difference.interval or (difference.difference, difference.difference)
            axes.plot([low, high], [row, row], color=color, linewidth=1.5)
            axes.plot([difference.difference], [row], color=color, linestyle="none", marker="o", markersize=5,
                      markeredgewidth=0)
            axes.annotate(f"{signed(difference.difference)}{remark}", (1, row), xycoords=("axes fraction", "data"),
                          ha="right", va="center", fontsize=FONT_POINTS - 1)
            reach = max(reach, *map(abs, (low, high, difference.difference)))
        axes.axvline(0, color=INK, linewidth=0.8)
        # On the right there is room for the numbers.
        axes.set_xlim(-1.1 * reach, 2.2 * reach)
        ticks = MaxNLocator(nbins=4).tick_values(-reach, reach)
        axes.set_xticks([tick for tick in ticks if abs(tick) <= reach])
        axes.set_xlabel("B less A")
        return svg(figure, name, title)
