"""A promotion under guard: a bad version goes back by itself, a good one stays, and none of it happens twice."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

import numpy as np
import pytest

from marketloop.core.errors import FailedError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.flight import Flight, single_flight
from marketloop.loop.guard import guarded, watch_promotion
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.registry import Ruling
from marketloop.registry.standing import Back
from marketloop.runtime.project import create_project
from marketloop.state import decisions, scoreboards
from marketloop.state.champions import Champion

FAMILY = "price_predictor"
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
FIRST, SOON, LATE, END = dt.date(2015, 11, 20), dt.date(2015, 12, 21), dt.date(2016, 2, 5), dt.date(2016, 2, 12)
MARKET = {"tickers": 40, "sessions": 830, "seed": 5, "planted_ic": 0.15, "start": "2013-01-02"}
FLAGS = {"tracking.enabled": False, "features.set": "basic", "gate.min_skill_sessions": 180}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A project whose first version is proven on the first night."""
    root = tmp_path_factory.mktemp("guard") / "project"
    create_project(root)
    opened = open_house(root, environ={}, flags=FLAGS)
    collect = CollectRequest(source="synthetic", options=MARKET, end=FIRST)
    (first,) = run_cycle(opened, CycleRequest((FAMILY,), choices=RIDGE, collect=collect)).families
    assert (first.verdict, first.reason_code) == ("promoted", "first")
    return opened


def champion_of(house: House) -> Champion:
    found = house.registry.champion(house.slot(FAMILY))
    assert found is not None
    return found


def bars_until(house: House, flight: Flight, end: dt.date) -> Prepared:
    ingest(house, CollectRequest(source="synthetic", options=MARKET, end=end), tell=lambda *_: None)
    return prepare(house, choose(house, FAMILY, RIDGE))


def night(house: House, end: dt.date) -> tuple[str, ...]:
    """Bring bars and let the guard look, as a cycle does."""
    with single_flight(house, trigger="test", reason="") as flight:
        prepared = bars_until(house, flight, end)
        flight.outcome = "refused"
        return watch_promotion(house, prepared, choose(house, FAMILY, RIDGE), flight)


def changed(parts: Mapping[str, bytes], factor: float, noise: float) -> dict[str, bytes]:
    """Return a rank ridge with every weight times `factor`, and shaken a little."""
    rng = np.random.default_rng(1)
    document = json.loads(parts["ridge.json"])
    document["weights"] = [w * factor * (1 + noise * rng.standard_normal()) for w in document["weights"]]
    return {"ridge.json": json.dumps(document).encode()}


def force(house: House, factor: float, noise: float = 0.0, session: int | None = None) -> Champion:
    """Promote, by force, a version that orders the tickers as version 1 does, times `factor`."""
    slot, now = house.slot(FAMILY), champion_of(house)
    good = house.registry.load(slot, 1)
    own = ("config_key", "created_at", "family", "files", "format", "libraries", "python", "version")
    manifest = {name: value for name, value in good.manifest.items() if name not in own}
    parts = changed(good.parts, factor, noise)
    made = house.registry.write_candidate(slot, parts=parts, manifest=manifest, at=house.clock.now())
    session = session or prepare(house, choose(house, FAMILY, RIDGE)).panel.last
    with single_flight(house, trigger="manual", reason="a test") as flight:
        flight.outcome = "promoted"
        ruling = Ruling("promoted", "forced", "a test", skill_proven=True, session=session, cycle_id=flight.id)
        return house.registry.promote(
            slot, made.version, ruling, expected=now.entry, held=flight.held, at=house.clock.now()
        )


@pytest.fixture(scope="module")
def forced(house: House) -> Champion:
    return force(house, factor=-1.0)


@pytest.fixture(scope="module")
def nights(house: House, forced: Champion) -> dict[dt.date, tuple[str, ...]]:
    return {end: night(house, end) for end in (FIRST, SOON, LATE)}


def test_first_champion_is_not_under_guard(house: House) -> None:
    with house.state.read() as db:
        assert guarded(db, house.slot(FAMILY)) is None


def test_forced_version_over_a_proven_one_is_under_guard(house: House, forced: Champion) -> None:
    with house.state.read() as db:
        watch = guarded(db, house.slot(FAMILY))
    assert watch is not None
    assert (watch.now, watch.old.version) == (forced, 1)
    assert (
        watch.unseen_from(5) == (forced.session or 0) + 1 or watch.unseen_from(5) == (forced.trained_through or 0) + 6
    )


def test_guard_is_silent_while_too_few_sessions_have_passed(nights: dict[dt.date, tuple[str, ...]]) -> None:
    assert (nights[FIRST], nights[SOON]) == ((), ())


def test_worse_version_is_rolled_back_with_a_record_of_its_own(
    house: House, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    (said,) = nights[LATE]
    assert said.startswith("guard: version 2 has done worse than version 1, which it replaced, on ")
    now = champion_of(house)
    assert (now.version, now.action, now.status, now.skill_proven) == (1, "rollback", "champion", True)
    with house.state.read() as db:
        (word,) = (d for d in decisions.history(db, house.slot(FAMILY)) if d.verdict == "rollback")
    assert (word.reason_code, word.version, word.id) == ("guard", 1, now.decision_id)
    assert word.cycle_id
    found = word.record["guard"]
    assert found["worse"] is True
    assert found["z"] <= found["z_guard"] < -2.4
    assert 40 <= found["n"] <= 63
    assert (word.record["version"], word.record["previous_version"]) == (2, 1)


def test_sessions_that_either_had_seen_are_not_compared(
    house: House, forced: Champion, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    with house.state.read() as db:
        (word,) = (d for d in decisions.history(db, house.slot(FAMILY)) if d.verdict == "rollback")
    assert forced.trained_through is not None
    assert word.record["guard"]["first_session"] == forced.trained_through + 5 + 1


def test_old_version_speaks_of_every_night_while_the_guard_looks(
    house: House, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    """So a rollback serves at once what the old version says of tonight."""
    with house.state.scores.read() as db:
        newest = scoreboards.latest_session(db, house.slot(FAMILY), 1)
        rows = scoreboards.load(db, house.slot(FAMILY), 1, as_of=newest or LATE)
        before = scoreboards.load(db, house.slot(FAMILY), 1, as_of=SOON)
    assert newest == LATE
    assert (len(rows), len(before)) == (40, 40)
    assert {"BUY", "SELL"} <= {row.signal for row in rows}


def test_night_after_a_rollback_finds_nothing_to_watch(house: House, nights: dict[dt.date, tuple[str, ...]]) -> None:
    before = champion_of(house)
    assert night(house, END) == ()
    assert champion_of(house) == before


def test_equal_version_stays_when_the_guard_has_seen_enough(
    house: House, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    good = force(house, factor=1.0, noise=0.05)
    with single_flight(house, trigger="test", reason="") as flight:
        flight.outcome = "refused"
        prepared = bars_until(house, flight, dt.date(2016, 4, 18))
        assert good.session is not None
        assert prepared.panel.last - good.session >= 40
        assert watch_promotion(house, prepared, choose(house, FAMILY, RIDGE), flight) == ()
    assert champion_of(house).version == good.version


def test_version_of_long_ago_is_judged_by_what_comes_after_its_promotion(
    house: House, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    """Promoted by hand, with the session of its examination: what was known meanwhile has had its say."""
    session = champion_of(house).session
    again = force(house, factor=1.0, noise=0.05, session=1)
    with house.state.read() as db:
        watch = guarded(db, house.slot(FAMILY))
    assert watch is not None
    assert (watch.promotion, watch.session) == (again, session)


def test_pinned_champion_is_not_watched(house: House, nights: dict[dt.date, tuple[str, ...]]) -> None:
    slot = house.slot(FAMILY)
    house.registry.pin(slot, on=True, reason="this one", at=house.clock.now())
    with house.state.read() as db:
        assert guarded(db, slot) is None
    house.registry.pin(slot, on=False, reason="enough", at=house.clock.now())
    with house.state.read() as db:
        watch = guarded(db, slot)
    assert watch is not None
    assert watch.promotion.action == "forced"


def test_rollback_by_a_cycle_that_lost_its_lease_changes_nothing(
    house: House, nights: dict[dt.date, tuple[str, ...]]
) -> None:
    slot, entry = house.slot(FAMILY), champion_of(house)
    with single_flight(house, trigger="test", reason="") as flight:
        flight.outcome = "refused"
    with pytest.raises(FailedError, match="lease"):
        house.registry.rollback(
            slot, to=1, reason=Back("a test", by="guard"), expected=entry.entry, held=flight.held, at=house.clock.now()
        )
    with single_flight(house, trigger="test", reason="") as flight:
        flight.outcome = "refused"
        with pytest.raises(FailedError, match="changed meanwhile"):
            house.registry.rollback(
                slot,
                to=1,
                reason=Back("a test", by="guard"),
                expected=entry.entry - 1,
                held=flight.held,
                at=house.clock.now(),
            )
    assert champion_of(house) == entry


def test_guard_that_is_switched_off_looks_at_nothing(house: House, nights: dict[dt.date, tuple[str, ...]]) -> None:
    off = open_house(house.project.root, environ={}, flags={**FLAGS, "guard.enabled": False})
    with off, single_flight(off, trigger="test", reason="") as flight:
        flight.outcome = "refused"
        prepared = prepare(off, choose(off, FAMILY, RIDGE))
        assert watch_promotion(off, prepared, choose(off, FAMILY, RIDGE), flight) == ()
