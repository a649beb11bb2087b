"""The plots of a drift: a quantity in the reference beside the new data, as an SVG image."""

from matplotlib.ticker import MaxNLocator, PercentFormatter

from trainer.drawing import MAX_BARS, PREDICTED, TRUE, bars, bars_figure, legend_above, style, svg
from trainer.drift_distributions import SPOKEN, Distribution
from trainer.drift_facts import NO_LABEL


def distribution(quantity: Distribution) -> str:
    """The share of each bin in the reference and in the new data; the first `MAX_BARS` bins."""
    title = f"{SPOKEN[quantity.name].capitalize()}, reference and new data"
    name = f"drift-{quantity.name}"
    with style(name):
        figure, axes = bars_figure([one if one != NO_LABEL else "(none)" for one in quantity.bins[:MAX_BARS]], row=0.3,
                                   above=0.35)
        for counts, offset, color, whose in ((quantity.reference, -0.2, TRUE, "reference"),
                                             (quantity.new, 0.2, PREDICTED, "new")):
            total = max(1, sum(counts))
            bars(axes, [count / total for count in counts[:MAX_BARS]], color, height=0.38, offset=offset, name=whose)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.set_xlabel("share")
        legend_above(axes)
        return svg(figure, name, title)
