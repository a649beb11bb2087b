"""The files of docs/schedulers: valid, of one mind on the exit statuses, and of a configuration that is read."""

import ast
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from schemas.exit_status import DATA_REFUSED, LOCKED, MODEL_REFUSED, USAGE
from trainer.__main__ import parse_args
from trainer.retrain_config import read_retrain_config

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "docs" / "schedulers"
PROGRAM = "/srv/turnwise/venv/bin/turnwise-trainer"
# What trying again would not mend.
FINAL = {USAGE, DATA_REFUSED, MODEL_REFUSED}


def program(path, status):
    """Stands in for the installed one: says what it was given and ends with a status."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "given: $*"\nexit {status}\n')
    path.chmod(0o755)
    return path


def crontab_line():
    [line] = [line for line in (DIRECTORY / "crontab").read_text().splitlines() if line.startswith("15 2 ")]
    return line.split(maxsplit=5)[5]


@pytest.mark.parametrize(("status", "said"), [(0, False), (LOCKED, False), (1, True), (DATA_REFUSED, True)])
def test_what_cron_would_mail(tmp_path, status, said):
    program(tmp_path / "venv/bin/turnwise-trainer", status)
    # cron takes % for a line end.
    assert "%" not in crontab_line()
    command = crontab_line().replace("/srv/turnwise", str(tmp_path))
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    expected = f"retrain ended with status {status}\ngiven: retrain --config retrain.yaml\n"
    assert done.stdout + done.stderr == (expected if said else "")


def units():
    return sorted(DIRECTORY.glob("turnwise-*"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong(tmp_path):
    real = program(tmp_path / "turnwise-trainer", 0)
    for unit in units():
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, str(real)))
    done = subprocess.run(["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in units())],
                          capture_output=True, text=True, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert (done.returncode, done.stderr) == (0, "")


def test_statuses_of_systemd():
    text = (DIRECTORY / "turnwise-retrain.service").read_text()
    assert re.search(rf"^SuccessExitStatus={LOCKED}$", text, re.MULTILINE)
    [kept] = re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)
    assert set(map(int, kept.split())) == FINAL


def test_statuses_of_kubernetes():
    manifest = yaml.safe_load((DIRECTORY / "cronjob.yaml").read_text())
    job = manifest["spec"]["jobTemplate"]["spec"]
    [rule] = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    pod = job["template"]["spec"]
    assert set(rule["onExitCodes"]["values"]) == FINAL | {LOCKED}
    # Kubernetes takes a policy of failures for pods that are never restarted alone.
    assert pod["restartPolicy"] == "Never"
    [container] = pod["containers"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert parse_args(container["command"][1:]).config == "/srv/turnwise/retrain.yaml"


def test_statuses_of_airflow():
    tree = ast.parse((DIRECTORY / "airflow_dag.py").read_text("utf-8"))
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)}
    assert (set(values["FINAL"]), values["LOCKED"], values["PROGRAM"]) == (FINAL, LOCKED, PROGRAM)


def test_the_configuration_is_read():
    config = read_retrain_config(DIRECTORY / "retrain.yaml")
    assert config.inputs.patterns == (str(DIRECTORY / "logs/{date}/*.jsonl"),)
    assert config.drift["labels"] == {"psi": 0.25}
