"""Evaluations for the tests of reports: made-up predictions, and names and texts that mean harm."""

import dataclasses
import functools

import numpy as np

from trainer.evaluation import Evaluation, evaluate_predictions
from trainer.input_ablations import input_ablation
from trainer.predictions import Predictions
from trainer.report_sections import Report, Subject
from trainer.split_summaries import split_summary
from trainer.windows import Window
from trainer.worst_errors import WorstError, worst_errors

HOSTILE = [
    "greet", "Inform+酒店预订", "<script>alert(1)</script>", "=cmd()", "\u202eevil\u202c", "مرحبا", "😀👩‍👩‍👧", "$a_b$",
    "x" * 300, "`tick|pipe`\nline", "&amp; \"q\" 'r' {{ 7 * 7 }}", '" id="x" onload="alert(1)',
    "@sum", "-1", "\x00\x1b\uffff", " ", "]]>",
]
LONG_WORD = "w" * 10_000
HOSTILE_TEXTS = (
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>", LONG_WORD, "\u202eright to left\u202c مرحبا",
    "😀👩‍👩‍👧 \"quotes\" 'and' | pipes `ticks`", "", "no, cheaper",
)
HISTORY = {"loss": [0.5, float("nan"), 0.3], "val_loss": [0.6, 0.5, 0.4], "$odd|<b>name</b>": [1.0, 2.0, float("inf")],
           "val_alone": [0.1, 0.2, 0.3]}
SUBJECT = Subject("models/<b>mine</b>", "data|`x`", "test")
SPEAKERS = ["", "", "user", "<i>agent</i>"]


def predictions_of(names, windows=60, slots=5, seed=1) -> Predictions:
    """Predictions of conversations of seven turns; a label is the rarer the later it stands in `names`."""
    random = np.random.default_rng(seed)
    labels = random.random((windows, len(names))) < np.linspace(0.5, 0.0, len(names))
    lengths = np.zeros((windows, 1 + slots), np.int64)
    keys, speakers = np.zeros_like(lengths), np.zeros_like(lengths)
    for n in range(windows):
        turns = 1 + min(n % 7, slots)
        lengths[n, :turns] = 2 + n % 5
        keys[n, :turns] = 1 + np.arange(n, n - turns, -1)
        speakers[n, :turns] = 2 + np.arange(turns) % 2
    scores = (labels * 0.4 + random.random(labels.shape) * 0.6).astype(np.float32)
    return Predictions(
        label_names=list(names), labels=labels, scores=scores, raw_scores=scores**2,
        thresholds=np.full(len(names), 0.5, np.float32),
        attention=(random.dirichlet(np.ones(slots), windows) if slots else np.zeros((windows, 0))).astype(np.float32),
        gate=random.random(windows, dtype=np.float32), turn_lengths=lengths, turn_keys=keys, speakers=speakers,
        texts=np.array([HOSTILE_TEXTS[n % len(HOSTILE_TEXTS)] for n in range(windows)], object),
        conversation_ids=np.array([f"c<{n // 7}>" for n in range(windows)]), turn_indices=np.arange(windows) % 7)


def evaluation_of(names, windows=60, slots=5) -> Evaluation:
    """All that `trainer evaluate` measures, of such predictions."""
    return _evaluation(tuple(names), windows, slots)


@functools.cache
def _evaluation(names, windows, slots) -> Evaluation:
    predictions, other = predictions_of(names, windows, slots), predictions_of(names, windows, slots, seed=2)
    ablated = dataclasses.replace(other, labels=predictions.labels)
    return evaluate_predictions(
        predictions, SPEAKERS,
        splits=[split_summary("train", other, 1000), split_summary("test", predictions, windows)],
        ablations=[input_ablation("history dropped", predictions, ablated)])


def errors_of(names, windows=60, slots=5) -> list[WorstError]:
    """The worst errors of such predictions, in windows of hostile texts."""
    predictions = predictions_of(names, windows, slots)

    def read(rows):
        return [_window(predictions, row, slots) for row in rows]

    return worst_errors(predictions, read)


def report_of(names, slots=5, history=HISTORY) -> Report:
    """A whole report."""
    return Report(evaluation_of(names, slots=slots), SUBJECT, history, errors_of(names, slots=slots))


def _window(predictions: Predictions, row: int, slots: int) -> Window:
    filled = int((predictions.turn_lengths[row] > 0).sum())
    texts = [HOSTILE_TEXTS[(row + slot) % len(HOSTILE_TEXTS)] for slot in range(filled)]
    empty = [""] * (1 + slots - filled)
    return Window(
        conversation_id=str(predictions.conversation_ids[row]), turn_index=int(predictions.turn_indices[row]),
        texts=(*texts, *empty), speakers=(*(SPEAKERS[number] for number in predictions.speakers[row, :filled]), *empty),
        numeric=(float("nan"), 1.0),
        labels=tuple(name for name, true in zip(predictions.label_names, predictions.labels[row], strict=True) if true))
