"""Other runners for tests: what each needs, and a job on one of them in a process of its own."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer
from apache_beam.utils.subprocess_server import JavaJarServer

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOB_SECONDS = 150
POOL_SECONDS = 60
CONNECT_SECONDS = 10
FETCH_SECONDS = 60


def run_job(job, *flags):
    """Runs `python -m pipeline JOB`, with a limit of time that also ends whatever it has started."""
    command = [sys.executable, "-m", "pipeline", job, *map(str, flags)]
    with _process(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said, _ = process.communicate(timeout=JOB_SECONDS)
    assert process.returncode == 0, said


@contextlib.contextmanager
def worker_pool():
    """Flags for workers in processes of their own, which get the job's code pickled, as those of a cluster do."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        deadline = time.monotonic() + POOL_SECONDS
        while not _listens(port):
            assert time.monotonic() < deadline, "the worker pool did not start"
            time.sleep(0.2)
        yield (
            "--runner=PortableRunner",
            "--job_endpoint=embed",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{port}",
        )


@contextlib.contextmanager
def prism():
    """Flags for Beam's Prism runner; its binary is TURNWISE_PRISM or `prism` on the path."""
    binary = os.environ.get("TURNWISE_PRISM") or shutil.which("prism")
    if not binary:
        pytest.skip("Prism is not there: no `prism` on the path, and TURNWISE_PRISM names none")
    yield "--runner=PrismRunner", f"--prism_location={binary}"


@contextlib.contextmanager
def flink():
    """Flags for Flink's mini cluster in the job server; its jar is TURNWISE_FLINK_JAR or comes from Maven Central."""
    if not shutil.which("java"):
        pytest.skip("Flink needs Java, which is not there")
    jar = os.environ.get("TURNWISE_FLINK_JAR") or _fetched(FlinkJarJobServer(PipelineOptions([])).path_to_jar())
    yield "--runner=FlinkRunner", "--flink_master=[local]", "--parallelism=2", f"--flink_job_server_jar={jar}"


@contextlib.contextmanager
def _process(command, **streams):
    """A process whose whole group ends with the block; it finds the workers' `python` beside this one."""
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", "")))
    environment = os.environ | {"PATH": path}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("localhost", port)) == 0


def _fetched(url):
    """The file of a URL, kept where Beam itself looks for it; skips the test when it can't be had in time."""
    target = pathlib.Path(JavaJarServer.JAR_CACHE) / urllib.parse.urlparse(url).path.rpartition("/")[2]
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(f".{os.getpid()}.part")
    deadline = time.monotonic() + FETCH_SECONDS
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer, open(aside, "wb") as file:
            while block := answer.read(1 << 20):
                file.write(block)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not there after {FETCH_SECONDS} s")
            if file.tell() != int(answer.headers["Content-Length"]):
                raise OSError("the connection broke off")
        aside.rename(target)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        pytest.skip(f"Flink's job server is not there: {url}: {error}")
    finally:
        aside.unlink(missing_ok=True)
    return target
