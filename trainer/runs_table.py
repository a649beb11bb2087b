"""The table of runs, which the page and the command line both show."""

import datetime

from trainer.run_record import PROMOTED, RunRecord

HEADER = ("run", "started", "minutes", "outcome", "status", "version", "micro F1", "macro F1", "exact", "epochs",
          "reasons")


def row_of(record: RunRecord) -> tuple[str, ...]:
    """The cells of a run's row, as texts; what is not known is a dash."""
    metrics = record.metrics
    figures = (_figure(metrics.get(name)) for name in ("micro_f1", "macro_f1", "exact_match"))
    return (record.run_id, record.started, _minutes(record), record.outcome, _text(record.exit_status),
            str(record.version) if record.outcome == PROMOTED else "-", *figures, _text(metrics.get("epochs")),
            "; ".join(record.reasons) or "-")


def _minutes(record: RunRecord) -> str:
    """From its beginning to its end, interruptions included."""
    if record.ended is None:
        return "-"
    started, ended = map(datetime.datetime.fromisoformat, (record.started, record.ended))
    return f"{(ended - started).total_seconds() / 60:.1f}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _text(value: int | None) -> str:
    return "-" if value is None else str(value)
