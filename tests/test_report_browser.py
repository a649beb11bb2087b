import re

import matplotlib.image
import numpy as np
import pytest

from tests.browser import DARK, browser, printed, screenshot, visit
from tests.report_examples import HOSTILE, HOSTILE_TEXTS, report_of
from trainer import report

pytestmark = pytest.mark.skipif(browser() is None, reason="no Chromium here")

SECTIONS = ["overall", "labels", "calibration", "slices", "confusions", "attention", "gate", "ablations", "training",
            "errors"]
# Tells the page around how wide this one is, which of its parts reach over its right edge outside of scrolled tables,
# and how many plots are flat.
MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(part =>
  !part.closest(".scroll, svg") && part.getBoundingClientRect().right > innerWidth + 0.5);
const flat = [...document.querySelectorAll("figure svg")].filter(svg => svg.getBoundingClientRect().height < 40);
const parts = wide.map(part => part.outerHTML.slice(0, 60));
parent.postMessage(JSON.stringify([document.documentElement.scrollWidth, parts, flat.length]), "*");
</script></body>"""
# The browser's own window does not get narrower than 500 pixels.
FRAME = """<script>onmessage = told => { document.title = told.data; }</script>
<iframe src="measured.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of hostile names and texts."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.render_html(report_of(HOSTILE)), "utf-8")
    return path


def test_the_browser_tells_errors_and_requests(tmp_path):
    """Else the next test would notice nothing."""
    bad = tmp_path / "bad.html"
    bad.write_text('<script>console.error("oops")</script><img src="http://127.0.0.1:9/x.png">', "utf-8")
    seen = visit(bad, tmp_path / "profile")
    assert len(seen.console) == 1
    assert "oops" in seen.console[0]
    assert seen.requests == ["http://127.0.0.1:9/x.png"]


def test_page_is_whole_and_asks_for_nothing(page, tmp_path):
    seen = visit(page, tmp_path / "profile")
    assert seen.console == []
    assert seen.requests == []
    assert re.findall(r'<section id="(\w+)"', seen.dom) == SECTIONS
    assert "<title>Evaluation on the test split</title>" in seen.dom
    assert seen.dom.count("<article") == 50
    assert seen.dom.count("</svg>") == 8
    # The browser found no tag in any text.
    assert "&lt;script&gt;document.title=" in seen.dom
    assert not re.search(r"<(script|img|iframe|object|link)\b", seen.dom)
    assert HOSTILE_TEXTS[5] in seen.dom


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_page(page, tmp_path, width):
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    (tmp_path / "measured.html").write_text(text.replace("</body>", MEASURE), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)), "utf-8")
    seen = visit(tmp_path / "frame.html", tmp_path / "profile", width)
    assert re.findall("<title>(.*)</title>", seen.dom) == [f"[{width},[],0]"]


@pytest.mark.parametrize(("width", "flags", "background"), [
    (1280, (), 0xFFFFFF), (1280, (DARK,), 0x16181B), (400, (), 0xFFFFFF),
])
def test_light_dark_and_narrow(page, tmp_path, width, flags, background):
    screenshot(page, tmp_path / "profile", tmp_path / "shot.png", width, *flags)
    pixels = (matplotlib.image.imread(tmp_path / "shot.png")[..., :3] * 255).round().astype(int)
    assert pixels.shape == (900, width, 3)
    colours = pixels @ [1 << 16, 1 << 8, 1]
    assert colours[2, 2] == background
    assert (colours == background).mean() > 0.3
    assert len(np.unique(colours)) > 50


def test_page_prints(page, tmp_path):
    printed(page, tmp_path / "profile", tmp_path / "report.pdf")
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes())
    assert 5 < len(pages) < 60
