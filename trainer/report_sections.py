"""What a report says of an evaluation, section by section, for its page and its Markdown alike."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from trainer.bootstrap import Interval
from trainer.evaluation import Evaluation
from trainer.evaluation_intervals import AVERAGES
from trainer.input_ablations import InputAblation
from trainer.label_confusions import Confusion
from trainer.label_scores import SMOOTHING, Average, LabelScores
from trainer.memory import WIDE_OPEN_GATE, Attention, Gate, HistoryTurns
from trainer.pages import figure, interval, signed
from trainer.plots import shown_metrics
from trainer.related_history import ELLIPTICAL_TOKENS
from trainer.slices import Slice
from trainer.split_summaries import SplitSummary
from trainer.worst_errors import WorstError

# Measures that say little with three decimals.
SMALL = ("hamming_loss", "calibration_error")
INTERVAL_NOTE = ("Ranges are 95 % intervals: how far a figure would move on other conversations of the same kind, by "
                 "a bootstrap over the conversations.")
# Titles of the tables of `slices`, and what heads their first columns.
DIMENSIONS = {
    "labels": ("Labels a window", "labels"), "turn index": ("Place in the conversation", "turn"),
    "history turns": ("Turns of history", "turns"), "speaker": ("Speaker of the current turn", "speaker"),
    "script": ("Script of the current turn", "script"), "tokens": ("Tokens of the current turn", "tokens"),
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """What was evaluated: the model directory and the data directory as the user named them, and the split."""

    model: str
    data: str
    split: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What a report is made of.

    Attributes:
        evaluation: the measures.
        subject: what they are of.
        history: {metric: one value an epoch} of the training; empty where it is not known.
        worst_errors: windows to show, the worst first.
    """

    evaluation: Evaluation
    subject: Subject
    history: Mapping[str, Sequence[float]]
    worst_errors: Sequence[WorstError]


@dataclasses.dataclass(frozen=True)
class Measure:
    """A figure in a table.

    Attributes:
        value: None where it is not defined.
        interval: its bootstrap interval; None where it has none.
        signed: whether it is a difference.
        bar: whether a page draws it, as a place between 0 and 1.
        decimals: how exactly it is given, unless it is a difference.
    """

    value: float | None
    interval: Interval | None = None
    signed: bool = False
    bar: bool = False
    decimals: int = 3

    @property
    def text(self) -> str:
        """The value for reading."""
        return signed(self.value) if self.signed else figure(self.value, self.decimals)

    @property
    def range(self) -> str:
        """The interval for reading; "" where there is none."""
        return "" if self.interval is None else interval(self.interval, self.signed, self.decimals)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their heads.
        rows: a cell a column: names, numbers of things, measures, or None for an empty one.
        title: over it; "" for none.
        note: how to read it; "" for none.
        names: so many columns, the first ones, hold names.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | Measure | None]]
    title: str = ""
    note: str = ""
    names: int = 1


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        id: of the section, unique on the page.
        title: its head.
        paragraphs: what is said before the tables.
        tables: its tables.
        errors: windows to show after the tables.
    """

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    errors: Sequence[WorstError] = ()


def headline(evaluation: Evaluation) -> list[tuple[str, Measure]]:
    """The main figures with their names."""
    return [(name, _of_all(evaluation, key)) for name, key in (
        ("micro F1", "micro_f1"), ("macro F1", "macro_f1"), ("exact match", "exact_match"),
        ("micro precision", "micro_precision"), ("micro recall", "micro_recall"),
        ("calibration error", "calibration_error"))]


def sections(report: Report) -> list[Section]:
    """Everything that is there to be said, in the order of reading; a part without content is left out."""
    evaluation = report.evaluation
    parts = [
        _overall(evaluation), _labels(evaluation), _calibration(evaluation), _slices(evaluation.slices),
        _confusions(evaluation.confusions), _attention(evaluation.attention), _gate(evaluation.gate),
        _ablations(evaluation.ablations, evaluation.per_label), _training(report.history), _errors(report.worst_errors),
    ]
    return [part for part in parts if part]


def _of_all(evaluation: Evaluation, key: str) -> Measure:
    """A measure of all labels together by its name in `Evaluation.intervals`."""
    average, _, name = key.partition("_")
    value = getattr(getattr(evaluation, average), name) if average in AVERAGES else getattr(evaluation, key)
    return Measure(value, evaluation.intervals.get(key), decimals=4 if key in SMALL else 3)


def _overall(evaluation: Evaluation) -> Section:
    rows = [[name, *(_of_all(evaluation, f"{average}_{measure}") for measure in ("precision", "recall", "f1")), area]
            for name, average, area in (
                ("micro", "micro", _of_all(evaluation, "average_precision_micro")),
                ("macro", "macro", _of_all(evaluation, "average_precision_macro")),
                ("weighted by support", "weighted", None))]
    smoothed = evaluation.smoothed_micro
    rows += [[f"{name}, uncalibrated, every threshold at 0.5", *_figures(average), None] for name, average in
             (("micro", evaluation.micro_at_half), ("macro", evaluation.macro_at_half))]
    rows.append([f"micro, {SMOOTHING} in the denominators", Measure(smoothed.precision), Measure(smoothed.recall),
                 None, None])
    others = [
        ("exact match", "exact_match", "share of windows whose labels are all right"),
        ("Hamming loss", "hamming_loss", "share of wrong label decisions"),
        ("binary accuracy", "binary_accuracy", "share of right label decisions"),
        ("coverage error", "coverage_error", "labels to take from the highest score on until all true ones are there"),
        ("calibration error", "calibration_error", "how far probabilities lie from what comes true, see Calibration"),
    ]
    paragraphs, unknown = [], []
    for names, what in ((evaluation.missing_labels, "no; never predicted"),
                        (evaluation.extra_labels, "yes, but the data do not; left out")):
        unknown += [[name, what] for name in names]
    if evaluation.labels_without_support:
        paragraphs.append(f"No window bears {len(evaluation.labels_without_support)} of the labels; they count as 0 in "
                          "the macro figures, save in average precision, where they are left out.")
    return Section("overall", "All labels together", paragraphs, [
        Table(("average", "precision", "recall", "F1", "average precision"), rows),
        Table(("measure", "what it is", "value"),
              [[name, meaning, _of_all(evaluation, key)] for name, key, meaning in others], names=2),
        *_splits(evaluation.splits),
        *[Table(("label", "known to the model"), unknown, title="Labels that model and data do not share", names=2)]
        * bool(unknown),
    ])


def _splits(splits: Sequence[SplitSummary]) -> list[Table]:
    """The splits side by side."""
    if not splits:
        return []
    return [Table(
        ("split", "windows", "of", "micro precision", "micro recall", "micro F1", "macro precision", "macro recall",
         "macro F1", "exact match"),
        [[split.split, split.windows, split.of, *_figures(split.micro), *_figures(split.macro),
          Measure(split.exact_match)] for split in splits],
        title="The splits side by side",
        note="A model that learnt its training windows by heart is much better on them than on the others. Where a "
             "split has more windows than were scored, they are its first ones.")]


def _figures(average: Average) -> list[Measure]:
    return [Measure(average.precision), Measure(average.recall), Measure(average.f1)]


def _labels(evaluation: Evaluation) -> Section:
    rows = [_label_row(label) for label in by_support(evaluation.per_label)]
    counts = zip(evaluation.labels_per_turn.true, evaluation.labels_per_turn.predicted, strict=True)
    return Section("labels", "Each label", tables=[
        Table(("label", "support", "predicted", "precision", "recall", "F1", "average precision", "threshold",
               "smoothed precision", "smoothed recall"), rows,
              note=f"The smoothed figures have {SMOOTHING} added to the denominators: TP / (TP + FP + {SMOOTHING}) and "
                   f"TP / (TP + FN + {SMOOTHING})."),
        Table(("labels", "windows", "predicted"), [[str(number), *both] for number, both in enumerate(counts)],
              title="How many labels a window bears"),
    ])


def _label_row(label: LabelScores) -> list:
    measures = [Measure(getattr(label, name), label.intervals.get(name))
                for name in ("precision", "recall", "f1", "average_precision")]
    return [label.label, label.support, label.predicted, *measures, Measure(label.threshold),
            Measure(label.smoothed.precision), Measure(label.smoothed.recall)]


def _calibration(evaluation: Evaluation) -> Section:
    before, after = evaluation.calibration.before, evaluation.calibration.after
    rows = [[f"{low.low:.2f} to {low.high:.2f}", low.count, Measure(low.mean_score), Measure(low.share_true),
             high.count, Measure(high.mean_score), Measure(high.share_true)]
            for low, high in zip(before.bins, after.bins, strict=True)]
    return Section(
        "calibration", "Calibration",
        ["How far probabilities can be taken at their word. The calibration error is the mean distance between the "
         f"probability of a label and the share of such labels that are true, over {len(after.bins)} bins of equal "
         "width; the Brier score is the mean squared distance between the probability and the truth. 0 is the best of "
         "both."],
        [
            Table(("probabilities", "calibration error", "Brier score"), [
                ["of the network", Measure(before.calibration_error, decimals=4),
                 Measure(before.brier_score, decimals=4)],
                ["calibrated", _of_all(evaluation, "calibration_error"), Measure(after.brier_score, decimals=4)]]),
            Table(("probability", "decisions before", "mean", "true", "decisions after", "mean", "true"), rows,
                  title="Label decisions by their probability, before and after calibration"),
        ])


def _slices(slices: Sequence[Slice]) -> Section:
    tables = [
        Table((head, "windows", "micro F1", "macro F1", "exact match"),
              [[one.value, one.windows, Measure(one.micro_f1, one.micro_f1_interval, bar=True), Measure(one.macro_f1),
                Measure(one.exact_match)] for one in slices if one.dimension == dimension], title=title)
        for dimension, (title, head) in DIMENSIONS.items()]
    return Section("slices", "Parts of the windows", [
        "The macro F1 of a part is over the labels that some window of it bears."], tables)


def _confusions(confusions: Sequence[Confusion]) -> Section | None:
    if not confusions:
        return None
    return Section("confusions", "Which label instead of which", [
        "Windows that bear the first label, which is missed, and are said to bear the second one, which they do not."],
        [Table(("true label", "predicted instead", "windows", "share of the true label's windows"),
               [[one.true_label, one.predicted_label, one.windows, Measure(one.share)]
                for one in confusions], names=2)])


def _attention(attention: Attention) -> Section | None:
    if not attention.mean:
        return None
    paragraphs = ["The weights that the memory gives to the turns of the history, those of the newest turn first."]
    if attention.max_deviation_without_history is not None:
        paragraphs.append(f"{attention.windows_without_history:,} windows have no history; there " + (
            f"the weights lie at most {attention.max_deviation_without_history:.2g} from {attention.uniform:.3f}, "
            "equal attention." if any(attention.mean_without_history) else "every weight is 0."))
    if attention.shared_auc is not None:
        paragraphs.append(
            "Of a turn that shares a label with the current turn and one of the same window that shares none, the "
            f"former gets the greater weight with a chance of {attention.shared_auc:.3f} (0.5: no better than blind).")
    slots = range(1, len(attention.mean) + 1)
    rows = [[name, *map(Measure, means), Measure(over_all)] for name, means, over_all in attention_rows(attention)]
    turns = [["a turn there", *attention.windows_filled], *([kind.name, *kind.turns] for kind in _kinds(attention))]
    return Section("attention", "Attention", paragraphs, [
        Table(("mean weight of", *(f"{slot} back" for slot in slots), "all slots"), rows),
        Table(("windows with", *(f"{slot} back" for slot in slots)), turns, title="How many turns these are"),
    ])


def attention_rows(attention: Attention) -> list[tuple[str, list[float | None], float | None]]:
    """What the heat map and the table show: names, the mean weight of each slot, and that over all slots, if known."""
    return [
        ("all windows", attention.mean, None),
        ("a turn there", attention.mean_filled, None),
        *((kind.name, kind.mean, kind.mean_all_slots) for kind in _kinds(attention)),
        ("no history", attention.mean_without_history, None),
    ]


def _kinds(attention: Attention) -> list[HistoryTurns]:
    """The kinds of history turns of which there are any."""
    return [kind for kind in (*attention.by_relation, *attention.by_speaker) if any(kind.turns)]


def _gate(gate: Gate) -> Section:
    rows = [[f"{low:.2f} to {high:.2f}", *counts] for low, high, *counts in zip(
        gate.bin_edges, gate.bin_edges[1:], gate.counts, gate.counts_related, gate.counts_unrelated, strict=False)
        if counts[0]]
    means = [("all windows", gate.mean), ("with history", gate.mean_with_history),
             ("without history", gate.mean_without_history), ("history that ought to matter", gate.mean_related),
             ("other history", gate.mean_unrelated)]
    chance = "" if gate.related_auc is None else (
        f" Of a window of either kind, the gate is wider where the history ought to matter with a chance of "
        f"{gate.related_auc:.3f} (0.5: no better than blind).")
    return Section("gate", "Gate", [
        "How far the gate lets the memory through: 0 shuts it, 1 opens it wide. It is above "
        f"{WIDE_OPEN_GATE} in {gate.share_wide_open:.1%} of the windows.",
        "History ought to matter where one of its turns shares a label with the current turn, or the current turn has "
        f"at most {ELLIPTICAL_TOKENS} tokens." + chance], [
        Table(("windows", "mean gate"), [[name, Measure(mean)] for name, mean in means]),
        Table(("gate", "windows", "history that ought to matter", "other history"), rows,
              title="Windows by their gate", note="Ranges without windows are left out."),
    ])


def _ablations(ablations: Sequence[InputAblation], labels: Sequence[LabelScores]) -> Section | None:
    if not ablations:
        return None
    overall = [[one.name, one.windows, Measure(one.micro_f1),
                Measure(one.micro_f1_change, one.micro_f1_change_interval, signed=True), Measure(one.macro_f1),
                Measure(one.macro_f1_change, one.macro_f1_change_interval, signed=True)] for one in ablations]
    by_label = [{change.label: Measure(change.f1_change, change.interval, signed=True) for change in one.labels}
                for one in ablations]
    rows = [[label.label, *(changes[label.label] for changes in by_label)] for label in by_support(labels)]
    return Section("ablations", "What the model needs", [
        "The same model on the same windows with something taken from them: below 0 the model needs what was taken."], [
        Table(("taken away", "windows", "micro F1", "change", "macro F1", "change"), overall),
        Table(("label", *(one.name for one in ablations)), rows, title="Change of each label's F1"),
    ])


def _training(history: Mapping[str, Sequence[float]]) -> Section | None:
    if not history:
        return None
    names = [name for metric in shown_metrics(history) for name in (metric, f"val_{metric}") if name in history]
    epochs = itertools.zip_longest(*(history[name] for name in names))
    rows = [[str(epoch), *map(_measured, values)] for epoch, values in enumerate(epochs, start=1)]
    return Section("training", "Training", tables=[Table(("epoch", *names), rows)])


def _measured(value: float | None) -> Measure:
    """A value of the history, which is NaN where an epoch has none."""
    return Measure(value if value is not None and math.isfinite(value) else None)


def _errors(errors: Sequence[WorstError]) -> Section | None:
    if not errors:
        return None
    return Section("errors", f"The {len(errors)} worst errors", [
        "Of the windows with a wrong label those with the largest loss: -log of the probability of what is true, "
        "summed over the labels. The bar beside a turn of the history is the attention it gets."], errors=errors)


def by_support(labels: Sequence[LabelScores]) -> list[LabelScores]:
    """The labels, that with the most support first."""
    return sorted(labels, key=lambda label: (-label.support, label.label))
