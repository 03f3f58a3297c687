from __future__ import annotations

import datetime as dt

from marketloop.state import Slot, State, decisions
from marketloop.state.decisions import Decision


def test_decision_keeps_every_number_of_its_record(state: State, slot: Slot, noon: dt.datetime) -> None:
    numbers = {"stream": "s1", "n": 412, "z": 1.31, "z_star": 2.34, "checks": [{"name": "schema", "passed": True}]}
    with state.write() as db:
        made = decisions.record(
            db, Decision(slot, 3, "refused", "no_skill", "no skill shown yet", noon, "retrain_1", numbers)
        )
    with state.read() as db:
        assert decisions.latest(db, slot) == made
        assert decisions.latest(db, slot, 3) == made
        assert decisions.latest(db, slot, 4) is None
    assert made.id > 0
    assert made.record["z_star"] == 2.34


def test_decisions_are_found_by_cycle_newest_first(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        for version, cycle in ((1, "a"), (2, "b"), (None, "b")):
            decisions.record(db, Decision(slot, version, "failed", "error", "why", noon, cycle))
    with state.read() as db:
        assert [d.version for d in decisions.history(db, cycle_id="b")] == [None, 2]
        assert len(decisions.history(db, slot)) == 3
