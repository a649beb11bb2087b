"""Runs of `trainer retrain` that end before a model is trained, and the parts of longer ones."""

import dataclasses
import http.server
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from schemas.exit_status import DATA_REFUSED, DONE, LOCKED, TurnwiseError, UsageError
from tests.retrain_runs import ROOT, record_of, run, wait_for, write_config
from trainer import serving
from trainer.__main__ import main
from trainer.notices import notice_of, notify
from trainer.retrain_config import Notify, read_retrain_config
from trainer.retrain_stages import STAGES, Job, is_done
from trainer.retraining import retrain
from trainer.run_lock import exclusive
from trainer.run_record import InputFile, RunRecord, StageRecord, read_runs, write_record
from trainer.stage_process import run_logged
from trainer.whole_files import write_whole

DAY = "2026-03-02"


def made(directory, *flags):
    """Makes the run of the day; gives its exit status."""
    return main(["retrain", "--config", str(directory / "retrain.yaml"), "--date", DAY, *flags])


def past(directory, run_id, outcome="promoted", **values):
    """Leaves the record of an earlier run."""
    run_dir = directory / "runs" / run_id
    run_dir.mkdir(parents=True)
    config = read_retrain_config(write_config(directory)).record()
    inputs = (InputFile(str(directory / f"logs/{run_id}/a.jsonl"), 1000, 1, run_id),)
    known = dict(run_id=run_id, date=run_id, started=f"{run_id}T00:00:00Z", config=config, inputs=inputs, version=7,
                 base_version=None, base_run=None, in_service=None, host="host", versions={}, outcome=outcome)
    write_record(run_dir, RunRecord(**{**known, **values}))
    return run_dir


def log(directory, day, text):
    """Writes a log of a day."""
    path = directory / "logs" / day / "a.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_night_without_logs(tmp_path, capsys):
    write_config(tmp_path)
    assert made(tmp_path) == DONE
    assert "run 2026-03-02: nothing_new: nothing new to learn from: no file matches" in capsys.readouterr().out
    record = record_of(tmp_path, DAY)
    assert (record["outcome"], record["exit_status"], record["inputs"], record["stages"]) == ("nothing_new", 0, [], [])
    assert {"python", "tensorflow", "keras", "apache-beam"} <= set(record["versions"])
    assert record["config"]["inputs"]["window_days"] == 2
    assert (tmp_path / "runs" / "index.html").is_file()


def test_what_was_learnt_from_is_not_new(tmp_path, capsys):
    path = log(tmp_path, "2026-03-01", "x" * 1000)
    os.utime(path, ns=(1, 1))
    log(tmp_path, DAY, "")
    past(tmp_path, "2026-03-01")
    assert made(tmp_path) == DONE
    assert "the 2 files of the window are empty or were learnt from before" in capsys.readouterr().out


def test_a_thin_night_is_refused_until_its_logs_are_whole(tmp_path, capsys):
    path = log(tmp_path, DAY, "x" * 100)
    past(tmp_path, "2026-03-01")
    assert made(tmp_path) == DATA_REFUSED
    refused = "run 2026-03-02: data_refused: 2026-03-02 has 100 bytes of logs, a usual day 1,000"
    assert refused in capsys.readouterr().err
    assert record_of(tmp_path, DAY)["outcome"] == "data_refused"
    # The same again has the same end; other logs are another matter.
    assert made(tmp_path) == DATA_REFUSED
    assert "has ended before: data_refused" in capsys.readouterr().out
    path.write_text("y" * 150)
    assert made(tmp_path) == DATA_REFUSED
    assert "2026-03-02 has 150 bytes of logs" in capsys.readouterr().err


def test_a_run_that_was_cut_short_goes_on_with_the_same_settings_only(tmp_path, capsys):
    past(tmp_path, DAY, "running")
    write_config(tmp_path, prepare={"seed": 3})
    assert made(tmp_path) == 2
    assert "run 2026-03-02 was begun with another prepare; give another --run_id" in capsys.readouterr().err
    write_config(tmp_path)
    assert made(tmp_path) == 1
    assert "1 inputs have changed since the run began, first" in capsys.readouterr().err
    assert record_of(tmp_path, DAY)["outcome"] == "failed"
    assert made(tmp_path, "--overwrite") == DONE
    assert record_of(tmp_path, DAY)["outcome"] == "nothing_new"


def test_a_run_whose_model_is_in_service_is_not_made_anew(tmp_path, capsys):
    past(tmp_path, DAY)
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_text("")
    serving.promote(tmp_path / "saved_model", tmp_path / "serving", 7, serving.Provenance(DAY, "m", "t"))
    assert made(tmp_path, "--overwrite") == 2
    assert "the model of run 2026-03-02 is in service" in capsys.readouterr().err


def test_one_run_at_a_time(tmp_path):
    config = write_config(tmp_path)
    with exclusive(str(tmp_path / "runs"), "other"):
        status, _, error = run("retrain", "--config", config)
        assert status == LOCKED
        assert error.startswith(f"error: {tmp_path / 'runs'} is locked: run other, process {os.getpid()} on ")
    assert run("retrain", "--config", config)[0] == DONE


def test_the_lock_does_not_outlive_its_holder(tmp_path):
    code = (f"import time; from trainer.run_lock import exclusive\nwith exclusive({str(tmp_path)!r}, 'r'):\n"
            f"  open({str(tmp_path / 'held')!r}, 'w'); time.sleep(600)")
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    assert wait_for((tmp_path / "held").exists, holder)
    with pytest.raises(TurnwiseError, match="is locked: run r, process"), exclusive(str(tmp_path), "s"):
        pass
    holder.kill()
    holder.wait()
    with exclusive(str(tmp_path), "s"):
        pass


def test_runs(tmp_path, capsys):
    past(tmp_path, "2026-03-01", metrics={"micro_f1": 0.5, "epochs": 3}, ended="2026-03-01T00:01:30Z", exit_status=0)
    past(tmp_path, "2026-02-28", "refused", reasons=("micro F1 is 0.1\nso", "b"), exit_status=4)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    assert main(["runs", "--config", str(tmp_path / "retrain.yaml")]) == DONE
    shown = capsys.readouterr()
    header, *rows = shown.out.splitlines()
    assert header.split()[:3] == ["run", "started", "minutes"]
    assert rows[0].split() == ["2026-02-28", "2026-02-28T00:00:00Z", "-", "refused", "4", "-", "-", "-", "-", "-",
                               "micro", "F1", "is", r"0.1\u000aso;", "b"]
    assert rows[1].split() == ["2026-03-01", "2026-03-01T00:00:00Z", "1.5", "promoted", "0", "7", "0.5000", "-", "-",
                               "3", "-"]
    assert "warning: can't read" in shown.err and "broken" in shown.err
    with pytest.raises(UsageError, match="there is no such directory of runs"):
        read_runs(tmp_path / "nowhere")


def test_old_runs_give_up_data_and_models_but_not_those_of_versions(tmp_path):
    days = [f"2026-02-{day:02d}" for day in range(10, 18)]
    for day in days:
        (past(tmp_path, day) / "data").mkdir()
    (tmp_path / "runs" / days[4] / ".removed-model").mkdir()
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_text("")
    for version, day in enumerate(days[:4], 1):
        serving.promote(tmp_path / "saved_model", tmp_path / "serving", version, serving.Provenance(day, "m", "t"))
    serving.set_current(tmp_path / "serving", 1)
    write_config(tmp_path, keep=2)
    assert made(tmp_path) == DONE
    assert serving.versions(tmp_path / "serving") == [1, 3, 4]
    kept = [day for day in days if (tmp_path / "runs" / day / "data").exists()]
    assert kept == [days[0], days[2], days[3], *days[-2:]]
    assert {path.name for path in (tmp_path / "runs" / days[4]).iterdir()} == {"run.json"}
    assert all((tmp_path / "runs" / day / "run.json").exists() for day in days)


def test_a_stage_is_done_when_its_files_and_its_status_say_so(tmp_path):
    run_dir = past(tmp_path, DAY, "running")
    record = read_runs(tmp_path / "runs")[0][0]
    config = read_retrain_config(tmp_path / "retrain.yaml")
    prepare, _, _, evaluate = STAGES[:4]

    def done(stage, status=None):
        stages = (StageRecord(stage.name, "t", 1.0, status),)
        return is_done(stage, Job(config, dataclasses.replace(record, stages=stages), run_dir))

    assert not done(prepare, 0)
    (run_dir / "data").mkdir()
    (run_dir / "data" / "COMPLETED").write_text("")
    assert done(prepare)
    assert not done(evaluate, 0)
    (run_dir / "evaluation").mkdir()
    (run_dir / "evaluation" / "report.json").write_text("{}")
    assert [done(evaluate, status) for status in (None, 1, 0)] == [False, False, True]


@pytest.mark.parametrize(("code", "status", "reason"), [
    ("print('fine')", 0, ""),
    ("import sys; print('10%\\rerror: no \\x07such thing', file=sys.stderr); sys.exit(3)", 3, r"no \u0007such thing"),
    ("import sys; sys.exit(9)", 9, "ended with status 9; see "),
    ("import os; os.kill(os.getpid(), 9)", -9, "ended by SIGKILL"),
])
def test_why_a_command_failed(tmp_path, code, status, reason):
    ended = run_logged(["-c", code], tmp_path / "log")
    assert ended.exit_status == status
    assert ended.reason.startswith(reason)
    assert bool(ended.reason) == bool(reason)


def test_a_command_dies_with_its_run(tmp_path):
    pid = tmp_path / "pid"
    sleeper = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = (f"import pathlib; from trainer.stage_process import run_logged\n"
            f"run_logged(['-c', {sleeper!r}], pathlib.Path({str(tmp_path / 'log')!r}))")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    assert wait_for(lambda: pid.exists() and pid.read_text(), parent)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(500):
        if not os.path.exists(f"/proc/{pid.read_text()}") or "Z" in _state(pid.read_text()):
            return
        threading.Event().wait(0.02)
    pytest.fail("the command has outlived its run")


def _state(pid):
    """The state of a process; "Z" when there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_writing_whole_keeps_what_was_there(tmp_path):
    write_whole(tmp_path / "a", "one")
    (tmp_path / "b").mkdir()
    with pytest.raises(TurnwiseError, match="can't write .*b: Is a directory"):
        write_whole(tmp_path / "b", "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


class _Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent; refuses under /no."""

    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if self.path == "/no" else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    """A web server on this machine."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Hook) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_notices(tmp_path, hook):
    past(tmp_path, DAY, "refused", reasons=("micro F1 is 0.1",), exit_status=4)
    notice = notice_of(read_runs(tmp_path / "runs")[0][0], "/runs/x")
    assert notice["text"] == "Turnwise run 2026-03-02: refused: micro F1 is 0.1"
    address = f"http://127.0.0.1:{hook.server_port}"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    told = notify(Notify((sys.executable, "-c", code, str(tmp_path / "told")), f"{address}/secret"), notice)
    assert told == []
    assert hook.got == [notice] == [json.loads((tmp_path / "told").read_text())]
    problems = notify(Notify(("/no/such/program", "secret"), f"{address}/no"), notice)
    assert problems == ["can't run the command /no/such/program: No such file or directory",
                        f"the web hook at 127.0.0.1:{hook.server_port} answered with status 500"]
    failing = Notify((sys.executable, "-c", "raise SystemExit(7)", "secret"), "http://127.0.0.1:1/secret")
    assert notify(failing, notice) == [
        f"the command {sys.executable} ended with status 7",
        "the web hook at 127.0.0.1:1 can't be reached: [Errno 111] Connection refused"]
    assert notify(Notify(None, f"{address}/x", ("promoted",)), notice) == []
    assert len(hook.got) == 2


def test_a_notice_that_fails_changes_nothing(tmp_path, capsys):
    write_config(tmp_path, notify={"command": ["/no/such/program"]})
    assert made(tmp_path) == DONE
    assert "warning: can't run the command /no/such/program" in capsys.readouterr().out


def test_a_run_needs_no_date(tmp_path):
    config = read_retrain_config(write_config(tmp_path))
    assert retrain(config, run_id="tonight").outcome == "nothing_new"
