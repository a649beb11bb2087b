"""`score` into a directory that holds something: an interrupted job goes on, anything else is left alone."""

import json

import pytest

from schemas.exit_status import DATA_REFUSED, DONE, USAGE
from tests.scored_logs import FAILING, description, predictions, score, shard_bytes, write_model
from tests.turn_logs import dialogues, rejects, row, write_jsonl

# Every shard is finished, but too many rows are rejected: the job as a whole is not.
ENOUGH = ("--max_bad_fraction", "0.5")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    rows = [*dialogues(), *(row(f"bad-{n}", 0, FAILING) for n in range(9)), b"{", *dialogues(1)]
    return write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", rows)


@pytest.fixture(scope="module")
def whole(model, log, tmp_path_factory):
    """The same, uninterrupted."""
    path = tmp_path_factory.mktemp("whole") / "out"
    assert score(log, model, path, *ENOUGH) == DONE
    return path


@pytest.fixture
def stopped(model, log, tmp_path):
    """A job that did not end."""
    assert score(log, model, tmp_path / "out") == DATA_REFUSED
    return tmp_path / "out"


def contents(directory):
    """{name: bytes} of all files, and of all directories None."""
    paths = directory.rglob("*")
    return {str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None for path in paths}


def test_the_books_and_rejects_of_finished_shards_are_kept(stopped, whole, model, log, capsys):
    before = {path.name: path.stat().st_ino for path in stopped.glob("predictions-*")}
    capsys.readouterr()
    assert score(log, model, stopped, *ENOUGH) == DONE
    assert "8 of them finished before" in capsys.readouterr().out
    assert {path.name: path.stat().st_ino for path in stopped.glob("predictions-*")} == before
    assert contents(stopped) == contents(whole)
    assert json.loads((whole / "manifest.json").read_text())["books"]["turns_rejected"] == {
        "duplicate_turn": 6, "invalid_json": 1, "scoring_failed": 9}
    assert len(rejects(stopped)) == 16


def _cut(shard, progress):
    shard.write_bytes(shard.read_bytes()[:-1])


def _changed(shard, progress):
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)


def _gone(shard, progress):
    shard.unlink()


def _unknown(shard, progress):
    progress.unlink()


def _unreadable(shard, progress):
    progress.write_bytes(progress.read_bytes()[:40])


@pytest.mark.parametrize("harm", [_cut, _changed, _gone, _unknown, _unreadable])
def test_only_shards_that_are_not_as_they_were_written_are_redone(stopped, whole, model, log, harm):
    shards = sorted(stopped.glob("predictions-*"))
    harm(shards[3], stopped / ".progress" / "shard-00003.json")
    (stopped / f"{shards[5].name}.{'0' * 32}.part").write_bytes(b"half")
    before = {path.name: path.stat().st_mtime_ns for path in shards if path != shards[3]}
    assert score(log, model, stopped, *ENOUGH) == DONE
    assert {name: (stopped / name).stat().st_mtime_ns for name in before} == before
    assert contents(stopped) == contents(whole)


@pytest.mark.parametrize(
    "flags",
    [("--top_k", "1"), ("--format", "jsonl"), ("--target_speakers", "agent"), ("--batch_windows", "7"), "log", "model"],
)
def test_another_job_does_not_go_on_with_the_shards(stopped, model, log, flags, capsys, tmp_path):
    if flags == "log":
        log = write_jsonl(tmp_path / "other.jsonl", dialogues(3))
    if flags == "model":
        model = write_model(tmp_path / "model", description(version="fedcba9876543210"))
    flags = () if flags in ("log", "model") else flags
    before = shard_bytes(stopped)
    assert score(log, model, stopped, *ENOUGH, *flags) == USAGE
    assert "an interrupted job with other input, model or flags" in capsys.readouterr().err
    assert shard_bytes(stopped) == before
    assert score(log, model, stopped, *ENOUGH, *flags, "--overwrite") == DONE
    assert predictions(stopped) and not (stopped / ".progress").exists()


def test_completed_predictions_are_replaced_only_when_told_to(stopped, whole, model, log, capsys):
    assert score(log, model, stopped, *ENOUGH) == DONE
    assert contents(stopped) == contents(whole)
    assert score(log, model, stopped, *ENOUGH) == USAGE
    assert "holds completed predictions; choose another or --overwrite" in capsys.readouterr().err
    assert contents(stopped) == contents(whole)
    assert score(log, model, stopped, *ENOUGH, "--format", "parquet", "--overwrite") == DONE
    assert {path.suffix for path in stopped.glob("predictions-*")} == {".parquet"}


def test_a_directory_with_something_else_is_left_alone(model, log, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    for flags in ((), ("--overwrite",)):
        assert score(log, model, tmp_path / "out", *flags) == USAGE
        assert "holds thesis.txt, which is no part of predictions" in capsys.readouterr().err
    assert contents(tmp_path / "out") == {"thesis.txt": b"mine"}
    assert score(log, model, tmp_path / "out" / "thesis.txt" / "below") == USAGE
    assert "can't write to --output_dir" in capsys.readouterr().err
