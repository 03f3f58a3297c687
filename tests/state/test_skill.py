from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.core.errors import RefusedError
from marketloop.state import Slot, State, skill
from marketloop.state.skill import Finding, Year


@pytest.fixture
def year(slot: Slot, noon: dt.datetime) -> Year:
    return Year("s1", slot, 1000, 600, 0, 0.025, 2.34, noon)


def test_year_is_fixed_when_it_opens(state: State, year: Year, noon: dt.datetime) -> None:
    with state.write() as db:
        assert skill.open_year(db, year) == year
        assert skill.open_year(db, replace(year, opened_at=noon + dt.timedelta(days=1))) == year
        with pytest.raises(RefusedError, match=r"is open with n0 600, alpha 0\.025, z\* 2\.34"):
            skill.open_year(db, replace(year, z_star=1.96))


def test_year_of_a_session_is_the_latest_that_started(state: State, year: Year, slot: Slot) -> None:
    second = replace(year, start_session=1250, n0=850)
    with state.write() as db:
        for one in (year, second, replace(year, stream_id="s2", start_session=1300, k=1)):
            skill.open_year(db, one)
        found = [skill.find_year(db, "s1", session=s) for s in (999, 1000, 1249, 1250, 9999)]
        assert [y.k for y in skill.years(db, slot)] == [0, 0, 1]
    assert found == [None, year, year, second, second]


def test_skill_stays_proven_until_it_is_lost_and_a_night_twice_is_one_look(
    state: State, slot: Slot, noon: dt.datetime
) -> None:
    proven = Finding("s1", slot, 1010, "proven", 2.5, 610, noon)
    lost = replace(proven, session=1100, state="lost", z=-3.2)
    with state.write() as db:
        assert skill.current(db, "s1") is None
        looks = (proven, proven, replace(proven, session=1011, z=2.6), lost, lost)
        assert [skill.record(db, look) for look in looks] == [True, False, False, True, False]
        assert skill.current(db, "s1") == lost
        assert skill.current(db, "s2") is None
