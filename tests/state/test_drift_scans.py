from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import Slot, State, drift_scans
from marketloop.state.drift_scans import DriftScan
from marketloop.state.schema import drift_scans as table

OTHER = Slot("momentum_ranker", "rsi10_vol20_support20")


@pytest.fixture
def scan(slot: Slot, noon: dt.datetime) -> DriftScan:
    document = {"points_lost": 6.5, "features": [{"name": "rsi", "psi": 0.31}]}
    return DriftScan(slot, 3, dt.date(2026, 1, 2), noon, "plan", document, "drift_1")


def test_last_scan_of_a_slot_holds_and_the_earlier_ones_stay(state: State, scan: DriftScan) -> None:
    later = replace(scan, action="retrain", as_of=dt.date(2026, 1, 5), cycle_id=None)
    with state.write() as db:
        assert drift_scans.latest(db, scan.slot) is None
        first, second = drift_scans.record(db, scan), drift_scans.record(db, later)
        drift_scans.record(db, replace(scan, slot=OTHER, action="monitor"))
    with state.read() as db:
        assert drift_scans.latest(db, scan.slot) == second == replace(later, id=second.id)
        assert drift_scans.recent(db, scan.slot) == (second, first)
        assert drift_scans.recent(db, scan.slot, limit=1) == (second,)
        assert drift_scans.recent(db, scan.slot, before_id=second.id) == (first,)


def test_database_itself_keeps_the_scans(state: State, scan: DriftScan) -> None:
    with state.write() as db:
        drift_scans.record(db, scan)
    with pytest.raises(FailedError, match="drift_scans is append-only"), state.write() as db:
        db.execute(table.delete())
