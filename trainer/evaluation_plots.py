"""The plots of an evaluation's report, each a function from measures to the text of an SVG image."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from trainer.bootstrap import Interval
from trainer.calibration_measures import Calibration
from trainer.drawing import (
    DASHED,
    FONT_POINTS,
    INK,
    MAX_BARS,
    PREDICTED,
    TRUE,
    WIDTH,
    bars,
    bars_figure,
    legend_above,
    new_figure,
    style,
    svg,
)
from trainer.input_ablations import InputAblation
from trainer.label_scores import LabelScores
from trainer.memory import WIDE_OPEN_GATE, Gate
from trainer.precision_recall import PrecisionRecallCurve

# The strongest colour of a heat map still lets dark text on it be read.
MAX_HEAT = 0.6
# Inches, so that plots of the labels that stand side by side have them at the same heights.
ROW, ABOVE = 0.3, 0.35
SMALL_POINTS = FONT_POINTS - 1


def label_distribution(labels: Sequence[LabelScores]) -> str:
    """Windows that bear each label, true beside predicted; the first `MAX_BARS` labels."""
    shown = labels[:MAX_BARS]
    with style("labels"):
        figure, axes = bars_figure([label.label for label in shown], row=ROW, above=ABOVE)
        bars(axes, [label.support for label in shown], TRUE, offset=-0.2, height=0.38, name="true")
        bars(axes, [label.predicted for label in shown], PREDICTED, offset=0.2, height=0.38, name="predicted")
        axes.xaxis.set_major_locator(_whole_numbers())
        axes.set_xlabel("windows")
        legend_above(axes)
        return svg(figure, "labels", "Windows that bear each label, true and predicted")


def label_f1(labels: Sequence[LabelScores]) -> str:
    """F1 of each label with its interval, and its support written beside; the first `MAX_BARS` labels."""
    shown = labels[:MAX_BARS]
    with style("f1"):
        figure, axes = bars_figure([label.label for label in shown], row=ROW, above=ABOVE)
        bars(axes, [label.f1 for label in shown], TRUE, height=0.6)
        for row, label in enumerate(shown):
            _whisker(axes, label.intervals["f1"], row)
            axes.annotate(f"{label.f1:.2f} ({label.support})", (1, row), xytext=(6, 0), textcoords="offset points",
                          va="center", fontsize=SMALL_POINTS)
        # Beyond 1 there is room for the texts.
        axes.set_xlim(0, 1.36)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("F1 (support)")
        return svg(figure, "f1", "F1 of each label with its interval")


def precision_recall_curves(curves: Sequence[PrecisionRecallCurve]) -> str:
    """Precision against recall: of all label decisions together, and faint of each label, the first `MAX_BARS`."""
    with style("precision-recall"):
        figure, axes = new_figure(height=3.9)
        each = [curve for curve in curves if curve.label is not None][:MAX_BARS]
        for place, curve in enumerate(each):
            axes.plot(curve.recall, curve.precision, color=TRUE, alpha=0.45, linewidth=0.8, drawstyle="steps",
                      label="_" if place else "each label")
        for curve in curves:
            if curve.label is None:
                axes.plot(curve.recall, curve.precision, color=PREDICTED, linewidth=2, drawstyle="steps",
                          label="all together")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.grid()
        legend_above(axes)
        return svg(figure, "precision-recall", "Precision-recall curves")


def reliability_diagram(calibration: Calibration) -> str:
    """The share of label decisions that come true by their probability, before and after calibration; their number."""
    with style("reliability"):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes, counts = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=DASHED)
        for name, color in (("before", PREDICTED), ("after", TRUE)):
            bins = getattr(calibration, name).bins
            filled = [one for one in bins if one.count]
            axes.plot([one.mean_score for one in filled], [one.share_true for one in filled], color=color, marker="o",
                      markersize=4, label=f"{name} calibration")
            counts.stairs([one.count for one in bins], [bins[0].low, *(one.high for one in bins)], color=color,
                          linewidth=1.4)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is true")
        axes.grid()
        legend_above(axes)
        counts.set_yscale("log", nonpositive="clip")
        counts.minorticks_off()
        counts.yaxis.set_major_formatter("{x:,.0f}")
        counts.set(xlabel="probability (dashed: perfect calibration)", ylabel="decisions")
        return svg(figure, "reliability", "Reliability diagram before and after calibration")


def attention_heat_map(rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Mean weights: a row a kind of history turn with its name, a column a slot, the newest first."""
    with style("attention"):
        figure, axes = bars_figure([name for name, _ in rows], row=0.36)
        most = max((mean for _, means in rows for mean in means if mean is not None), default=0.0) or 1.0
        for row, (_, means) in enumerate(rows):
            for slot, mean in enumerate(means):
                if mean is not None:
                    axes.add_patch(Rectangle((slot - 0.47, row - 0.45), 0.94, 0.9, facecolor=TRUE, linewidth=0,
                                             alpha=MAX_HEAT * mean / most))
                axes.annotate("–" if mean is None else f"{mean:.2f}", (slot, row), ha="center", va="center",
                              fontsize=SMALL_POINTS)
        slots = len(rows[0][1])
        axes.set_xlim(-0.5, slots - 0.5)
        axes.set_xticks(range(slots), [str(slot + 1) for slot in range(slots)])
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("turns back")
        return svg(figure, "attention", "Mean attention by history slot")


def gate_histogram(gate: Gate) -> str:
    """How many windows open the gate how far, those whose history ought to matter beside others."""
    with style("gate"):
        figure, axes = new_figure(height=2.9)
        width = gate.bin_edges[1] - gate.bin_edges[0]
        middles = [edge + width / 2 for edge in gate.bin_edges[:-1]]
        without = [total - related - other for total, related, other in
                   zip(gate.counts, gate.counts_related, gate.counts_unrelated, strict=True)]
        below = [0] * len(middles)
        for name, counts, color, alpha in (("history should matter", gate.counts_related, TRUE, 1.0),
                                           ("other history", gate.counts_unrelated, PREDICTED, 1.0),
                                           ("none", without, INK, 0.35)):
            if any(counts):
                axes.bar(middles, counts, width * 0.92, bottom=below, color=color, alpha=alpha, label=name)
            below = [one + other for one, other in zip(below, counts, strict=True)]
        axes.axvline(WIDE_OPEN_GATE, color=INK, linewidth=0.8, linestyle=DASHED)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"gate (dashed: {WIDE_OPEN_GATE}, above it {gate.share_wide_open:.1%} of windows)")
        axes.set_ylabel("windows")
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.grid(axis="y")
        legend_above(axes, columns=3)
        return svg(figure, "gate", "Histogram of the gate by kind of history")


def ablation_bars(ablations: Sequence[InputAblation]) -> str:
    """How micro and macro F1 change when something is taken from the windows, with intervals."""
    with style("ablations"):
        figure, axes = bars_figure([ablation.name for ablation in ablations], row=0.55, above=0.35)
        for name, offset, color in (("micro", -0.18, TRUE), ("macro", 0.18, PREDICTED)):
            changes = [getattr(ablation, f"{name}_f1_change") for ablation in ablations]
            bars(axes, changes, color, height=0.32, offset=offset, name=f"{name} F1")
            for row, ablation in enumerate(ablations):
                _whisker(axes, getattr(ablation, f"{name}_f1_change_interval"), row + offset)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.1)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("change of F1")
        legend_above(axes)
        return svg(figure, "ablations", "Change of F1 when something is taken from the windows")


def _whisker(axes: Axes, interval: Interval | None, row: float) -> None:
    """A thin line across a bar from one end of its interval to the other."""
    if interval is not None:
        axes.plot(interval, [row, row], color=INK, linewidth=1.2, solid_capstyle="butt", marker="|", markersize=5)


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True)
