"""Where a training runs: what TF_CONFIG says, one process and two, and who writes."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from schemas import model_directory
from schemas.exit_status import DONE, USAGE, TurnwiseError, UsageError
from tests.data_directories import make_windows, small_data_directory, write_data_directory
from trainer.config import load_config
from trainer.distribution import TF_CONFIG, Team, gather_team, noticing_absence
from trainer.training import train

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Plain gradient descent: Adam turns rounding errors of gradients near 0 into steps.
SETTINGS = ("embedding_dim=6", "units=5", "shuffle_buffer=8", "epochs=2", "dropout=0", "optimizer=sgd",
            "learning_rate=0.3", "early_stopping_patience=null")
# What Keras would do to each device's part of a gradient, or to each device's loss.
WHOLE = ("momentum=0.5", "ema_momentum=0.5", "clipnorm=0.05", "l2=0.01", "schedule=cosine", "oversampling=2")

LOGICAL_DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer.config import load_config
from trainer.distribution import gather_team
from trainer.training import train
assert gather_team(2).devices == 2
train(sys.argv[1], sys.argv[2], load_config("masked_lstm", None, sys.argv[3:]))
"""
LIMIT_SECONDS = 240


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory whose last batch of validation windows, of 26 each, is a single window."""
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return path


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The figures of a training on one device."""
    model_dir = tmp_path_factory.mktemp("alone")
    train(str(data), str(model_dir), load_config("masked_lstm", None, [*SETTINGS, *WHOLE, "global_batch_size=26"]))
    return history_of(model_dir)


def history_of(model_dir):
    """The figures of every epoch."""
    return json.loads((model_dir / model_directory.HISTORY).read_text())["history"]


def assert_same_figures(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_learn_what_one_does(data, alone, tmp_path):
    command = [sys.executable, "-c", LOGICAL_DEVICES, data, tmp_path, *SETTINGS, *WHOLE, "global_batch_size=26"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stderr
    assert_same_figures(history_of(tmp_path), alone)


def run_workers(data_dir, model_dir, *settings):
    """Trains with two processes; gives their exit statuses and what they wrote, the chief's first."""
    workers = [f"localhost:{port}" for port in free_ports(2)]
    command = [sys.executable, "-m", "trainer", "train", "--preset", "masked_lstm", "--data_dir", str(data_dir),
               "--model_dir", str(model_dir), *(f"--set={setting}" for setting in settings)]
    running = []
    for index in range(2):
        place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        running.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, TF_CONFIG: json.dumps(place)}, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        written = [process.communicate(timeout=LIMIT_SECONDS)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    return [process.returncode for process in running], written


def free_ports(count):
    """Ports of this machine that nobody listens at."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@pytest.mark.slow
def test_two_processes_learn_what_one_does(data, alone, tmp_path):
    statuses, written = run_workers(data, tmp_path, *SETTINGS, *WHOLE, "global_batch_size=26")
    assert statuses == [DONE, DONE], written
    assert_same_figures(history_of(tmp_path), alone)
    assert {path.name for path in tmp_path.iterdir()} == set(model_directory.NAMES)
    assert "kept epoch" in written[0] and "kept epoch" not in written[1]


@pytest.mark.slow
def test_when_the_chief_refuses_the_other_worker_ends_too(data, tmp_path):
    (tmp_path / model_directory.COMPLETED).write_text("")
    (chief, other), written = run_workers(data, tmp_path, *SETTINGS, "global_batch_size=26")
    assert chief == USAGE and "holds a finished model" in written[0]
    assert other == TurnwiseError.exit_status and "error: another worker has ended too early" in written[1]


def test_a_batch_that_can_not_be_shared_out(tmp_path):
    write_data_directory(tmp_path / "data", {"train": make_windows(4, 1)}, transform=False)
    script = LOGICAL_DEVICES.replace("gather_team(2)", "gather_team(3)")
    command = [sys.executable, "-c", script, str(tmp_path / "data"), str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert "UsageError: global_batch_size: 3 is not divisible by the 2 devices" in done.stderr


@pytest.mark.parametrize("text", ["no json", "{}", '{"cluster": {"worker": ["a:1", "b:1"]}}',
                                  '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_a_wrong_cluster(monkeypatch, text):
    monkeypatch.setenv(TF_CONFIG, text)
    with pytest.raises(UsageError, match="TF_CONFIG: expected a cluster of workers"):
        gather_team(4)


def test_a_cluster_of_one_is_this_machine(monkeypatch):
    monkeypatch.setenv(TF_CONFIG, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    team = gather_team(4)
    assert (team.worker, team.workers, team.is_chief) == (0, 1, True)


def test_others_write_where_it_is_thrown_away(tmp_path):
    with Team(worker=0, workers=2).output_directory(tmp_path) as written:
        assert written == tmp_path
    with Team(worker=1, workers=2).output_directory(tmp_path) as written:
        assert written.is_dir() and written != tmp_path
    assert not written.exists()


def test_another_worker_that_has_ended():
    with pytest.raises(TurnwiseError, match="another worker has ended too early"), noticing_absence():
        raise tf.errors.UnavailableError(None, None, "gone")
