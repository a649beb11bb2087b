"""The report's plots, each a function from measures to the text of an SVG image.

Colours are those of a light page; a dark page recolours them by their values in `style` attributes (see
templates/report.html.j2). Equal measures give equal bytes.
"""

import contextlib
import io
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from schemas.visible_text import visible
from trainer.display import display_width, shortened
from trainer.evaluation import LabelScores
from trainer.memory import WIDE_OPEN_GATE, Attention, Gate

INK, RULE, TRUE, PREDICTED = "#333333", "#bbbbbb", "#2b6cb0", "#dd8a2e"

# Inches. Narrow, so that the text is still legible when a phone shrinks the image to its width.
WIDTH = 5.4
FONT_POINTS = 10
MAX_BARS = 40
MAX_NAME_EMS = 14
# A combination of settings tells itself from others at its end.
MAX_VARIANT_EMS = 20
MAX_CURVES = 4
# The curves that are drawn before any others.
FIRST_CURVES = ("loss", "micro_f1", "precision", "recall")

_STYLE = {
    "svg.fonttype": "none",  # text stays text: the browser finds the glyphs
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that every machine measures texts alike
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": FONT_POINTS,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
}
_SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"


def label_distribution(labels: Sequence[LabelScores]) -> str:
    """Windows that bear each label, true beside predicted."""
    shown = _most_frequent(labels)
    with _style("labels"):
        figure, axes = _bars_figure([label.label for label in shown], row=0.34, above=0.35)
        _bars(axes, [label.support for label in shown], TRUE, offset=-0.2, height=0.38, name="true")
        _bars(axes, [label.predicted for label in shown], PREDICTED, offset=0.2, height=0.38, name="predicted")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
        axes.set_xlabel("windows")
        _legend_above(axes)
        return _svg(figure, "labels", "Windows that bear each label, true and predicted")


def label_f1(labels: Sequence[LabelScores]) -> str:
    """F1 of each label, with its support written beside the bar."""
    shown = _most_frequent(labels)
    with _style("f1"):
        figure, axes = _bars_figure([label.label for label in shown], row=0.26, above=0.1)
        _bars(axes, [label.f1 for label in shown], TRUE, height=0.7)
        for row, label in enumerate(shown):
            axes.annotate(f"{label.f1:.2f} ({label.support})", (label.f1, row), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=FONT_POINTS - 1)
        # Beyond 1 there is room for the text of a perfect label.
        axes.set_xlim(0, 1.3)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("F1 (support)")
        return _svg(figure, "f1", "F1 of each label")


def attention_by_slot(attention: Attention) -> str:
    """Mean attention of each history slot, over all windows and over those in which it holds a turn."""
    slots = range(len(attention.mean))
    with _style("attention"):
        figure, axes = _figure(height=2.8)
        axes.bar([slot - 0.2 for slot in slots], attention.mean, 0.38, color=TRUE, label="all windows")
        axes.bar([slot + 0.2 for slot in slots], [mean or 0.0 for mean in attention.mean_filled], 0.38,
                 color=PREDICTED, label="windows with a turn there")
        if attention.uniform is not None:
            axes.axhline(attention.uniform, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xticks(slots, [str(slot + 1) for slot in slots])
        axes.set_xlabel("turns back (dashed: equal attention)")
        axes.set_ylabel("mean attention")
        axes.grid(axis="y")
        _legend_above(axes)
        return _svg(figure, "attention", "Mean attention by history slot")


def gate_histogram(gate: Gate) -> str:
    """How many windows open the gate how far."""
    with _style("gate"):
        figure, axes = _figure(height=2.8)
        width = gate.bin_edges[1] - gate.bin_edges[0]
        axes.bar(gate.bin_edges[:-1], gate.counts, width * 0.92, align="edge", color=TRUE)
        axes.axvline(WIDE_OPEN_GATE, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"gate (dashed: {WIDE_OPEN_GATE}, above it {gate.share_wide_open:.1%} of windows)")
        axes.set_ylabel("windows")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
        return _svg(figure, "gate", "Histogram of the gate")


def learning_curves(history: Mapping[str, Sequence[float]]) -> str:
    """One panel a metric, training and validation over the epochs.

    Args:
        history: {metric: one value an epoch}, validation under `val_` and the metric's name; at least one metric. At
            most `MAX_CURVES` are drawn, `FIRST_CURVES` before others.
    """
    measured = dict.fromkeys(name.removeprefix("val_") for name in history)
    names = sorted(measured, key=lambda name: FIRST_CURVES.index(name) if name in FIRST_CURVES else len(FIRST_CURVES))
    shown = names[:MAX_CURVES]
    with _style("curves"):
        figure = Figure(figsize=(WIDTH, 0.5 + 1.7 * len(shown)), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.1)
        for axes, name in zip(figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0], shown, strict=True):
            _curve(axes, history.get(name, ()), TRUE, "training")
            _curve(axes, history.get(f"val_{name}", ()), PREDICTED, "validation")
            axes.set_ylabel(shortened(visible(name), MAX_NAME_EMS))
            axes.grid(axis="y")
        figure.axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
        figure.axes[-1].set_xlabel("epoch")
        figure.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure, "curves", "Learning curves")


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
    with _style(name):
        figure, axes = _bars_figure([variant for variant, _ in shown], row=0.26, above=0.1, max_ems=MAX_VARIANT_EMS)
        for row, (_, scores) in enumerate(shown):
            if scores:
                mean = sum(scores) / len(scores)
                axes.plot([mean, mean], [row - 0.35, row + 0.35], color=PREDICTED, linewidth=2)
                axes.plot(scores, [row] * len(scores), color=TRUE, linestyle="none", marker="o", markersize=4,
                          markeredgewidth=0)
        if base_mean is not None:
            axes.axvline(base_mean, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.set_xlabel("validation micro-F1")
        return _svg(figure, name, title)


def _most_frequent(labels: Sequence[LabelScores]) -> list[LabelScores]:
    """The `MAX_BARS` labels with the most support, most first."""
    return sorted(labels, key=lambda label: (-label.support, label.label))[:MAX_BARS]


@contextlib.contextmanager
def _style(name: str) -> Iterator[None]:
    """Matplotlib's defaults and ours, whatever the user's own settings; `name` keeps ids of plots on one page apart."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE, **{"svg.hashsalt": name})
        yield


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _bars_figure(
    names: Sequence[str], row: float, above: float, max_ems: float = MAX_NAME_EMS
) -> tuple[Figure, Axes]:
    """A figure for horizontal bars, the first on top, each with its name on its left.

    `row` and `above` are inches: the height of one name's row, and the room over the bars. Names wider than `max_ems`
    are cut.
    The left margin comes from the names themselves: matplotlib has no glyphs for some scripts and would measure them
    too narrow.
    """
    shown = [shortened(visible(name), max_ems) for name in names]
    left = (max(map(display_width, shown)) * FONT_POINTS + 14) / 72
    below = 0.55
    height = above + below + row * max(len(names), 2)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((left / WIDTH, below / height, 1 - (left + 0.15) / WIDTH, 1 - (above + below) / height))
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure, axes


def _bars(
    axes: Axes, values: Sequence[float], color: str, height: float, offset: float = 0.0, name: str | None = None
) -> None:
    axes.barh([row + offset for row in range(len(values))], values, height, color=color, label=name)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)


def _curve(axes: Axes, values: Sequence[float], color: str, name: str) -> None:
    if len(values):
        axes.plot(range(1, len(values) + 1), values, color=color, label=name, marker=".")


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as an `<svg>` element to put into a page: no fixed size, ids that begin with `name`."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The browser has glyphs for what matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return _for_page(ElementTree.fromstring(file.getvalue()), name, title)


def _for_page(root: ElementTree.Element, name: str, title: str) -> str:
    """An SVG document's root, made ready to stand inside HTML.

    Metadata and style sheets go, as the latter would hold for the whole page; every id gets a prefix, as matplotlib
    names groups alike in all its images.
    """
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if _XLINK_HREF in element.attrib:
            element.set("href", element.attrib.pop(_XLINK_HREF).replace("#", f"#{name}-"))
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.attrib['id']}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{name}-"))
    root.attrib = {"xmlns": _SVG, "viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")
