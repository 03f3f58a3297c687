"""When schedules fall due: on the wall clock of an exchange, also when that is changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop.house import House, open_house
from marketloop.loop.schedules import Schedule, plan, project_zone
from marketloop.runtime.project import create_project

NEW_YORK = "America/New_York"


def slots(line: str, first: str, last: str, zone: str = NEW_YORK) -> list[str]:
    """Return what falls due after midnight (UTC) of `first` and up to that of `last`."""
    begin, end = (dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) for day in (first, last))
    found = Schedule("x", ("x",), line, zone).slots(begin, end)
    return [f"{slot:%m-%d %H:%M}" for slot in found]


def house_of(
    folder: Path, settings: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> House:
    create_project(folder / "p", settings=settings)
    return open_house(folder / "p", environ=environ or {})


def lines(house: House) -> dict[str, tuple[tuple[str, ...], str, bool]]:
    return {s.name: (s.families, s.line, s.tune) for s in plan(house.settings, house.catalog)}


def test_night_falls_due_on_the_wall_clock_in_winter_and_in_summer() -> None:
    assert slots("0 2 * * *", "2024-01-10", "2024-01-12") == ["01-10 07:00", "01-11 07:00"]
    assert slots("0 2 * * *", "2024-07-10", "2024-07-12") == ["07-10 06:00", "07-11 06:00"]


def test_time_that_the_spring_skips_is_due_once_right_after_the_gap() -> None:
    assert slots("0 2 * * *", "2024-03-09", "2024-03-12") == ["03-09 07:00", "03-10 07:00", "03-11 06:00"]
    assert slots("30 2 * * *", "2024-03-09", "2024-03-12") == ["03-09 07:30", "03-10 07:00", "03-11 06:30"]
    assert slots("15 2 * * *", "2024-10-05", "2024-10-07", "Australia/Lord_Howe") == ["10-05 15:30", "10-06 15:15"]


def test_every_hour_of_a_spring_night_is_due_once() -> None:
    night = slots("0 * * * *", "2024-03-10", "2024-03-11")
    assert night[4:9] == ["03-10 05:00", "03-10 06:00", "03-10 07:00", "03-10 08:00", "03-10 09:00"]


def test_time_that_the_autumn_shows_twice_is_due_once() -> None:
    assert slots("30 1 * * *", "2024-11-02", "2024-11-05") == ["11-02 05:30", "11-03 05:30", "11-04 06:30"]


def test_weekdays_are_numbered_as_cron_numbers_them() -> None:
    for sunday in ("0", "7", "sun", "SUN"):
        assert slots(f"0 3 * * {sunday}", "2024-01-01", "2024-01-15") == ["01-07 08:00", "01-14 08:00"]
    assert slots("0 3 * * 1-5/2", "2024-01-01", "2024-01-08") == ["01-01 08:00", "01-03 08:00", "01-05 08:00"]
    assert slots("0 3 * * sat-mon", "2024-01-02", "2024-01-09") == ["01-06 08:00", "01-07 08:00", "01-08 08:00"]


def test_both_days_of_a_line_must_hold() -> None:
    assert slots("0 3 1-7 * sat", "2024-01-01", "2024-03-01") == ["01-06 08:00", "02-03 08:00"]


def test_29_february_on_a_monday_is_rare_but_comes() -> None:
    assert slots("0 0 29 2 mon", "2024-01-01", "2060-01-01", "UTC") == ["02-29 00:00"]


def test_default_profile_is_nightly_and_in_full_on_sundays(tmp_path: Path) -> None:
    assert lines(house_of(tmp_path)) == {
        "nightly": (("price_predictor", "momentum_ranker"), "0 2 * * *", False),
        "full": (("price_predictor", "momentum_ranker"), "0 3 * * sun", True),
        "quarterly": (("regime_classifier",), "0 2 1 1,4,7,10 *", False),
    }


def test_calm_profile_is_monthly_and_without_a_search(tmp_path: Path) -> None:
    house = house_of(tmp_path, environ={"MARKETLOOP_RETRAINING__SCHEDULE": "calm"})
    assert lines(house) == {
        "monthly": (("price_predictor", "momentum_ranker"), "0 2 1 * *", False),
        "quarterly": (("regime_classifier",), "0 2 1 1,4,7,10 *", False),
    }


def test_profile_off_schedules_nothing_own_lines_included(tmp_path: Path) -> None:
    house = house_of(tmp_path, {"retraining.schedule": "off", "family.price_predictor.schedule": "0 1 * * *"})
    assert lines(house) == {}


def test_enabled_family_joins_by_its_cadence_and_a_family_with_a_line_follows_it_alone(tmp_path: Path) -> None:
    settings = {"family.price_regressor.enabled": True, "family.momentum_ranker.schedule": "30 18 * * mon-fri"}
    found = lines(house_of(tmp_path, settings))
    assert found["nightly"][0] == ("price_predictor",)
    assert found["full"][0] == ("price_predictor", "price_regressor")
    assert found["momentum_ranker"] == (("momentum_ranker",), "30 18 * * mon-fri", False)


def test_disabled_family_is_in_no_schedule(tmp_path: Path) -> None:
    found = lines(
        house_of(tmp_path, {"family.momentum_ranker.enabled": False, "family.regime_classifier.enabled": False})
    )
    assert {families for families, _, _ in found.values()} == {("price_predictor",)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0 31 2 *", "would never fire"),
        ("0 0 30 feb *", "would never fire"),
        ("0 25 * * *", "23"),
        ("0 2 * *", "five fields"),
        ("@daily", "five fields"),
        ("0 2 * * fun", "no day of the week"),
        ("0 2 * * 1/0", "step above 0"),
        ("0 2 * * 5-", "no day of the week"),
        ("a b c d e", "no day of the week"),
        ("", "five fields"),
    ],
)
def test_wrong_line_is_refused_with_the_place_where_it_was_given(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        house_of(tmp_path, {"family.price_predictor.schedule": line})
    assert said in str(error.value)
    assert "family.price_predictor.schedule" in str(error.value)
    assert "marketloop.toml:" in str(error.value)
    with pytest.raises(UsageError, match="MARKETLOOP_FAMILY__PRICE_PREDICTOR__SCHEDULE"):
        house_of(tmp_path / "2", environ={"MARKETLOOP_FAMILY__PRICE_PREDICTOR__SCHEDULE": line})


@pytest.mark.parametrize("zone", ["America/New_Yrok", "America", "../etc/passwd", "", "EST5EDT6"])
def test_wrong_time_zone_is_refused_with_the_nearest_right_one(tmp_path: Path, zone: str) -> None:
    with pytest.raises(UsageError, match="expected a time zone such as America/New_York") as error:
        house_of(tmp_path, {"project.timezone": zone})
    if zone == "America/New_Yrok":
        assert 'Did you mean "America/New_York"?' in str(error.value)


def test_time_zone_is_the_exchange_s_unless_it_is_given(tmp_path: Path) -> None:
    assert project_zone(house_of(tmp_path / "1", {"project.calendar": "XTKS"}).settings) == "Asia/Tokyo"
    given = {"project.calendar": "XTKS", "project.timezone": "Europe/Berlin"}
    assert project_zone(house_of(tmp_path / "2", given).settings) == "Europe/Berlin"
    assert project_zone(house_of(tmp_path / "3", {"project.calendar": "24/7"}).settings) == "UTC"
