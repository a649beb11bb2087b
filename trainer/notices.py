"""Tells people of the end of a run: a command or a web hook gets a notice as JSON."""

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

from trainer.retrain_config import Notify
from trainer.run_record import RunRecord

SECONDS = 30


def notice_of(record: RunRecord, run_dir: str) -> dict[str, Any]:
    """What is told of a run, as JSON values; `text` is what chat services show of it."""
    said = f"Turnwise run {record.run_id}: {record.outcome}"
    return {
        "text": f"{said}: {'; '.join(record.reasons)}" if record.reasons else said,
        "run_id": record.run_id, "date": record.date, "host": record.host, "started": record.started,
        "ended": record.ended, "outcome": record.outcome, "exit_status": record.exit_status,
        "reasons": list(record.reasons), "metrics": dict(record.metrics), "version": record.version,
        "replaces": record.in_service, "run_dir": run_dir,
    }


def notify(config: Notify, notice: dict[str, Any]) -> list[str]:
    """Gives the notice to those who are to be told of its outcome.

    Returns:
        In words, without addresses and arguments, who could not be told.
    """
    if notice["outcome"] not in config.outcomes:
        return []
    text = json.dumps(notice, ensure_ascii=False).encode("utf-8", "replace")
    problems = []
    if config.command:
        problems += _run(config.command, text)
    if config.webhook:
        problems += _post(config.webhook, text)
    return problems


def _run(command: tuple[str, ...], text: bytes) -> list[str]:
    """Runs a command with the notice on its standard input."""
    try:
        done = subprocess.run(command, input=text, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [f"the command {command[0]} took longer than {SECONDS} seconds"]
    except OSError as error:
        return [f"can't run the command {command[0]}: {error.strerror}"]
    return [f"the command {command[0]} ended with status {done.returncode}"] if done.returncode else []


def _post(address: str, text: bytes) -> list[str]:
    """Posts the notice to a web hook."""
    request = urllib.request.Request(address, text, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return []
    except urllib.error.HTTPError as error:
        return [f"the web hook at {request.host} answered with status {error.code}"]
    except (OSError, ValueError) as error:
        return [f"the web hook at {request.host} can't be reached: {getattr(error, 'reason', None) or error}"]
