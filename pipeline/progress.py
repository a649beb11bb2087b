"""How far a job is, for the person who waits: bars on standard error with counts and rate.

Workers in the process that started the job share its bars, which open with the first thing done there. In other
processes nothing shows, and the counters that Beam itself collects tell the same.
"""

import sys
import threading
import time

from apache_beam.metrics import Metrics

_lock = threading.Lock()
_totals: dict[str, int] = {}
_bars: dict = {}
_started = 0.0


def start(totals: dict[str, int]) -> None:
    """Begins to count.

    Args:
        totals: {stage: how many items it works off}.
    """
    global _started
    with _lock:
        _started = time.time()
        _totals.update(totals)


def _open() -> None:
    from tqdm import tqdm

    look = {
        "bar_format": "{desc:<14} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {unit} [{elapsed}{postfix}]",
        # In a file, each refresh is one more line.
        "mininterval": 0.5 if sys.stderr.isatty() else 10,
    }
    for place, (stage, total) in enumerate(_totals.items()):
        _bars[stage] = [tqdm(total=total, desc=stage, unit="parts", position=place, **look), 0]
        _bars[stage][0].start_t = _started


def advance(stage: str, rows: int, items: int = 1) -> None:
    """Counts what a stage has done.

    Args:
        stage: its name.
        rows: records.
        items: of its total.
    """
    Metrics.counter("turnwise", f"{stage}-records").inc(rows)
    with _lock:
        if stage in _totals:
            if not _bars:
                _open()
            bar, seen = _bars[stage]
            _bars[stage][1] = seen = seen + rows
            elapsed = max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(f"{seen:,} records, {seen / elapsed:,.0f}/s", refresh=False)
            bar.update(items)


def stop() -> None:
    """Closes the bars."""
    with _lock:
        for bar, _ in _bars.values():
            bar.close()
        _bars.clear()
        _totals.clear()
