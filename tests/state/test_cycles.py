from __future__ import annotations

import dataclasses
import datetime as dt
import re
from dataclasses import replace

import pytest

from marketloop.core.errors import UsageError
from marketloop.state import State, cycles, this_process


def test_cycle_runs_from_start_to_finish(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        started = cycles.start(db, trigger="hand", reason="first model", process=this_process(), at=noon)
    later = noon + dt.timedelta(seconds=90)
    with state.write() as db:
        assert cycles.get(db, started.id) == started
        cycles.finish(db, started.id, outcome="provisional", document={"duration_s": 90.0}, at=later)
    with state.read() as db:
        (found,) = cycles.recent(db)
    assert re.fullmatch(r"retrain_20260102T120000_[0-9a-f]{8}", found.id)
    assert (found.outcome, found.ended_at, found.document) == ("provisional", later, {"duration_s": 90.0})


def test_cycle_ends_once(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        cycle = cycles.start(db, trigger="hand", reason="r", process=this_process(), at=noon)
        cycles.finish(db, cycle.id, outcome="refused", document={}, at=noon)
    with pytest.raises(UsageError, match="ended already with refused"), state.write() as db:
        cycles.finish(db, cycle.id, outcome="promoted", document={}, at=noon)
    with pytest.raises(UsageError, match='"retrain_x" does not exist'), state.write() as db:
        cycles.finish(db, "retrain_x", outcome="promoted", document={}, at=noon)


def test_cycle_is_recorded_as_failed_when_its_process_died(state: State, noon: dt.datetime) -> None:
    here = this_process()
    with state.write() as db:
        dead = cycles.start(
            db, trigger="schedule", reason="night", process=dataclasses.replace(here, start="1"), at=noon
        )
        alive = cycles.start(db, trigger="hand", reason="me", process=here, at=noon)
        assert cycles.fail_dead(db, here, at=noon) == (dead.id,)
        assert cycles.fail_dead(db, here, at=noon) == ()
    with state.read() as db:
        found = {cycle.id: cycle for cycle in cycles.recent(db)}
    assert found[alive.id].outcome == "running"
    assert found[dead.id].outcome == "failed"
    assert "died before the cycle ended" in found[dead.id].document["error"]


def test_cycles_that_are_said_to_run_are_failed_by_who_holds_the_lease_now(state: State, noon: dt.datetime) -> None:
    here = this_process()
    with state.write() as db:
        left = [
            cycles.start(db, trigger="schedule", reason="r", process=process, at=noon).id
            for process in (here, replace(here, host="elsewhere"))
        ]
        assert sorted(cycles.fail_running(db, at=noon)) == sorted(left)
        assert cycles.fail_running(db, at=noon) == ()
        found = [cycles.get(db, cycle_id) for cycle_id in left]
    assert [(cycle.outcome, cycle.ended_at) for cycle in found if cycle] == [("failed", noon)] * 2
    assert all("died or lost the lease" in str(cycle.document["error"]) for cycle in found if cycle)
