"""Outcomes are written when the bars tell them, once each, and again only when the bars are corrected."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.loop.journal import DAYS, LABEL, Desk, desk
from tests.loop.ledgers import SLOT

from marketloop.core.errors import UsageError
from marketloop.loop.maturing import join_outcomes, label_of
from marketloop.loop.settling import settle
from marketloop.state import Slot, outcomes
from marketloop.state.outcomes import Outcome

BUY = {"class_name": "BUY", "probability": 0.5}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Desk]:
    made = desk(tmp_path / "project")
    yield made
    made.house.close()


def known(project: Desk, label: str = LABEL) -> dict[tuple[dt.date, str], Outcome]:
    with project.house.state.scores.read() as db:
        return dict(outcomes.latest(db, label, since=dt.date.min))


def test_outcome_is_written_on_the_session_on_which_it_is_known_and_not_before(project: Desk) -> None:
    version = project.crown()
    project.collect(80)
    project.say(version, 80, [BUY] * 12)
    for through in range(81, 85):
        project.collect(through)
        assert join_outcomes(project.house) == 0
    project.collect(85)
    assert join_outcomes(project.house) == 12
    found = known(project)[DAYS[80], "T03"]
    move = project.closes[85, 3] / project.closes[80, 3] - 1
    assert found.class_name == ("BUY" if move > 0.02 else "SELL" if move < -0.02 else "HOLD")
    assert (found.known_on, found.revision) == (DAYS[85], 1)
    assert found.data_version == str(project.house.store.version)


def test_joining_again_writes_nothing_and_corrected_bars_add_a_revision(project: Desk) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 80, [BUY] * 12)
    assert join_outcomes(project.house) == 12
    assert join_outcomes(project.house) == 0
    before = known(project)[DAYS[80], "T05"]
    project.closes[85, 5] *= 1.5 if before.class_name != "BUY" else 0.5
    project.collect(90)
    assert join_outcomes(project.house) == 1
    with project.house.state.scores.read() as db:
        first, second = outcomes.history(db, LABEL, DAYS[80], "T05")
    assert first == before
    assert second.class_name != first.class_name
    assert int(second.data_version) > int(first.data_version)


def test_bars_of_a_split_change_no_outcome(project: Desk) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 80, [BUY] * 12)
    join_outcomes(project.house)
    project.closes[:, 2] /= 3
    project.collect(90)
    assert join_outcomes(project.house) == 0


def test_sessions_of_which_nobody_spoke_get_no_outcome_and_old_rows_are_what_the_settings_say(project: Desk) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 70, [{**BUY, "label": None}] * 12)
    project.say(version, 80, [BUY] * 12)
    join_outcomes(project.house)
    assert {day for day, _ in known(project)} == {DAYS[70], DAYS[80]}


def test_labels_of_several_families_and_horizons_are_joined_side_by_side(project: Desk) -> None:
    ranker = Slot("momentum_ranker", SLOT.config_key)
    one, two = project.crown(), project.crown(ranker)
    project.collect(90)
    project.say(one, 80, [BUY] * 12)
    project.say(one, 81, [{**BUY, "label": "direction/3/0.01"}] * 12)
    project.say(two, 80, [{"label": "rank/5"}] * 12, slot=ranker)
    assert join_outcomes(project.house) == 36
    assert {o.known_on for o in known(project, "direction/3/0.01").values()} == {DAYS[84]}
    assert sorted(o.value for o in known(project, "rank/5").values()) == pytest.approx(
        [i / 11 - 0.5 for i in range(12)]
    )


def test_label_whose_plugin_is_gone_is_left_out_and_the_others_are_joined(project: Desk) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 79, [{**BUY, "label": "moonphase/5"}] * 12)
    project.say(version, 80, [BUY] * 12)
    assert join_outcomes(project.house) == 12


@pytest.mark.parametrize("key", ["direction", "direction/five", "direction/5/x"])
def test_label_that_is_none_is_said_to_be_none(project: Desk, key: str) -> None:
    with pytest.raises(UsageError, match="expected name/horizon"):
        label_of(project.house.catalog, key)


@pytest.mark.parametrize("point", ["scores.commit.before", "scores.commit.after", "ledger.commit.before"])
def test_process_that_dies_while_it_settles_leaves_nothing_half_done(project: Desk, point: str) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 80, [BUY] * 12)
    root = project.house.project.root
    project.house.close()
    script = """
import sys
from marketloop.loop.house import open_house
from marketloop.loop.settling import settle
settle(open_house(__import__("pathlib").Path(sys.argv[1]), environ={}))
"""
    fault = {**os.environ, "MARKETLOOP_FAULT": point}
    died = subprocess.run([sys.executable, "-c", script, str(root)], env=fault, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(known(project)) == (0 if point == "scores.commit.before" else 12)
    assert settle(project.house)
    assert {o.revision for o in known(project).values()} == {1}
    assert not settle(project.house)


def test_night_without_news_reads_no_bars_and_loads_no_library_that_learns(project: Desk) -> None:
    version = project.crown()
    project.collect(90)
    project.say(version, 80, [BUY] * 12)
    settle(project.house)
    root = project.house.project.root
    project.house.close()
    script = """
import sys
from pathlib import Path
from marketloop.loop import maturing, settling
from marketloop.loop.house import open_house
maturing.stored_bars = None
assert not settling.settle(open_house(Path(sys.argv[1]), environ={}))
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=True)
    assert not {"sklearn", "xgboost", "lightgbm", "optuna"} & set(run.stdout.split())
