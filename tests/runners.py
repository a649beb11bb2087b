"""Other runners for tests: what each needs, and a job on one of them in a process of its own."""

import contextlib
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOB_SECONDS = 150
START_SECONDS = 60
FETCH_SECONDS = 240
FLINK_POM = ROOT / "tests" / "testdata" / "flink" / "pom.xml"
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
# Flink 1.19 looks into these packages of the Java that it runs on.
OPENED = ("java.base/java.lang", "java.base/java.util", "java.base/java.nio", "java.base/sun.nio.ch",
          "java.base/java.time")


def run_job(job, *flags):
    """Runs `python -m pipeline JOB`, with a limit of time that also ends whatever it has started."""
    command = [sys.executable, "-m", "pipeline", job, *map(str, flags)]
    with _process(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said, _ = process.communicate(timeout=JOB_SECONDS)
    assert process.returncode == 0, said


@contextlib.contextmanager
def worker_pool():
    """Flags for workers in processes of their own, which get the job's code pickled, as those of a cluster do."""
    port = _free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        _wait_for(port, "the worker pool")
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
def flink(workers=("--environment_type=LOOPBACK",)):
    """Flags for Flink's mini cluster inside a job server, and for its workers.

    The server is the jar that TURNWISE_FLINK_JAR names; else it is made of the modules of FLINK_POM, as jars in the
    directory that TURNWISE_FLINK_JARS names, or fetched with Maven and kept.
    """
    if not shutil.which("java"):
        pytest.skip("Flink needs Java, which is not there")
    jar = os.environ.get("TURNWISE_FLINK_JAR")
    if jar:
        yield ("--runner=FlinkRunner", "--flink_master=[local]", "--parallelism=2", f"--flink_job_server_jar={jar}",
               *workers)
        return
    jars = os.environ.get("TURNWISE_FLINK_JARS") or _fetched_jars()
    job_port, artifact_port = _free_port(), _free_port()
    command = ["java", "-Xmx1g", *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED), "-cp", f"{jars}/*",
               JOB_SERVER, f"--job-port={job_port}", f"--artifact-port={artifact_port}", "--expansion-port=0",
               "--flink-master=[local]"]
    with tempfile.TemporaryDirectory() as artifacts:
        command.append(f"--artifacts-dir={artifacts}")
        with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            _wait_for(job_port, "Flink's job server")
            yield "--runner=PortableRunner", f"--job_endpoint=localhost:{job_port}", "--parallelism=2", *workers


@contextlib.contextmanager
def flink_with_processes():
    """The same with workers that Flink starts itself, in processes of their own."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory) / "worker"
        path = shlex.quote(str(ROOT))
        program.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {shlex.quote(sys.executable)} -m pipeline.worker "$@"\n')
        program.chmod(0o700)
        environment = json.dumps({"command": str(program)})
        with flink(("--environment_type=PROCESS", f"--environment_config={environment}")) as flags:
            yield flags


def _fetched_jars():
    """The directory of the jars; skips the test when they can't be had in time."""
    digest = hashlib.sha256(FLINK_POM.read_bytes()).hexdigest()[:16]
    kept = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / f"turnwise-flink-{digest}"
    if kept.is_dir():
        return kept
    if not shutil.which("mvn"):
        pytest.skip("Flink's job server is not there: no `mvn` to fetch it, and TURNWISE_FLINK_JARS names none")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as aside:
        command = ["mvn", "-q", "-B", "-f", FLINK_POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={aside}/jars"]
        try:
            subprocess.run(command, check=True, timeout=FETCH_SECONDS, capture_output=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"Flink's job server is not there: {error}")
        (pathlib.Path(aside) / "jars").rename(kept)
    return kept


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


def _free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def _wait_for(port, what):
    deadline = time.monotonic() + START_SECONDS
    while not _listens(port):
        assert time.monotonic() < deadline, f"{what} did not start"
        time.sleep(0.2)
