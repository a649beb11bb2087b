"""The files of a comparison of two models: compare.html, compare.md and compare.json."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from trainer import comparison_plot
from trainer.comparison import Comparison, LabelComparison, spoken
from trainer.drawing import MAX_BARS
from trainer.pages import environment, json_text, write_files
from trainer.predictions import Predictions
from trainer.windows import Window

SCHEMA_VERSION = 1
HTML = "compare.html"


@dataclasses.dataclass(frozen=True)
class Subject:
    """What was compared: both models and the data directory as the user named them, and the split."""

    a: str
    b: str
    data: str
    split: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model says of a window.

    Attributes:
        predicted: the labels that it says.
        scores: {label: probability} of the labels that are true or that one of the models says.
        attention: the weight of each history slot, the newest first.
    """

    predicted: list[str]
    scores: dict[str, float]
    attention: list[float]


@dataclasses.dataclass(frozen=True)
class Example:
    """A window of which one model gets all labels right and the other does not."""

    window: Window
    a: Answer
    b: Answer


def examples_of(rows: Sequence[int], windows: Sequence[Window], a: Predictions, b: Predictions) -> list[Example]:
    """The examples of some windows, whose numbers in both models' predictions are `rows`."""
    said = [(model, model.predicted) for model in (a, b)]
    examples = []
    for row, window in zip(rows, windows, strict=True):
        of_interest = (a.labels[row] | said[0][1][row] | said[1][1][row]).nonzero()[0].tolist()
        answers = [Answer([model.label_names[k] for k in predicted[row].nonzero()[0]],
                          {model.label_names[k]: float(model.scores[row, k]) for k in of_interest},
                          model.attention[row].tolist()) for model, predicted in said]
        examples.append(Example(window, *answers))
    return examples


def write_report(
    comparison: Comparison, fixed: Sequence[Example], broken: Sequence[Example], subject: Subject,
    output_dir: pathlib.Path
) -> None:
    """Writes the files; those of an earlier comparison are replaced.

    Args:
        comparison: the measures.
        fixed: windows that the second model alone gets right, those that changed most first.
        broken: windows that the first model alone gets right, likewise.
        subject: what was compared.
        output_dir: made where it is missing.
    """
    context = _context(comparison, fixed, broken, subject)
    templates = environment()
    templates.filters["spoken"] = spoken
    write_files(output_dir, {
        "compare.json": json_text(report_values(comparison, fixed, broken, subject)),
        "compare.md": templates.get_template("compare.md.j2").render(context),
        HTML: templates.get_template("compare.html.j2").render(context, figures=_figures(comparison)),
    })


def report_values(
    comparison: Comparison, fixed: Sequence[Example], broken: Sequence[Example], subject: Subject
) -> dict[str, Any]:
    """What compare.json holds: plain values, None where a measure is not defined."""
    return {
        "schema_version": SCHEMA_VERSION, **dataclasses.asdict(subject), **dataclasses.asdict(comparison),
        "fixed": [_example_values(example) for example in fixed],
        "broken": [_example_values(example) for example in broken],
    }


def _example_values(example: Example) -> dict[str, Any]:
    """An example as JSON values; the window's scalars, NaN among them, tell a reader nothing."""
    values = dataclasses.asdict(example)
    del values["window"]["numeric"]
    return values


def _figures(comparison: Comparison) -> list[tuple[Markup, str]]:
    """The plots with their captions; the SVGs are made by an XML serialiser, which has escaped the names in them."""
    figures = [(comparison_plot.overall_differences(comparison.overall),
                "B's figures less A's, over all labels.")]
    if comparison.per_label:
        figures.append((comparison_plot.label_differences(comparison.per_label),
                        "B's F1 less A's of each label, with the number of windows that bear it."))
    how = f"Right of 0, B is better. The lines are {100 * comparison.confidence:g} % intervals."
    return [(Markup(svg), f"{caption} {how}") for svg, caption in figures]


def _context(
    comparison: Comparison, fixed: Sequence[Example], broken: Sequence[Example], subject: Subject
) -> dict[str, Any]:
    """What both templates need."""
    return {
        "comparison": comparison,
        "subject": subject,
        "labels": sorted(comparison.per_label, key=_worst_first),
        "max_bars": MAX_BARS,
        "kinds": [
            ("fixed", "Fixed by B", "all labels right by B, not by A", fixed, comparison.right.only_b),
            ("broken", "Broken by B", "all labels right by A, not by B", broken, comparison.right.only_a),
        ],
    }


def _worst_first(label: LabelComparison) -> tuple:
    """Sorts labels by how much B loses."""
    return label.f1.difference, -label.support, label.label
