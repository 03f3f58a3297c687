from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.state import State, heartbeats, lease, this_process
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.sight import Glance, living_holder

FRESH = dt.timedelta(seconds=90)
ELSEWHERE = replace(this_process(), host="elsewhere")


def beat(state: State, at: dt.datetime, **document: bool) -> Heartbeat:
    with state.write() as db:
        heartbeats.beat(db, "loop", document=document, process=ELSEWHERE, at=at)
    with state.read() as db:
        found = heartbeats.last(db, "loop")
    assert found is not None
    return found


def test_holder_of_another_host_lives_until_its_heartbeat_has_stood_still(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        held = lease.acquire(db, "cycle", process=ELSEWHERE, at=noon)
    assert held is not None
    patience = lease.PATIENCE.total_seconds()
    seen = [living_holder(state, "cycle", at=noon, tick=tick) for tick in (5.0, 4.0 + patience, 5.0 + patience)]
    assert seen == [held, held, None]


def test_holder_of_this_host_is_dead_when_its_process_is(state: State, noon: dt.datetime) -> None:
    assert living_holder(state, "cycle", at=noon) is None
    with state.write() as db:
        lease.acquire(db, "cycle", process=replace(this_process(), start="1"), at=noon)
    assert living_holder(state, "cycle", at=noon) is None
    with state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=noon)
    assert living_holder(state, "cycle", at=noon) == held


def test_heartbeat_never_seen_before_is_compared_by_the_clock(state: State, noon: dt.datetime) -> None:
    late = noon + dt.timedelta(minutes=5)
    assert Glance().is_alive(beat(state, noon), at=noon, fresh=FRESH, tick=0.0)
    assert not Glance().is_alive(beat(state, noon), at=late, fresh=FRESH, tick=0.0)


def test_heartbeat_that_moves_is_alive_whatever_its_clock_says(state: State, noon: dt.datetime) -> None:
    glance, late = Glance(), noon + dt.timedelta(hours=5)
    for number in range(3):
        found = beat(state, noon + dt.timedelta(seconds=30 * number))
        assert glance.is_alive(found, at=late, fresh=FRESH, tick=30.0 * number) is (number > 0)


@pytest.mark.parametrize("ahead", [0, 3600])
def test_heartbeat_that_stands_still_is_dead_though_its_clock_is_ahead(
    state: State, noon: dt.datetime, ahead: int
) -> None:
    glance, at = Glance(), noon + dt.timedelta(seconds=ahead)
    for number in range(2):
        glance.is_alive(beat(state, at + dt.timedelta(seconds=number)), at=noon, fresh=FRESH, tick=float(number))
    found = beat(state, at + dt.timedelta(seconds=1))
    assert glance.is_alive(found, at=at, fresh=FRESH, tick=91.0)
    assert not glance.is_alive(found, at=at, fresh=FRESH, tick=92.0)


def test_farewell_is_no_sign_of_life(state: State, noon: dt.datetime) -> None:
    assert not Glance().is_alive(beat(state, noon, stopped=True), at=noon, fresh=FRESH)
    assert not Glance().is_alive(None, at=noon, fresh=FRESH)
