"""Processes that contend for slots, killed at random, on both databases; and that its verdict sees what is wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from marketloop.bench.contention import SLOT, Yard, run, verdict
from marketloop.loop.flight import single_flight
from marketloop.state import champions, decisions, requests, this_process
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.requests import Wish

FIRST = "schedule:nightly:2026-01-01T07:00:00+00:00"
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """URL of an empty PostgreSQL database, None for a SQLite file."""
    if request.param == "sqlite":
        return None
    address: str = request.getfixturevalue("empty_postgres")
    return address


def test_each_slot_has_one_cycle_whoever_tries_it_and_whoever_dies(database: str | None) -> None:
    document = run(processes=4, slots=40, kills=10, seed=3, url=database)
    assert document["violations"] == []
    figures = document["figures"]
    assert (figures["triggers"], figures["kills"]) == (160, 10)
    ended = sum(figures.get(f"requests_{state}", 0) for state in ("done", "failed", "skipped"))
    assert ended == 40
    assert figures["requests_done"] >= 40 - 10 - 2
    assert figures["requests_skipped"] == 2
    assert figures["promotions"] >= figures["requests_done"]


def promote(yard: Yard, key: str, *, token: int, version: int) -> None:
    with yard.state.write() as db:
        decision = decisions.record(
            db, Decision(SLOT, version, "promoted", "superior", key, NOON, record={"token": token})
        )
        now = champions.current(db, SLOT)
        entry = Champion(SLOT, version, "promote", "champion", True, NOON, NOON, NOON, "1", "0", decision.id)
        champions.append(db, entry, expected=now.entry if now else 0)


def test_verdict_names_every_kind_of_fault(tmp_path: Path) -> None:
    yard = Yard(tmp_path, f"sqlite:///{tmp_path}/state.db")
    second = FIRST.replace("-01T", "-02T")
    with yard.state:
        assert verdict(yard, 1)[1] == [f"{FIRST}: never asked for"]
        for _ in range(2):
            with single_flight(yard.house, trigger="schedule", reason=FIRST):
                pass
        promote(yard, FIRST, token=2, version=1)
        promote(yard, FIRST, token=1, version=3)
        with yard.state.write() as db:
            for key, why_not in ((FIRST, None), (second, "")):
                requests.ask(db, Wish("schedule", "r", key=key), process=this_process(), at=NOON, why_not=why_not)
        (tmp_path / "overlaps").write_text("two cycles at once: process 7\n")
        _, wrong = verdict(yard, 2)
    assert wrong == [
        f"{FIRST}: waiting when all is over",
        f"{FIRST}: 2 cycles and 2 promotions, expected one",
        f"{FIRST}: waiting without a reason",
        f"{second}: skipped without a reason",
        "a promotion was compared with another champion than the one that it followed",
        "the promotions do not follow the tokens of their leases",
        "two cycles at once: process 7",
    ]
