"""The serving directory: promotion, roll-back, retention, and what is left when one of them is cut short."""

import os
import pathlib

import pytest

from pipeline.model_handler import find_saved_model
from schemas.exit_status import DONE, FAILED, USAGE, TurnwiseError, UsageError
from trainer import serving
from trainer.__main__ import main

ORIGIN = serving.Provenance("2026-03-01", "/runs/2026-03-01/model/saved_model", "2026-03-01T03:00:00Z")


@pytest.fixture
def model(tmp_path):
    """What passes for a SavedModel: it is only copied here."""
    path = tmp_path / "model" / "saved_model"
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_text("graph")
    (path / "variables" / "variables.index").write_text("index")
    return path


@pytest.fixture
def served(tmp_path, model):
    """A serving directory with versions 3, 5 and 20, the last one in service."""
    for version in (3, 20, 5, 20):
        serving.promote(model, tmp_path / "serving", version, ORIGIN)
    return tmp_path / "serving"


def test_promotion(served):
    assert serving.versions(served) == [3, 5, 20]
    assert serving.current(served) == 20
    assert os.readlink(served / "current") == "20"
    assert (served / "current" / "variables" / "variables.index").read_text() == "index"
    assert serving.provenance(served, 20) == ORIGIN
    assert serving.provenance(served, 4) is None


def test_a_version_that_is_there_is_taken_as_it_is(served, model):
    (served / "3" / "mark").write_text("")
    serving.promote(model, served, 3, ORIGIN)
    assert (served / "3" / "mark").exists()
    assert serving.current(served) == 3


def test_a_promotion_that_fails_leaves_what_was(served, model):
    unreadable = model / "variables" / "gone"
    unreadable.symlink_to("nowhere")
    with pytest.raises(TurnwiseError, match="can't put .* into service as .*21"):
        serving.promote(model, served, 21, ORIGIN)
    assert serving.current(served) == 20
    assert sorted(path.name for path in served.iterdir()) == ["20", "3", "5", "current"]


def test_what_a_killed_promotion_left_goes_with_the_next(served, model):
    (served / ".aside-21" / "variables").mkdir(parents=True)
    (served / ".aside-current").symlink_to("21")
    assert serving.versions(served) == [3, 5, 20]
    serving.promote(model, served, 21, ORIGIN)
    assert sorted(path.name for path in served.iterdir()) == ["20", "21", "3", "5", "current"]


def test_nothing_in_service(tmp_path):
    assert serving.current(tmp_path / "nowhere") is None
    assert serving.versions(tmp_path / "nowhere") == []


def test_a_link_that_leads_nowhere(served):
    (served / "current").unlink()
    (served / "current").symlink_to("../elsewhere")
    with pytest.raises(UsageError, match="leads to ../elsewhere, which is no version; there are 3, 5, 20"):
        serving.current(served)


@pytest.mark.parametrize(("in_service", "keep", "left"), [
    (20, 2, [5, 20]), (3, 2, [3, 5, 20]), (3, 1, [3, 20]), (20, 5, [3, 5, 20])])
def test_retention_spares_what_is_in_service_and_what_was_promoted_last(served, in_service, keep, left):
    serving.set_current(served, in_service)
    retired = serving.retire(served, keep)
    assert serving.versions(served) == left
    assert sorted([*retired, *left]) == [3, 5, 20]
    assert serving.current(served) == in_service


def test_rollback(served, capsys):
    assert main(["rollback", "--serving_dir", str(served)]) == DONE
    assert "in service: 5, before: 20" in capsys.readouterr().out
    assert serving.current(served) == 5
    assert main(["rollback", "--serving_dir", str(served), "--to", "20"]) == DONE
    assert serving.current(served) == 20
    assert main(["rollback", "--serving_dir", str(served), "--to", "4"]) == USAGE
    assert "has no version 4; there are 3, 5, 20" in capsys.readouterr().err
    assert main(["rollback", "--serving_dir", str(served), "--to", "3"]) == DONE
    assert main(["rollback", "--serving_dir", str(served)]) == USAGE
    assert "has no version before the one in service, 3; there are 3, 5, 20" in capsys.readouterr().err
    assert serving.versions(served) == [3, 5, 20]


def test_promote_by_hand(served, model, capsys):
    command = ["promote", "--model_dir", str(model), "--serving_dir", str(served)]
    assert main([*command, "--replaces", "5"]) == FAILED
    assert "has 20 in service, not 5" in capsys.readouterr().err
    assert main([*command, "--replaces", "20", "--version", "21"]) == DONE
    assert serving.current(served) == 21
    # What was interrupted after it had moved the link is done.
    assert main([*command, "--replaces", "20", "--version", "21"]) == DONE
    assert main(command) == DONE
    assert serving.current(served) > 20260101000000
    assert main([*command[:2], str(pathlib.Path(model).parent), *command[3:]]) == USAGE
    assert "is no completed model directory" in capsys.readouterr().err


def test_the_link_is_followed_once(served):
    """What it leads to may be another model before a worker has loaded this one."""
    assert find_saved_model(str(served / "current")) == str(served / "20")
    assert find_saved_model(str(served / "5")) == str(served / "5")
