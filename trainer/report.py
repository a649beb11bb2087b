"""The files of an evaluation: report.html, report.md, report.json and the tables beside them."""

import csv
import dataclasses
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from schemas.visible_text import visible
from trainer import plots
from trainer.display import csv_cell, markdown_cell
from trainer.evaluation import SMOOTHING, Evaluation
from trainer.memory import WIDE_OPEN_GATE
from trainer.related_history import ELLIPTICAL_TOKENS

SCHEMA_VERSION = 1
_TEMPLATES = pathlib.Path(__file__).parent / "templates"
# How the page recolours the plots when the reader's system is dark.
DARK_COLORS = {plots.INK: "#dcdcdc", plots.RULE: "#4a4f55", plots.TRUE: "#6aa9e9", plots.PREDICTED: "#f0ab5b"}


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
        (plots.label_distribution(evaluation.per_label), "Windows that bear each label, and that are predicted to."),
        (plots.label_f1(evaluation.per_label), "F1 of each label, with the number of windows that bear it."),
    ]
    if evaluation.attention.mean:
        images.append((plots.attention_by_slot(evaluation.attention), "How much the memory looks at each turn."))
    images.append((plots.gate_histogram(evaluation.gate), "How far the gate lets the memory through."))
    if history:
        images.append((plots.learning_curves(history), "The course of training."))
    # The SVGs are made by an XML serialiser, which has escaped the names in them.
    figures = [(Markup(svg), caption) for svg, caption in images]
    context = _context(evaluation, subject)
    return environment().get_template("report.html.j2").render(context, figures=figures, dark_colors=DARK_COLORS)


def _context(evaluation: Evaluation, subject: Subject) -> dict[str, Any]:
    """What both templates need."""
    return {
        "evaluation": evaluation,
        "subject": subject,
        "labels": sorted(evaluation.per_label, key=lambda label: (-label.support, label.label)),
        "smoothing": SMOOTHING,
        "wide_open": WIDE_OPEN_GATE,
        "elliptical_tokens": ELLIPTICAL_TOKENS,
        "max_bars": plots.MAX_BARS,
    }


def environment() -> jinja2.Environment:
    """The templates of all pages; those of HTML escape what is put into them."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(figure=_figure, visible=visible, cell=markdown_cell)
    return templates


def _figure(value: float | None) -> str:
    """A measure for reading: three decimals, a dash where it is not defined."""
    return "–" if value is None else f"{value:.3f}"


def json_text(values: Any) -> str:
    """The text of a JSON file."""
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_files(directory: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Writes files that appear under their names only when whole."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        temporary = directory / f".{name}.{os.getpid()}.tmp"
        temporary.write_text(text, "utf-8", newline="")
        os.replace(temporary, directory / name)
