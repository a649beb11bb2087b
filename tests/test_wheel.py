"""The wheel: every module, template and data file of the packages, and nothing else."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "schemas", "trainer")
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: setuptools leaves a directory in what it builds, whose files get into the next."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--quiet",
               "--wheel-dir", str(copy / "wheels"), str(copy)]
    subprocess.run(command, check=True, cwd=copy, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    [path] = (copy / "wheels").iterdir()
    with zipfile.ZipFile(path) as file:
        yield file


def test_every_file_of_the_packages_is_there(wheel):
    wanted = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*")
              if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted
    assert "trainer/templates/runs.html.j2" in wanted and "pipeline/convert/sgd.py" in wanted


def test_the_programs_and_the_licence(wheel):
    [entries] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(entries).decode()
    assert "turnwise-pipeline = pipeline.__main__:command_line" in text
    assert "turnwise-trainer = trainer.__main__:command_line" in text
    assert "turnwise-worker = pipeline.worker:command_line" in text
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())
