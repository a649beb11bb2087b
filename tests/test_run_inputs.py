"""Input files of a run: days, what is new, what is too little."""

import dataclasses
import datetime
import os

import pytest

from trainer.run_inputs import changed, days_of, list_files, new_files, thin_days
from trainer.run_record import InputFile, RunRecord

DAY = datetime.date(2026, 3, 1)


def write(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def record(files):
    """A run that learnt from these files."""
    return RunRecord("r", "2026-03-01", "2026-03-01T00:00:00Z", {}, tuple(files), 1, None, None, None, "host", {})


def files_of(**sizes):
    """Files of days, e.g. d01=500."""
    return [InputFile(f"/logs/{day}", size, 0, f"2026-03-{day[1:]}") for day, size in sizes.items()]


def test_days_end_before_the_date_by_the_lag():
    assert [day.isoformat() for day in days_of(DAY, 3, 1)] == ["2026-02-26", "2026-02-27", "2026-02-28"]
    assert days_of(DAY, 1, 0) == [DAY]


def test_dates_in_patterns(tmp_path):
    for name in ("2026-03-01/a.jsonl", "2026-02-28/a.jsonl", "2026-02-27/a.jsonl", "x-20260301.csv", "always {it}.csv",
                 "2026-03-01/b.txt"):
        write(tmp_path / name, 5)
    patterns = ["{date}/*.jsonl", "x-{date:%Y%m%d}.csv", "always {it}*"]
    found = list_files([f"{tmp_path}/{pattern}" for pattern in patterns], days_of(DAY, 2, 0))
    assert [(os.path.relpath(file.path, tmp_path), file.date) for file in found] == [
        ("2026-02-28/a.jsonl", "2026-02-28"), ("2026-03-01/a.jsonl", "2026-03-01"), ("always {it}.csv", None),
        ("x-20260301.csv", "2026-03-01")]
    assert {file.size for file in found} == {5}


def test_each_file_once_and_no_directories(tmp_path):
    write(tmp_path / "2026-03-01" / "a.jsonl", 1)
    found = list_files([f"{tmp_path}/{{date}}/a*", f"{tmp_path}/**"], [DAY])
    assert [(file.path, file.date) for file in found] == [(f"{tmp_path}/2026-03-01/a.jsonl", "2026-03-01")]


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"longer"), lambda path: path.unlink(),
                                    lambda path: os.utime(path, ns=(1, 1))])
def test_a_change_is_noticed(tmp_path, change):
    for name in "ab":
        write(tmp_path / name, 3)
    files = list_files([f"{tmp_path}/*"], [DAY])
    assert changed(files) == []
    change(tmp_path / "b")
    assert changed(files) == [str(tmp_path / "b")]


def test_new_files_are_those_that_were_not_learnt_from_as_they_are():
    a, b, c, empty = files_of(d01=10, d02=10, d03=10, d04=0)
    later = dataclasses.replace(b, modified=1)
    assert new_files([a, later, c, empty], [a, b]) == [later, c]


def test_a_thin_day():
    earlier = [record(files_of(d01=900, d02=1000)), record(files_of(d02=1000, d03=1100))]
    days = files_of(d03=1100, d04=199)
    [thin] = thin_days(days, days[1:], earlier, 0.2)
    assert thin.startswith("2026-03-04 has 199 bytes of logs, a usual day 1,000;")
    assert thin_days(files_of(d03=1100, d04=201), files_of(d04=201), earlier, 0.2) == []
    # Volumes of days that were learnt from are not judged again.
    assert thin_days(days, [], earlier, 0.2) == []


def test_a_first_run_is_judged_by_its_own_days():
    days = files_of(d01=1000, d02=1000, d03=10)
    assert [text[:10] for text in thin_days(days, days, [], 0.2)] == ["2026-03-03"]
    assert thin_days(files_of(d01=10), files_of(d01=10), [], 0.2) == []
    assert thin_days([InputFile("/a", 1, 0, None)], [InputFile("/a", 1, 0, None)], [], 0.2) == []
