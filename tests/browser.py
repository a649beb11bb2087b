"""Opens pages in a headless Chromium, for tests."""

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What Chromium's log calls the initiator of a request that the browser makes for itself.
BROWSERS_OWN = "not an origin"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND")
DARK = "--blink-settings=preferredColorScheme=0"
SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Visit:
    """What came of opening a page.

    Attributes:
        dom: the page's HTML after loading.
        console: what it wrote to the console.
        requests: URLs that it asked for over a network.
    """

    dom: str
    console: list[str]
    requests: list[str]


def browser() -> str | None:
    """The path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def visit(page: pathlib.Path, profile: pathlib.Path, width: int = 1280) -> Visit:
    """Opens a page, with a profile directory that is not there yet."""
    log = profile.with_suffix(".net.json")
    done = _run(profile, page, f"--window-size={width},900", "--enable-logging=stderr", "--v=0", f"--log-net-log={log}",
                "--dump-dom")
    return Visit(done.stdout.decode("utf-8"),
                 re.findall(r"^\[[^]]*CONSOLE[^]]*\] .*", done.stderr.decode("utf-8", "replace"), re.MULTILINE),
                 _requests(json.loads(log.read_text("utf-8"))))


def screenshot(page: pathlib.Path, profile: pathlib.Path, image: pathlib.Path, width: int, *flags: str) -> None:
    """Takes a picture of the upper 900 pixels of a page."""
    _run(profile, page, f"--window-size={width},900", f"--screenshot={image}", *flags)


def printed(page: pathlib.Path, profile: pathlib.Path, file: pathlib.Path) -> None:
    """Prints a page to a PDF file."""
    _run(profile, page, f"--print-to-pdf={file}")


def _run(profile: pathlib.Path, page: pathlib.Path, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run([browser(), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()], capture_output=True,
                          check=True, timeout=SECONDS)


def _requests(log: dict) -> list[str]:
    """The requests of a network log, less those that the browser makes for itself."""
    kinds = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    started = [event["params"] for event in log["events"]
               if kinds[event["type"]] == "URL_REQUEST_START_JOB" and "url" in event.get("params", {})]
    return [params["url"] for params in started if params["initiator"] != BROWSERS_OWN]
