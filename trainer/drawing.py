"""What the plots of all reports are drawn with: their look, their frames, and SVG that fits into a page.

Colours are those of a light page; a dark page recolours them by their values in `style` attributes (see
templates/style.html.j2). Equal measures give equal bytes.
"""

import contextlib
import io
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from schemas.visible_text import visible
from trainer.display import display_width, shortened

INK, RULE, TRUE, PREDICTED = "#333333", "#bbbbbb", "#2b6cb0", "#dd8a2e"
# How the page recolours the plots when the reader's system is dark.
DARK_COLORS = {INK: "#dcdcdc", RULE: "#4a4f55", TRUE: "#6aa9e9", PREDICTED: "#f0ab5b"}

# Inches. Narrow, so that the text is still legible when a phone shrinks the image to its width.
WIDTH = 4.9
FONT_POINTS = 10
MAX_BARS = 40
MAX_NAME_EMS = 14
# Lines to compare with, such as equal attention.
DASHED = (0, (4, 3))

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


@contextlib.contextmanager
def style(name: str) -> Iterator[None]:
    """Matplotlib's defaults and ours, whatever the user's own settings; `name` keeps ids of plots on one page apart."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE, **{"svg.hashsalt": name})
        yield


def new_figure(height: float) -> tuple[Figure, Axes]:
    """A figure of `WIDTH` and so many inches of height, with one pair of axes that fill it."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def bars_figure(
    names: Sequence[str], row: float, above: float = 0.1, max_ems: float = MAX_NAME_EMS
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


def bars(
    axes: Axes, values: Sequence[float], color: str, height: float, offset: float = 0.0, name: str | None = None
) -> None:
    """Horizontal bars in the rows of a `bars_figure`, `height` and `offset` in rows; `name` is for the legend."""
    axes.barh([row + offset for row in range(len(values))], values, height, color=color, label=name)


def legend_above(axes: Axes, columns: int = 2) -> None:
    """The legend over the axes, in one line of at most so many columns."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0, columnspacing=1.2)


def svg(figure: Figure, name: str, title: str) -> str:
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
