"""Ablations: what is trained and what is kept, the comparison, bad grids, hostile names."""

import csv
import dataclasses
import fcntl
import json
import pathlib
import signal
import subprocess

import pytest
import yaml

from schemas import model_directory
from schemas.exit_status import DATA_REFUSED, DONE, FAILED, LOCKED, USAGE, UsageError
from tests.data_directories import make_windows, small_data_directory, write_data_directory
from tests.test_report import Page
from trainer import ablation, drawing, plots
from trainer.__main__ import main
from trainer.ablation_grid import MAX_DIRECTORY_NAME, directory_name, read_grid
from trainer.ablation_report import RunResult, make_table, runs_csv, write_results

HOSTILE = "=<b>../x|&\n"
TINY = {"preset": "masked_lstm", "embedding_dim": 4, "units": 4, "epochs": 1}
VARIANTS = {"base": {}, HOSTILE: {"units": 5}, "diverges": {"learning_rate": 1e38, "optimizer": "sgd"}}


def write_grid(path, **values):
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), "utf-8")
    return str(path)


def run(output, **values):
    return main(["ablate", "--grid", write_grid(output.with_suffix(".yaml"), **values), "--output_dir", str(output)])


def read_runs(output):
    return json.loads((output / "ablation.json").read_text("utf-8"))["runs"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data"
    small_data_directory(path)
    return str(path)


@pytest.fixture(scope="module")
def ablated(data, tmp_path_factory):
    """The output directory of an ablation, one run of which fails, and its exit status."""
    output = tmp_path_factory.mktemp("ablation") / "output"
    grid = write_grid(output.with_suffix(".yaml"), data={"small": data}, seeds=[7], base=TINY, variants=VARIANTS)
    return output, main(["ablate", "--grid", grid, "--output_dir", str(output), "--jobs", "3"])


def test_a_failing_run_stops_no_other(ablated):
    output, status = ablated
    assert status == FAILED
    base, hostile, diverges = read_runs(output)
    assert diverges["error"].startswith("the loss is ")
    assert "the loss is" in (output / "ablation.md").read_text("utf-8")
    assert (base["error"], hostile["error"]) == (None, None)
    assert [base["settings"], hostile["settings"]] == [{**TINY, "seed": 7}, {**TINY, "units": 5, "seed": 7}]
    for result, units in ((base, 4), (hostile, 5)):
        model = pathlib.Path(result["model_dir"])
        assert output / "runs" in model.parents
        config = model_directory.read_config(model_directory.require_completed(model))["config"]
        assert (config["units"], config["seed"]) == (units, 7)
        history = json.loads((model / model_directory.HISTORY).read_text())["history"]
        for name in ("val_micro_f1", "val_macro_f1", "val_loss"):
            assert [result[name]] == history[name]
        assert (result["epochs"], result["best_epoch"]) == (1, 1)
        assert result["seconds"] > 0
        assert result["windows_per_second"] > 0


def test_again_it_trains_only_what_is_not_finished(ablated, data, capsys):
    output, _ = ablated
    models = {result["variant"]: pathlib.Path(result["model_dir"]) for result in read_runs(output)}
    (models[HOSTILE] / model_directory.COMPLETED).unlink()

    def times(name, *files):
        return [(models[name] / file).stat().st_mtime_ns for file in files]

    before = times("base", *(path.name for path in models["base"].iterdir())), times(HOSTILE, "best.keras")
    variants = {name: VARIANTS[name] for name in ("base", HOSTILE)}
    assert run(output, data={"small": data}, seeds=[7], base=TINY, variants=variants) == DONE
    assert before == (times("base", *(path.name for path in models["base"].iterdir())), times(HOSTILE, "best.keras"))
    assert (models[HOSTILE] / model_directory.COMPLETED).exists()
    assert "going on after epoch 1" in (models[HOSTILE] / "train.log").read_text()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("run 1 of 2: small, base, seed 7: ") and line.endswith("(kept)")]
    assert [line for line in lines if line.startswith("run 2 of 2: small, =<b>../x|&\\u000a, seed 7: val micro-F1 ")]
    assert lines[-1] == f"results: {output / 'ablation.html'}"


def test_other_settings_are_refused_by_name(ablated, data, capsys):
    output, _ = ablated
    assert run(output, data={"small": data}, seeds=[7], base={**TINY, "units": 3}, variants={"base": {}}) == FAILED
    [result] = read_runs(output)
    assert "(units: 4 there, 3 here): remove " in result["error"]
    assert result["error"] in capsys.readouterr().out
    assert (pathlib.Path(result["model_dir"]) / model_directory.COMPLETED).exists()


def test_one_ablation_at_a_time(data, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    with open(output / ablation.LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(output, data={"d": data}, seeds=[1], variants={"base": {}}) == LOCKED
    assert not (output / ablation.RUNS).exists()


def test_trainings_end_with_their_ablation():
    processes = []

    def start(_):
        processes.append(subprocess.Popen(["sleep", "60" if processes else "0"]))
        return processes[-1]

    trained = ablation._train(["one", "two", "three"], 2, start)
    assert next(trained) == ("one", None)
    assert [process.poll() for process in processes] == [0, None]
    trained.close()
    assert [process.poll() for process in processes] == [0, -signal.SIGTERM]


def grid_of(data_dir="d", **values):
    return {"data": {"d": data_dir}, "seeds": [1], "variants": {"base": {}}, **values}


@pytest.mark.parametrize(("values", "message"), [
    ({"unknown": 1}, "unknown key 'unknown'; allowed: data, seeds, base, variants, grid"),
    ({"data": {}}, "data: expected at least one name and data directory"),
    ({"data": None}, "data: expected at least one name and data directory"),
    ({"data": {"d": 3}}, "data.d: expected a data directory, got 3"),
    ({"seeds": None}, "seeds: expected a list of integers, got None"),
    ({"seeds": [1, True]}, "seeds: seed: expected an integer, got True"),
    ({"seeds": [-1]}, "seeds: seed: -1 is out of range"),
    ({"seeds": [1, 1]}, "seeds: 1 is there twice"),
    ({"base": {"unitz": 3}}, "base: unknown setting 'unitz'"),
    ({"base": {"seed": 3}}, "base.seed: the seeds are listed under the key `seeds`"),
    ({"base": [1]}, "base: expected a mapping, got [1]"),
    ({"variants": {"wide": {"units": 0}}}, "variants.wide: units: 0 is out of range"),
    ({"variants": {"wide": 3}}, "variants.wide: expected a mapping, got 3"),
    ({"variants": {"wide": {3: 3}}}, "variants.wide: 3 is no name"),
    ({"variants": {1: {}}}, "variants: 1 is no name; write it in quotes"),
    ({"variants": {}}, "variants: expected at least one"),
    ({"variants": {"a/b": {}, "a:b": {}}}, "variants: 'a/b' and 'a:b' would share the directory a_b; rename one"),
    ({"variants": {"units=3": {}}, "grid": {"units": [3]}}, "variants: 'units=3' and 'units=3' would share"),
    ({"grid": {"units": 3}}, "grid.units: expected a list of values, got 3"),
    ({"grid": {"units": [3, "x"]}}, "grid: units=x: units: expected an integer, got 'x'"),
])
def test_bad_grids(values, message, tmp_path):
    file = write_grid(tmp_path / "grid.yaml", **grid_of(**values))
    with pytest.raises(UsageError) as refused:
        read_grid(file)
    assert str(refused.value).startswith(f"--grid {file}: {message}")


@pytest.mark.parametrize(("text", "message"), [
    ("- a\n", "expected a mapping of data, seeds, base, variants, grid, got list"), ("", "expected a mapping of"),
    ("a: [", "not valid YAML: "), ("a: 2020-13-45", "not valid YAML: "),
    ("variants:\n  wide: {}\n  wide: {units: 3}\n", "'wide' is there twice"),
])
def test_bad_grid_files(text, message, tmp_path):
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(UsageError, match="(?s)" + f"--grid {tmp_path}/grid.yaml: {message}"):
        read_grid(str(tmp_path / "grid.yaml"))
    with pytest.raises(UsageError, match="can't be read"):
        read_grid(str(tmp_path / "missing.yaml"))


def test_refused_before_anything_is_trained(data, tmp_path, capsys):
    output = tmp_path / "output"
    assert run(output, **grid_of(str(tmp_path))) == USAGE
    assert "error: data.d: " in capsys.readouterr().err
    write_data_directory(tmp_path / "empty", {"train": make_windows(2, 1), "validation": []}, transform=False)
    assert run(output, **grid_of(str(tmp_path / "empty"))) == DATA_REFUSED
    assert "has no windows in its validation split" in capsys.readouterr().err
    assert main(["ablate", "--grid=g", f"--output_dir={output}", "--jobs=0"]) == USAGE
    assert "--jobs: 0 is out of range" in capsys.readouterr().err
    assert not output.exists()


def test_combinations_and_the_base(tmp_path):
    values = grid_of(base={"units": 4}, variants={"wide": {"units": 8}, "plain": None},
                     grid={"units": [4, 8], "bidirectional": [False, True]})
    grid = read_grid(write_grid(tmp_path / "grid.yaml", **values))
    # The combinations without bidirectional are `plain` and `wide`.
    assert [variant.name for variant in grid.variants] == ["wide", "plain", "units=4,bidirectional=true",
                                                           "units=8,bidirectional=true"]
    assert grid.base == "plain"
    assert [variant.config.units for variant in grid.variants] == [8, 4, 4, 8]
    assert dict(grid.variants[3].settings) == {"units": 8, "bidirectional": True}


def test_the_grid_that_comes_along():
    grid = read_grid(str(pathlib.Path(__file__).parents[1] / "docs" / "ablation.yaml"))
    assert grid.base == "default"
    assert len(grid.seeds) > 1


@pytest.mark.parametrize(("name", "expected"), [
    ("gate=vector,units=4", "gate=vector,units=4"), ("..", "_."), (".", "_"), ("../../x", "_._.._x"),
    ("a b\x00\n/", "a_b___"), ("取消", "取消"), ("\ud800", "_"), ("-rf", "-rf")])
def test_directory_names(name, expected):
    assert directory_name(name) == expected


def test_long_names_stay_apart():
    one, other = directory_name("取" * 300 + "a"), directory_name("取" * 300 + "b")
    assert one != other
    assert max(len(one.encode()), len(other.encode())) <= MAX_DIRECTORY_NAME


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A grid of two data sets and results in which the variant HOSTILE is the best, and `partial` lacks some."""
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    grid = read_grid(write_grid(path, data={"one": "d1", HOSTILE: "d2"}, seeds=[1, 2, 3],
                                variants={"base": {}, "partial": {"units": 3}, HOSTILE: {"units": 5}}))
    scores = {("one", "base"): [0.5, 0.6, 0.7], (HOSTILE, "base"): [0.2, 0.2, 0.2],
              ("one", HOSTILE): [0.6, 0.8, None], (HOSTILE, HOSTILE): [0.3, 0.4, 0.5],
              ("one", "partial"): [0.9, 0.9, 0.9], (HOSTILE, "partial"): [None, None, None]}
    results = [RunResult(data, variant, seed, {}, f"runs/{seed}", error="<i>&" if score is None else None,
                         val_micro_f1=score, val_macro_f1=score and score / 2, seconds=score and 10.0 * seed)
               for (data, variant), values in scores.items() for seed, score in enumerate(values, 1)]
    return grid, results


def test_comparison(compared):
    """Standard deviations by hand: of .5, .6, .7 it is .1; of .6, .8 it is .2 / sqrt 2."""
    grid, results = compared
    table = make_table(results, grid)
    assert [row.variant for row in table.overall] == [HOSTILE, "base", "partial"]
    hostile, base, partial = table.by_data["one"]
    assert dataclasses.astuple(base.val_micro_f1) == pytest.approx((0.6, 0.1))
    assert dataclasses.astuple(base.val_macro_f1) == pytest.approx((0.3, 0.05))
    assert dataclasses.astuple(base.seconds) == pytest.approx((20, 10))
    assert (base.difference, base.runs) == (0, 3)
    assert dataclasses.astuple(hostile.val_micro_f1) == pytest.approx((0.7, 0.1414214))
    # Paired by seed: (.6 - .5 + .8 - .6) / 2, not .7 - .6.
    assert hostile.difference == pytest.approx(0.15)
    assert hostile.runs == 2
    overall = table.overall[0]
    assert overall.val_micro_f1.mean == pytest.approx((0.7 + 0.4) / 2)
    assert overall.difference == pytest.approx((0.15 + 0.2) / 2)
    assert (table.overall[2].val_micro_f1.mean, table.overall[2].difference) == (None, None)
    assert table.by_data[HOSTILE][2].runs == 0


def test_pages_show_names_as_text(compared, tmp_path):
    grid, results = compared
    write_results(results, grid, tmp_path)
    text = (tmp_path / "ablation.html").read_text("utf-8")
    page = Page(text)
    assert not page.open
    assert not {"script", "b", "i", "img", "link"} & set(page.tags)
    assert page.tags.count("svg") == 2
    assert page.tags.count("table") == 4
    assert "=<b>../x|&\\u000a" in page.texts
    assert "0.7000 ± 0.1414" in page.texts
    assert "+0.1500" in page.texts
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    colours = {colour for style in page.values("style") for colour in style.replace(";", "").split() if "#" in colour}
    assert colours <= set(drawing.DARK_COLORS) | {"#"}
    markdown = (tmp_path / "ablation.md").read_text("utf-8")
    assert "<b>" not in markdown
    assert "| =&lt;b&gt;../x\\|&amp;\\\\u000a | 2 | 0.7000 ± 0.1414 | +0.1500 | 0.3500 ± 0.0707 | 15 ± 7 |" in markdown
    assert json.loads((tmp_path / "ablation.json").read_text("utf-8"))["base"] == "base"


def test_csv_cells_are_no_formulas(compared):
    rows = list(csv.DictReader(runs_csv(compared[1]).splitlines(keepends=True)))
    assert len(rows) == 18
    assert {row["variant"] for row in rows} == {"base", "partial", f"'{HOSTILE}"}
    assert [row["val_micro_f1"] for row in rows[:3]] == ["0.5", "0.6", "0.7"]
    assert rows[8]["val_micro_f1"] == ""
    assert "settings" not in rows[0]


def test_a_variant_without_scores_has_a_row_in_the_plot():
    svg = plots.scores_by_variant([("all failed", []), ("good", [0.5, 0.6])], None, "scores", "title")
    assert [name in svg for name in ("all failed", "good")] == [True, True]
