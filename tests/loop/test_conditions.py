"""When a cycle may begin: what stands in its way, in one sentence each, and what force does not skip."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop import conditions
from marketloop.loop.conditions import why_not_now
from marketloop.loop.house import House, open_house
from marketloop.loop.preparing import choose
from marketloop.runtime.project import create_project
from marketloop.state import cycles, lease, this_process
from marketloop.state.process import Process

NOON = dt.datetime(2024, 5, 7, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TRIGGERS = ("schedule", "event", "drift", "manual")


class Shelf:
    """A store with bars."""

    version = 1


@pytest.fixture
def house(tmp_path: Path) -> House:
    create_project(tmp_path / "p")
    return open_house(tmp_path / "p", environ={})


def asked(house: House, *, force: bool) -> str | None:
    # Nothing was ever trained here: neither rows nor bars are looked at.
    spec = choose(house, "price_predictor")
    return conditions.why_not(house, "price_predictor", spec, None, force=force)  # type: ignore[arg-type]


@pytest.mark.parametrize("force", [False, True])
def test_full_disk_stops_a_training_also_when_it_is_forced(
    house: House, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    assert asked(house, force=force) is None
    monkeypatch.setattr(conditions, "LEAST_FREE_GB", 1e9)
    assert "free some space" in str(asked(house, force=force))


@pytest.mark.parametrize("force", [False, True])
def test_veto_of_a_plugin_stops_a_training_also_when_it_is_forced(house: House, force: bool) -> None:
    house.catalog.conditions["quiet"] = lambda **_: "the desk is closed"
    assert asked(house, force=force) == "the desk is closed"


@pytest.fixture
def stocked(house: House) -> House:
    """House of a project that has bars."""
    house.__dict__["store"] = Shelf()
    return house


def started(house: House, at: dt.datetime) -> None:
    with house.state.write() as db:
        cycle = cycles.start(db, trigger="schedule", reason="test", process=this_process(), at=at)
        cycles.finish(db, cycle.id, outcome="refused", document={}, at=at)


def reasons(house: House, at: dt.datetime = NOON) -> dict[str, str | None]:
    return {trigger: why_not_now(house, "price_predictor", trigger=trigger, at=at) for trigger in TRIGGERS}


def test_nothing_stands_in_the_way_of_a_first_training(stocked: House) -> None:
    assert reasons(stocked) == dict.fromkeys(TRIGGERS)


def test_without_bars_only_a_manual_retraining_begins_because_it_collects_first(house: House) -> None:
    found = reasons(house)
    assert found.pop("manual") is None
    assert set(found.values()) == {"there are no bars to learn from: run `marketloop collect`"}


def test_events_and_drift_keep_their_distance_to_the_last_start_and_others_do_not(stocked: House) -> None:
    started(stocked, NOON - 21.5 * HOUR)
    found = reasons(stocked)
    assert (found["schedule"], found["manual"]) == (None, None)
    for trigger in ("event", "drift"):
        assert str(found[trigger]).startswith("the last cycle started 21.5 h ago (2024-05-06 14:30 UTC)")
        assert "min_interval_hours asks for 24 h (2 h less will do)" in str(found[trigger])
    assert reasons(stocked, NOON + 0.5 * HOUR) == dict.fromkeys(TRIGGERS)


def test_clock_that_was_put_back_lets_no_second_event_through_and_one_that_ran_ahead_stops_none(stocked: House) -> None:
    started(stocked, NOON)
    assert reasons(stocked, NOON - HOUR)["event"] is not None
    assert reasons(stocked, NOON - 400 * 24 * HOUR)["event"] is None


def test_interval_of_nothing_lets_every_event_through(tmp_path: Path) -> None:
    create_project(tmp_path / "q", settings={"retraining.min_interval_hours": 0})
    with open_house(tmp_path / "q", environ={}) as house:
        house.__dict__["store"] = Shelf()
        started(house, NOON)
        assert reasons(house) == dict.fromkeys(TRIGGERS)


def test_running_cycle_stops_every_trigger_and_a_dead_one_none(stocked: House) -> None:
    with stocked.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=NOON)
        assert held is not None
    for reason in reasons(stocked).values():
        assert "another cycle is running" in str(reason)
        assert "since 2024-05-07 12:00 UTC" in str(reason)
    with stocked.state.write() as db:
        lease.release(db, held, at=NOON)
        child = subprocess.Popen([sys.executable, "-c", "pass"])
        child.wait()
        here = this_process()
        dead = Process(child.pid, here.host, here.boot_id, "1")
        assert lease.acquire(db, "cycle", process=dead, at=NOON) is not None
    assert reasons(stocked) == dict.fromkeys(TRIGGERS)


def test_disk_and_veto_and_registry_stop_every_trigger(stocked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (stocked.project.models / "registry").write_text("in the way")
    for reason in reasons(stocked).values():
        assert 'registry" cannot be made' in str(reason)
        assert "move it away" in str(reason)
    stocked.catalog.conditions["quiet"] = lambda **asked: f"the desk is closed to {asked['family']}"
    assert set(reasons(stocked).values()) == {"the desk is closed to price_predictor"}
    monkeypatch.setattr(conditions, "LEAST_FREE_GB", 1e9)
    for reason in reasons(stocked).values():
        assert "of disk are free" in str(reason)


def test_unknown_family_is_named(stocked: House) -> None:
    with pytest.raises(UsageError, match="price_predictor"):
        why_not_now(stocked, "price_predicter", trigger="event", at=NOON)
