"""Chooses by the number of training windows what depends on it: how much to regularise, and for how long to train."""

import dataclasses
import math

from trainer.config import Config


def fitted(config: Config, windows: int) -> Config:
    """The configuration with numbers where it leaves the choice to the data's size (null).

    Few windows are seen often, with much noise, in small batches; many are seen a few times, with little noise, in
    large batches. Between 1,000 and 1,000,000 windows each setting moves evenly with the logarithm of their number;
    beyond, it stays. docs/network.md tells how the ends were chosen.

    Args:
        config: some of `dropout`, `token_dropout`, `global_batch_size` and `epochs` may be None.
        windows: number of training windows.
    """
    share = min(max(math.log10(max(windows, 1) / 1e3) / 3, 0.0), 1.0)
    chosen = {
        "dropout": round(_between(0.5, 0.2, share), 2),
        "token_dropout": round(_between(0.15, 0.0, share), 2),
        "global_batch_size": 2 ** round(_between(5, 8, share)),
        "epochs": round(math.exp(_between(math.log(40), math.log(4), share))),
    }
    return dataclasses.replace(config, **{key: value for key, value in chosen.items() if getattr(config, key) is None})


def _between(start: float, end: float, share: float) -> float:
    """What lies at this share of the way."""
    return start + (end - start) * share
