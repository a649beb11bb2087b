"""The files of an evaluation: report.html, report.md, report.json and the tables beside them."""

import csv
import dataclasses
import io
import itertools
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trainer import evaluation_plots as plots
from trainer.display import csv_cell
from trainer.drawing import MAX_BARS
from trainer.evaluation import Evaluation
from trainer.pages import environment, json_text, write_files
from trainer.plots import learning_curves
from trainer.report_schema import LEFT_OUT, SCHEMA_VERSION, report_schema
from trainer.report_sections import INTERVAL_NOTE, Report, Subject, attention_rows, by_support, headline, sections
from trainer.worst_errors import WorstError


def write_report(
    evaluation: Evaluation,
    subject: Subject,
    history: Mapping[str, Sequence[float]],
    output_dir: str | pathlib.Path,
    worst_errors: Sequence[WorstError] = (),
) -> dict[str, Any]:
    """Writes every file of the evaluation and returns what report.json holds.

    Args:
        evaluation: the measures.
        subject: what they are of.
        history: {metric: one value an epoch} for the learning curves; empty for none.
        output_dir: made where it is missing; files of an earlier evaluation are replaced.
        worst_errors: windows to show, the worst first.
    """
    report = Report(evaluation, subject, history, worst_errors)
    values = report_values(report)
    write_files(pathlib.Path(output_dir), {
        "attention.json": json_text(values["attention"]),
        "gate.json": json_text(values["gate"]),
        "per_label.csv": per_label_csv(evaluation),
        "report.json": json_text(values),
        "report_schema.json": json_text(report_schema()),
        "report.md": render_markdown(report),
        "report.html": render_html(report),
    })
    return values


def report_values(report: Report) -> dict[str, Any]:
    """What report.json holds, see `report_schema`: plain values, None where a measure is not defined."""
    values = {
        "schema_version": SCHEMA_VERSION, **dataclasses.asdict(report.subject), **dataclasses.asdict(report.evaluation),
        "history": {name: [value if math.isfinite(value) else None for value in curve]
                    for name, curve in report.history.items()},
        "worst_errors": [dataclasses.asdict(error) for error in report.worst_errors],
    }
    for error in values["worst_errors"]:
        for name in LEFT_OUT:
            del error["window"][name]
    # As it is read again: lists for tuples.
    return json.loads(json_text(values))


def per_label_csv(evaluation: Evaluation) -> str:
    """One row a label, in the order of labels.json; a measure that is not defined is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    with_intervals = ("precision", "recall", "f1", "average_precision")
    bounds = [f"{name}_{end}" for name in with_intervals for end in ("low", "high")]
    writer.writerow(["label", "threshold", "support", "predicted", *with_intervals, "smoothed_precision",
                     "smoothed_recall", *bounds])
    for label in evaluation.per_label:
        intervals = [label.intervals.get(name) or (None, None) for name in with_intervals]
        writer.writerow([csv_cell(label.label), label.threshold, label.support, label.predicted,
                         *(getattr(label, name) for name in with_intervals), label.smoothed.precision,
                         label.smoothed.recall, *itertools.chain(*intervals)])
    return file.getvalue()


def render_markdown(report: Report) -> str:
    """The text of report.md: every table of the report."""
    return environment().get_template("report.md.j2").render(_context(report))


def render_html(report: Report) -> str:
    """The text of report.html: plots and tables on one page that needs nothing else, neither network nor script."""
    # The SVGs are made by an XML serialiser, which has escaped the names in them.
    figures = {section: [(Markup(svg), caption) for svg, caption in images]
               for section, images in _figures(report).items()}
    return environment().get_template("report.html.j2").render(_context(report), figures=figures)


def _context(report: Report) -> dict[str, Any]:
    """What both templates need."""
    return {"evaluation": report.evaluation, "subject": report.subject, "headline": headline(report.evaluation),
            "interval_note": INTERVAL_NOTE, "sections": sections(report)}


def _figures(report: Report) -> dict[str, list[tuple[str, str]]]:
    """The plots of each section, by its id, with their captions."""
    evaluation, history = report.evaluation, report.history
    labels = by_support(evaluation.per_label)
    cut = f" The {MAX_BARS} labels with the most windows; the table has all." * (len(labels) > MAX_BARS)
    figures = {
        "labels": [
            (plots.label_f1(labels),
             "F1 of each label with its interval, and the number of windows that bear it." + cut),
            (plots.label_distribution(labels), "Windows that bear each label, and that are predicted to." + cut),
        ],
        "calibration": [(plots.reliability_diagram(evaluation.calibration),
                         "What comes true of label decisions, by their probability; below, how many there are.")],
        "gate": [(plots.gate_histogram(evaluation.gate), "How far the gate lets the memory through.")],
    }
    if evaluation.curves:
        supported = {label.label: place for place, label in enumerate(labels)}
        curves = sorted(evaluation.curves, key=lambda curve: supported.get(curve.label, -1))
        figures["labels"].append((plots.precision_recall_curves(curves),
                                  "Precision against recall as the threshold falls." + cut))
    if evaluation.attention.mean:
        rows = [(name, means) for name, means, _ in attention_rows(evaluation.attention)]
        figures["attention"] = [(plots.attention_heat_map(rows), "How much the memory looks at each turn.")]
    if evaluation.ablations:
        figures["ablations"] = [(plots.ablation_bars(evaluation.ablations),
                                 "How F1 changes when something is taken from the windows.")]
    if history:
        figures["training"] = [(learning_curves(history), "The course of training.")]
    return figures
