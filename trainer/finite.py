"""Finds what a model gives that is no finite number."""

import numpy as np

from trainer.predictions import Predictions

OUTPUTS = ("scores", "raw_scores", "attention", "gate")


def not_finite(predictions: Predictions) -> str | None:
    """Which outputs are NaN or infinite, in words; None when all are finite numbers."""
    for name in OUTPUTS:
        values = getattr(predictions, name)
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            return (f"{name.replace('_', ' ')} of {np.count_nonzero(~finite)} of {len(finite)} windows hold NaN or"
                    f" infinity, first in conversation {str(predictions.conversation_ids[first])!r}, turn"
                    f" {predictions.turn_indices[first]}")
    return None
