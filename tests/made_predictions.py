"""Predictions made up for tests of what measures them."""

import dataclasses

import numpy as np

from trainer.predictions import Predictions

SPEAKER_NAMES = ["", "", "agent", "user"]
_SCRIPTS = ("book a table", "我想订酒店", "أريد غرفة", "", "12 !?", "bei 北京")


def random_predictions(windows=200, names=("a", "b", "c", "d"), seed=0, conversations=40, slots=6, **changes):
    """Predictions that have something to do with the labels: N windows, K labels, S slots of which some are empty."""
    random = np.random.default_rng(seed)
    labels = random.random((windows, len(names))) < np.linspace(0.5, 0.1, len(names))
    scores = (labels * 0.35 + random.random(labels.shape) * 0.65).astype(np.float32)
    lengths = random.integers(1, 9, (windows, slots))
    lengths[np.arange(slots) > random.integers(0, slots, windows)[:, None]] = 0
    predictions = Predictions(
        label_names=list(names), labels=labels, scores=scores, raw_scores=np.sqrt(scores),
        thresholds=np.full(len(names), 0.5, np.float32),
        attention=random.dirichlet(np.ones(slots - 1), windows).astype(np.float32),
        gate=random.random(windows, dtype=np.float32), turn_lengths=lengths,
        turn_keys=np.where(lengths > 0, random.integers(1, 1_000_000, lengths.shape), 0),
        speakers=np.where(lengths > 0, random.integers(1, 4, lengths.shape), 0),
        texts=random.choice(np.array(_SCRIPTS, object), windows),
        conversation_ids=np.char.add("c", random.integers(0, conversations, windows).astype(str)),
        turn_indices=random.integers(0, 30, windows))
    return dataclasses.replace(predictions, **changes)
