"""Who may import whom, what nobody may use, and that the command lines answer without heavy imports."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted(path for package in ("pipeline", "schemas", "trainer") for path in (ROOT / package).rglob("*.py"))
EVERYWHERE = sorted((*FILES, ROOT / "setup.py", *(ROOT / "tests").rglob("*.py")))

FORBIDDEN = {
    "schemas": {"pipeline", "trainer"},
    "pipeline": {"trainer"},
    "trainer": {"pipeline", "apache_beam", "tensorflow_transform", "tfx_bsl"},
}
# They run what a file says.
UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec"}
UNSAFE_YAML = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}

HEAVY = {"apache_beam", "keras", "matplotlib", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "tensorflow",
         "tensorflow_transform", "tf_keras", "tfx_bsl"}
COMMANDS = {
    "pipeline": ("synthesize", "convert", "prepare", "score", "inspect"),
    "trainer": ("train", "evaluate", "predict", "compare", "bless", "drift", "ablate", "pretrain", "retrain",
                "promote", "rollback", "runs"),
}
HELP = """
import sys
from {module}.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print("heavy:", sorted({heavy} & set(sys.modules)))
"""


def names(path):
    return str(path.relative_to(ROOT))


def parse(path):
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(tree):
    """The full names that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and dotted(node.func).endswith("import_module"):
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def dotted(node):
    """`a.b.c` of an expression of names and attributes; "" for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


@pytest.mark.parametrize("path", FILES, ids=names)
def test_the_arrows(path):
    package = path.relative_to(ROOT).parts[0]
    tops = {name.split(".")[0] for name in imported(parse(path))}
    assert not tops & FORBIDDEN[package]


@pytest.mark.parametrize("path", FILES, ids=names)
def test_nothing_runs_what_a_file_says(path):
    tree = parse(path)
    assert not {name.split(".")[0] for name in imported(tree)} & UNSAFE_MODULES
    called = {dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & UNSAFE_CALLS
    assert not called & {f"yaml.{name}" for name in UNSAFE_YAML}
    pickled = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]
    assert all(isinstance(value, ast.Constant) and value.value is False for value in pickled)


@pytest.mark.parametrize("path", EVERYWHERE, ids=names)
def test_keras_is_imported_by_its_own_name(path):
    tree = parse(path)
    assert not [name for name in imported(tree) if name.startswith(("tensorflow.keras", "tf_keras"))]
    # What it means depends on who imported tensorflow_transform, and when.
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute)
                and dotted(node) in ("tf.keras", "tensorflow.keras")]


@pytest.mark.parametrize(("module", "command"), [
    (module, command) for module, commands in COMMANDS.items() for command in ((), *((name,) for name in commands))])
def test_help_needs_no_heavy_imports(module, command):
    code = HELP.format(module=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    assert done.stdout.endswith("heavy: []\n")


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_is_listed_here(module):
    command = [sys.executable, "-m", module, "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    listed = [line.split()[0] for line in shown if line.startswith("    ") and line[4] != " "]
    assert sorted(listed) == sorted(COMMANDS[module])
