"""The files of a drift: drift.html and drift.json."""

import dataclasses
import pathlib

from markupsafe import Markup

from trainer import drift_plots
from trainer.drawing import MAX_BARS
from trainer.drift_distributions import SPOKEN
from trainer.drift_measures import Drift
from trainer.drift_thresholds import Thresholds
from trainer.pages import environment, json_text, write_files

SCHEMA_VERSION = 1
HTML, JSON = "drift.html", "drift.json"


@dataclasses.dataclass(frozen=True)
class Subject:
    """What was compared, as the user named it: the new data, the reference, and the model, None for none."""

    data: str
    reference: str
    model: str | None


def write_report(drift: Drift, thresholds: Thresholds, subject: Subject, output_dir: pathlib.Path) -> None:
    """Writes the files; those of an earlier comparison are replaced.

    Args:
        drift: what was measured.
        thresholds: what it was judged by.
        subject: what was compared.
        output_dir: made where it is missing.
    """
    values = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(subject), **dataclasses.asdict(drift),
              "thresholds": dataclasses.asdict(thresholds)}
    # The SVGs are made by an XML serialiser, which has escaped the names in them.
    figures = [(SPOKEN[one.name], Markup(drift_plots.distribution(one)), one)
               for one in drift.distributions if one.bins]
    page = environment().get_template("drift.html.j2").render(
        drift=drift, subject=subject, figures=figures, confidence=thresholds.confidence, max_bars=MAX_BARS)
    write_files(output_dir, {JSON: json_text(values), HTML: page})
