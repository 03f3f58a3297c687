"""What is counted of scans for drift, by a table as they are kept in."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, String, Table

from marketloop.state import Slot, State
from marketloop.state.tally import drift_of

SCANS = Table(
    "drift_scans",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("family", String),
    Column("config_key", String),
    Column("action", String),
)


def test_newest_scan_of_each_slot_says_what_drift_advises(tmp_path: Path) -> None:
    rows = [("a", "plan"), ("b", "retrain"), ("a", "monitor")]
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        with state.write() as db:
            SCANS.drop(db, checkfirst=True)
            SCANS.create(db)
            for family, action in rows:
                db.execute(SCANS.insert().values(family=family, config_key="k", action=action))
        with state.read() as db:
            assert drift_of(db, SCANS) == {Slot("a", "k"): "monitor", Slot("b", "k"): "retrain"}
            assert drift_of(db, None) == {}
