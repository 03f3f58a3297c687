"""The lease of a cycle: who is overtaken publishes nothing, who died or could not say goodbye blocks nobody."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from marketloop.bench.contention import Yard
from marketloop.loop.by_hand import holding_cycle
from marketloop.loop.flight import BETWEEN_BEATS, BusyError, single_flight
from marketloop.state import cycles, events, lease, requests, this_process, versions
from marketloop.state.lease import LeaseLostError

HEAD = """
import datetime as dt, os, signal, socket, sys
from pathlib import Path
from marketloop.bench.contention import SLOT, Yard
from marketloop.loop.flight import single_flight
from marketloop.registry import Ruling
from marketloop.state import requests, streams, this_process, versions
from marketloop.state.requests import Wish
from marketloop.state.scoreboards import Prediction

folder = Path(sys.argv[1])
yard = Yard(folder, f"sqlite:///{folder}/state.db")
at = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)

def say(*words):
    print(*words, flush=True)

def request():
    with yard.state.write() as db:
        asked, _ = requests.ask(db, Wish("manual", "r", key="k"), process=this_process(), at=at)
        requests.begin(db, asked.id, process=this_process(), at=at)
"""

SLEEPER = """
socket.gethostname = lambda: "elsewhere"
manifest = {"data_version": "1", "features": ["rsi"], "recipe": "ridge", "seed": 7, "threads": 1}
request()

def attempts(made, held):
    served = Ruling("promoted", "first", "z", {}, True, 1250, "c1")
    refused = Ruling("refused", "no_skill", "why", cycle_id="c1")
    registry = yard.registry
    yield "promote", lambda: registry.promote(SLOT, made.version, served, expected=0, held=held, at=at)
    yield "refuse", lambda: registry.refuse(SLOT, made.version, refused, at=at)
    yield "scoreboard", lambda: registry.write_scoreboard(
        SLOT, made.version, [Prediction("AAPL", at.date(), "BUY", 0.1)], at=at)
    yield "examined", lambda: registry.examined(SLOT, made.version, metrics={}, baseline={}, scorecard={}, at=at)
    yield "candidate", lambda: registry.write_candidate(SLOT, parts={"m.ubj": b"x"}, manifest=manifest, at=at)
    yield "stream", stream

def stream():
    with yard.state.write() as db:
        streams.open_stream(db, SLOT, fingerprint="f", session=1, at=at)

try:
    with single_flight(yard.house, trigger="schedule", reason="sleeper") as flight:
        made = yard.registry.write_candidate(SLOT, parts={"m.ubj": b"x"}, manifest=manifest, at=at)
        with yard.state.write() as db:
            versions.allocate(db, SLOT, process=this_process(), at=at)
        say("held")
        sys.stdin.readline()
        for name, attempt in attempts(made, flight.held):
            try:
                attempt()
                say(name, "written")
            except Exception as error:
                say(name, type(error).__name__)
        flight.outcome = "promoted"
except Exception as error:
    say("end", type(error).__name__)
"""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path, f"sqlite:///{tmp_path}/state.db")
    with made.state:
        yield made


def start(script: str, yard: Yard) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HEAD + script, str(yard.folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def table_sizes(yard: Yard) -> dict[str, int]:
    sizes = {}
    for database in (yard.state.ledger, yard.state.scores):
        with database.read() as db:
            names = [name for (name,) in db.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                count = db.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()  # noqa: S608 - our own tables
                sizes[f"{database.name}.{name}"] = int(count or 0)
    return sizes


def test_holder_that_sleeps_through_its_lease_is_overtaken_and_publishes_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 1000.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    sleeper = start(SLEEPER, yard)
    assert heard(sleeper) == "held"
    os.kill(sleeper.pid, signal.SIGSTOP)
    with (
        pytest.raises(BusyError, match=r"another cycle is running .* on elsewhere"),
        single_flight(yard.house, trigger="schedule", reason="too early"),
    ):
        pytest.fail("the block must not be entered")
    tick += lease.PATIENCE.total_seconds()
    with single_flight(yard.house, trigger="schedule", reason="next") as flight:
        flight.outcome = "refused"
    with yard.state.read() as db:
        request = requests.find(db, "k")
        ended = {cycle.reason: cycle.outcome for cycle in cycles.recent(db)}
        states = [version.state for version in versions.listing(db)]
        told = {str(event.payload["outcome"]) for event in events.recent(db)}
    assert request is not None
    assert (request.state, "lost the lease" in request.why_not) == ("failed", True)
    assert ended == {"sleeper": "failed", "next": "refused"}
    assert told == {"failed", "refused"}
    assert states == ["complete", "abandoned"]

    before = table_sizes(yard)
    os.kill(sleeper.pid, signal.SIGCONT)
    said = sleeper.communicate("go\n", timeout=60)[0].splitlines()
    assert said == [
        "promote LeaseLostError",
        "refuse LeaseLostError",
        "scoreboard LeaseLostError",
        "examined LeaseLostError",
        "candidate LeaseLostError",
        "stream LeaseLostError",
        "end LeaseLostError",
    ]
    assert table_sizes(yard) == before
    with yard.state.read() as db:
        assert {cycle.reason: cycle.outcome for cycle in cycles.recent(db)} == ended


def test_killed_holder_is_followed_at_once_and_recorded_as_failed(yard: Yard) -> None:
    dying = start(
        """
request()
with single_flight(yard.house, trigger="schedule", reason="killed"):
    os.kill(os.getpid(), signal.SIGKILL)
""",
        yard,
    )
    dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL
    with single_flight(yard.house, trigger="schedule", reason="next") as flight:
        flight.outcome = "promoted"
        assert flight.held.token == 2
    with yard.state.read() as db:
        assert {cycle.reason: cycle.outcome for cycle in cycles.recent(db)} == {"killed": "failed", "next": "promoted"}
        request = requests.find(db, "k")
    assert request is not None
    assert (request.state, "died" in request.why_not) == ("failed", True)


def test_living_holder_of_this_host_is_never_overtaken_whatever_the_clocks_say(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 0.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    with single_flight(yard.house, trigger="manual", reason="r"):
        for hours in (0, 500, -500):
            tick += 1e6
            yard.clock.offset = dt.timedelta(hours=hours, seconds=1)
            with pytest.raises(BusyError), single_flight(yard.house, trigger="manual", reason="other"):
                pytest.fail("the block must not be entered")


def test_beat_is_told_when_the_lease_is_lost_even_after_the_clock_was_put_back(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 0.0
    monkeypatch.setattr("marketloop.loop.flight.ticks", lambda: tick)
    with (  # noqa: PT012
        pytest.raises(LeaseLostError),
        single_flight(yard.house, trigger="manual", reason="r") as flight,
    ):
        flight.beat(yard.house)
        yard.clock.offset = dt.timedelta(hours=-5)
        with yard.state.ledger.write() as db:
            elsewhere = replace(this_process(), host="elsewhere")
            assert lease.acquire(db, "cycle", process=elsewhere, at=yard.clock.now(), tick=0.0) is None
            assert lease.acquire(db, "cycle", process=elsewhere, at=yard.clock.now(), tick=600.0) is not None
        flight.beat(yard.house)  # not due yet
        tick += BETWEEN_BEATS
        flight.beat(yard.house)


def test_cycle_that_could_not_record_its_end_does_not_block_the_next_one_of_its_process(
    yard: Yard, tmp_path: Path
) -> None:
    ledger = tmp_path / "state.db"
    with pytest.raises(ZeroDivisionError), single_flight(yard.house, trigger="manual", reason="r") as flight:  # noqa: PT012
        yard.state.close()
        ledger.rename(tmp_path / "away.db")
        (tmp_path / "state.db").mkdir()
        raise ZeroDivisionError
    (tmp_path / "state.db").rmdir()
    (tmp_path / "away.db").rename(ledger)
    with yard.state.read() as db:
        assert lease.holder(db, "cycle") == flight.held
    with single_flight(yard.house, trigger="manual", reason="next") as after:
        after.outcome = "refused"
        assert after.held.token == flight.held.token + 1
    with yard.state.read() as db:
        assert {cycle.reason: cycle.outcome for cycle in cycles.recent(db)} == {"r": "failed", "next": "refused"}


def test_promotion_by_hand_buries_what_a_killed_cycle_left(yard: Yard) -> None:
    dying = start(
        """
request()
with single_flight(yard.house, trigger="schedule", reason="killed"):
    with yard.state.write() as db:
        versions.allocate(db, SLOT, process=this_process(), at=at)
    os.kill(os.getpid(), signal.SIGKILL)
""",
        yard,
    )
    dying.communicate(timeout=60)
    with holding_cycle(yard.house):
        pass
    with yard.state.read() as db:
        assert [cycle.outcome for cycle in cycles.recent(db)] == ["failed"]
        assert [version.state for version in versions.listing(db)] == ["abandoned"]
        request = requests.find(db, "k")
    assert request is not None
    assert request.state == "failed"
