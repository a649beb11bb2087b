"""The files of an evaluation: report.html, report.md, report.json and the tables beside them."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trainer import evaluation_plots as draw
from trainer import plots
from trainer.display import csv_cell
from trainer.drawing import MAX_BARS
from trainer.evaluation import SMOOTHING, Evaluation
from trainer.memory import WIDE_OPEN_GATE
from trainer.pages import environment, json_text, write_files
from trainer.related_history import ELLIPTICAL_TOKENS

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Subject:
    """What was evaluated: the model directory and the data directory as the user named them, and the split."""

    model: str
    data: str
    split: str


def write_report(
    evaluation: Evaluation, subject: Subject, history: Mapping[str, Sequence[float]], output_dir: str | pathlib.Path
) -> dict[str, Any]:
    """Writes every file of the evaluation and returns what report.json holds.

    Args:
        evaluation: the measures.
        subject: what they are of.
        history: {metric: one value an epoch} for the learning curves; empty for none.
        output_dir: made where it is missing; files of an earlier evaluation are replaced.
    """
    report = report_values(evaluation, subject)
    write_files(pathlib.Path(output_dir), {
        "thresholds.json": json_text({label.label: label.threshold for label in evaluation.per_label}),
        "attention.json": json_text(report["attention"]),
        "gate.json": json_text(report["gate"]),
        "per_label.csv": per_label_csv(evaluation),
        "report.json": json_text(report),
        "report.md": render_markdown(evaluation, subject),
        "report.html": render_html(evaluation, subject, history),
    })
    return report


def report_values(evaluation: Evaluation, subject: Subject) -> dict[str, Any]:
    """What report.json holds: plain values, None where a measure is not defined."""
    return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(subject), **dataclasses.asdict(evaluation)}


def per_label_csv(evaluation: Evaluation) -> str:
    """One row a label, in the order of labels.json; a measure that is not defined is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["label", "threshold", "support", "predicted", "precision", "recall", "f1", "average_precision",
                     "smoothed_precision", "smoothed_recall"])
    for label in evaluation.per_label:
        writer.writerow([csv_cell(label.label), label.threshold, label.support, label.predicted, label.precision,
                         label.recall, label.f1, label.average_precision, label.smoothed.precision,
                         label.smoothed.recall])
    return file.getvalue()


def render_markdown(evaluation: Evaluation, subject: Subject) -> str:
    """The text of report.md: every table of the report."""
    return environment().get_template("report.md.j2").render(_context(evaluation, subject))


def render_html(evaluation: Evaluation, subject: Subject, history: Mapping[str, Sequence[float]]) -> str:
    """The text of report.html: plots and tables on one page that needs nothing else, neither network nor script."""
    images = [
        (draw.label_distribution(evaluation.per_label), "Windows that bear each label, and that are predicted to."),
        (draw.label_f1(evaluation.per_label), "F1 of each label, with the number of windows that bear it."),
    ]
    if evaluation.attention.mean:
        images.append((draw.attention_by_slot(evaluation.attention), "How much the memory looks at each turn."))
    images.append((draw.gate_histogram(evaluation.gate), "How far the gate lets the memory through."))
    if history:
        images.append((plots.learning_curves(history), "The course of training."))
    # The SVGs are made by an XML serialiser, which has escaped the names in them.
    figures = [(Markup(svg), caption) for svg, caption in images]
    context = _context(evaluation, subject)
    return environment().get_template("report.html.j2").render(context, figures=figures)


def _context(evaluation: Evaluation, subject: Subject) -> dict[str, Any]:
    """What both templates need."""
    return {
        "evaluation": evaluation,
        "subject": subject,
        "labels": sorted(evaluation.per_label, key=lambda label: (-label.support, label.label)),
        "smoothing": SMOOTHING,
        "wide_open": WIDE_OPEN_GATE,
        "elliptical_tokens": ELLIPTICAL_TOKENS,
        "max_bars": MAX_BARS,
    }
