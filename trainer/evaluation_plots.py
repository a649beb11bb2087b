"""The plots of an evaluation's report, each a function from measures to the text of an SVG image."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from trainer.drawing import (
    DASHED,
    FONT_POINTS,
    INK,
    MAX_BARS,
    PREDICTED,
    TRUE,
    bars,
    bars_figure,
    legend_above,
    new_figure,
    style,
    svg,
)
from trainer.evaluation import LabelScores
from trainer.memory import WIDE_OPEN_GATE, Attention, Gate


def label_distribution(labels: Sequence[LabelScores]) -> str:
    """Windows that bear each label, true beside predicted."""
    shown = _most_frequent(labels)
    with style("labels"):
        figure, axes = bars_figure([label.label for label in shown], row=0.34, above=0.35)
        bars(axes, [label.support for label in shown], TRUE, offset=-0.2, height=0.38, name="true")
        bars(axes, [label.predicted for label in shown], PREDICTED, offset=0.2, height=0.38, name="predicted")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
        axes.set_xlabel("windows")
        legend_above(axes)
        return svg(figure, "labels", "Windows that bear each label, true and predicted")


def label_f1(labels: Sequence[LabelScores]) -> str:
    """F1 of each label, with its support written beside the bar."""
    shown = _most_frequent(labels)
    with style("f1"):
        figure, axes = bars_figure([label.label for label in shown], row=0.26, above=0.1)
        bars(axes, [label.f1 for label in shown], TRUE, height=0.7)
        for row, label in enumerate(shown):
            axes.annotate(f"{label.f1:.2f} ({label.support})", (label.f1, row), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=FONT_POINTS - 1)
        # Beyond 1 there is room for the text of a perfect label.
        axes.set_xlim(0, 1.3)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("F1 (support)")
        return svg(figure, "f1", "F1 of each label")


def attention_by_slot(attention: Attention) -> str:
    """Mean attention of each history slot, over all windows and over those in which it holds a turn."""
    slots = range(len(attention.mean))
    with style("attention"):
        figure, axes = new_figure(height=2.8)
        axes.bar([slot - 0.2 for slot in slots], attention.mean, 0.38, color=TRUE, label="all windows")
        axes.bar([slot + 0.2 for slot in slots], [mean or 0.0 for mean in attention.mean_filled], 0.38,
                 color=PREDICTED, label="windows with a turn there")
        if attention.uniform is not None:
            axes.axhline(attention.uniform, color=INK, linewidth=0.8, linestyle=DASHED)
        axes.set_xticks(slots, [str(slot + 1) for slot in slots])
        axes.set_xlabel("turns back (dashed: equal attention)")
        axes.set_ylabel("mean attention")
        axes.grid(axis="y")
        legend_above(axes)
        return svg(figure, "attention", "Mean attention by history slot")


def gate_histogram(gate: Gate) -> str:
    """How many windows open the gate how far."""
    with style("gate"):
        figure, axes = new_figure(height=2.8)
        width = gate.bin_edges[1] - gate.bin_edges[0]
        axes.bar(gate.bin_edges[:-1], gate.counts, width * 0.92, align="edge", color=TRUE)
        axes.axvline(WIDE_OPEN_GATE, color=INK, linewidth=0.8, linestyle=DASHED)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"gate (dashed: {WIDE_OPEN_GATE}, above it {gate.share_wide_open:.1%} of windows)")
        axes.set_ylabel("windows")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
        return svg(figure, "gate", "Histogram of the gate")


def _most_frequent(labels: Sequence[LabelScores]) -> list[LabelScores]:
    """The `MAX_BARS` labels with the most support, most first."""
    return sorted(labels, key=lambda label: (-label.support, label.label))[:MAX_BARS]
