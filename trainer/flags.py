"""Types of flags that several commands have."""

import argparse
from collections.abc import Callable


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """A flag's type: a whole number from `low` to `high` (None: no end)."""
    allowed = f"from {low} to {high}" if high is not None else f"of {low} or more"

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < low or high is not None and int(text) > high:
            raise argparse.ArgumentTypeError(f"{text!r}; allowed is a whole number {allowed}")
        return int(text)

    return parse
