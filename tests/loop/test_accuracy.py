"""Figures of what was served: which rows count, in which window, beside what, and how sure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.loop.journal import DAYS, LABEL, Desk, desk
from tests.loop.ledgers import NOON, SLOT

from marketloop.core.errors import UsageError
from marketloop.loop.accuracy import accuracy_of, served
from marketloop.loop.looking_back import look_back
from marketloop.loop.settling import ACCURACY, settle
from marketloop.state import Slot, heartbeats
from marketloop.state.champions import Champion
from marketloop.state.scoreboards import Saying

RANKER = Slot("momentum_ranker", SLOT.config_key)
REGRESSOR = Slot("price_regressor", SLOT.config_key)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Desk]:
    made = desk(tmp_path / "project")
    yield made
    made.house.close()


def at(minute: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


def entry(version: int, minute: int) -> Champion:
    moment = at(minute)
    return Champion(SLOT, version, "promote", "champion", True, moment, moment, moment, "1", "0" * 64, 1)


def spoke(day: int, version: int, minute: int) -> Saying:
    return Saying(DAYS[day], version, LABEL, 12, at(minute))


def chosen(entries: Sequence[Champion], sayings: Sequence[Saying]) -> list[tuple[int, int]]:
    return [(DAYS.index(saying.as_of), saying.version) for saying in served(entries, sayings)]


def test_champion_that_held_when_the_next_session_came_is_the_one_that_was_served() -> None:
    entries = [entry(1, 0), entry(2, 25), entry(1, 45)]  # promoted on day 1, rolled back on day 3
    sayings = [spoke(0, 1, 10), spoke(1, 1, 20), spoke(1, 2, 24), spoke(2, 1, 31), spoke(2, 2, 30), spoke(3, 2, 40)]
    sayings.append(spoke(3, 1, 46))
    assert chosen(entries, sayings) == [(0, 1), (1, 2), (2, 2), (3, 1)]


def test_version_that_never_served_and_a_champion_that_was_silent_do_not_count() -> None:
    shadow = [spoke(0, 1, 10), spoke(0, 9, 11), spoke(1, 9, 20)]
    assert chosen([entry(1, 0)], shadow) == [(0, 1)]
    # Promoted after the session was spoken of, and it did not speak of it: the one before was served.
    assert chosen([entry(1, 0), entry(2, 15)], [spoke(0, 1, 10), spoke(1, 2, 20)]) == [(0, 1), (1, 2)]


def words(project: Desk, day: int, right: int) -> list[dict[str, object]]:
    """Say the class that will come true of the first `right` tickers, and a wrong one of the rest."""
    move = project.closes[day + 5] / project.closes[day] - 1
    true = ["BUY" if m > 0.02 else "SELL" if m < -0.02 else "HOLD" for m in move]
    wrong = {"BUY": "SELL", "SELL": "BUY", "HOLD": "BUY"}
    return [
        {"class_name": name if i < right else wrong[name], "probability": 0.6, "score": float(move[i])}
        for i, name in enumerate(true)
    ]


def test_accuracy_counts_rows_whose_label_ended_within_the_window(project: Desk) -> None:
    version = project.crown()
    for day, right in ((70, 12), (80, 3), (81, 6), (82, 9), (86, 0), (87, 0)):
        project.say(version, day, words(project, day, right))
    project.collect(87)
    assert settle(project.house)
    found = accuracy_of(project.house, SLOT, ("7d", "30d"))
    week, month = found["7d"], found["30d"]
    assert (week["matured"], week["value"], week["sessions"]) == (36, 18 / 36, 3)
    assert (month["matured"], month["value"]) == (48, 30 / 48)
    assert (week["through"], week["metric"], week["label"]) == (DAYS[87].isoformat(), "accuracy", LABEL)
    assert (week["immature"], week["estimated"], week["estimated_interval"]) == (24, pytest.approx(0.6), None)
    assert week["interval"] is None
    assert week["note"] == "too few sessions for an interval: 3, at least 60 are needed"
    moves = project.closes[[85, 86, 87]] / project.closes[[80, 81, 82]] - 1
    classes = np.where(moves > 0.02, 2, np.where(moves < -0.02, 0, 1)).ravel()
    assert week["baseline"] == np.bincount(classes).max() / 36


def test_half_a_year_has_an_interval_and_an_estimate_with_one(project: Desk) -> None:
    version = project.crown()
    for day in range(60, 200):
        project.say(version, day, words(project, day, 4 + day % 5))
    project.collect(199)
    settle(project.house)
    year = accuracy_of(project.house, SLOT, ("1y",))["1y"]
    low, high = year["interval"]
    assert year["sessions"] == 135
    assert low < year["value"] < high
    low, high = year["estimated_interval"]
    assert year["estimated"] == pytest.approx(0.6)
    assert low < 0.6 < high
    assert year["note"] == ""


def test_revised_bars_change_the_figure_and_leave_the_journal_alone(project: Desk) -> None:
    version = project.crown()
    project.say(version, 80, words(project, 80, 12))
    project.collect(85)
    settle(project.house)
    assert accuracy_of(project.house, SLOT, ("7d",))["7d"]["value"] == 1.0
    said = words(project, 80, 12)[5]["class_name"]
    project.closes[85, 5] = project.closes[80, 5] * (0.5 if said != "SELL" else 1.5)
    project.collect(85)
    assert settle(project.house)
    assert accuracy_of(project.house, SLOT, ("7d",))["7d"]["value"] == 11 / 12


def test_ranker_is_judged_by_rank_correlation_and_regressor_by_its_error(project: Desk) -> None:
    one, two = project.crown(RANKER), project.crown(REGRESSOR)
    for day in (80, 81):
        move = project.closes[day + 5] / project.closes[day] - 1
        project.say(one, day, [{"label": "rank/5", "score": float(m)} for m in move], slot=RANKER)
        project.say(two, day, [{"label": "return/5", "score": float(m) + 0.01} for m in move], slot=REGRESSOR)
    project.collect(86)
    settle(project.house)
    rank = accuracy_of(project.house, RANKER, ("30d",))["30d"]
    error = accuracy_of(project.house, REGRESSOR, ("30d",))["30d"]
    assert (rank["metric"], rank["value"], rank["baseline"]) == ("rank_ic", pytest.approx(1.0), 0.0)
    assert (error["metric"], error["value"]) == ("rmse", pytest.approx(0.01))
    moves = project.closes[[85, 86]] / project.closes[[80, 81]] - 1
    assert error["baseline"] == pytest.approx(moves.std())
    assert rank["estimated"] is error["estimated"] is None


def test_predictions_of_another_label_are_not_mixed_in(project: Desk) -> None:
    version = project.crown()
    project.say(version, 79, [{"label": "direction/3/0.01", "class_name": "BUY", "probability": 0.5}] * 12)
    project.say(version, 80, words(project, 80, 6))
    project.collect(86)
    settle(project.house)
    assert accuracy_of(project.house, SLOT, ("30d",))["30d"]["matured"] == 12


def test_nothing_matured_is_no_figure_and_says_so(project: Desk) -> None:
    version = project.crown()
    project.collect(80)
    settle(project.house)
    empty = accuracy_of(project.house, SLOT, ("7d",))["7d"]
    assert (empty["matured"], empty["value"], empty["through"]) == (0, None, None)
    project.say(version, 80, words(project, 80, 6))
    settle(project.house)
    waiting = accuracy_of(project.house, SLOT, ("7d",))["7d"]
    assert (waiting["matured"], waiting["immature"], waiting["value"]) == (0, 12, None)
    assert waiting["note"] == "nothing has matured in this window"


def test_loop_leaves_the_figures_where_readers_find_them(project: Desk) -> None:
    version = project.crown()
    project.say(version, 80, words(project, 80, 6))
    project.collect(86)
    settle(project.house)
    with project.house.state.read() as db:
        beat = heartbeats.last(db, ACCURACY)
    assert beat is not None
    (family,) = beat.document["families"]
    assert (family["family"], family["config_key"]) == (SLOT.family, SLOT.config_key)
    assert family["windows"]["30d"] == accuracy_of(project.house, SLOT, ("30d",))["30d"]
    assert set(family["windows"]) == {"7d", "30d", "365d"}


def test_document_has_the_keys_of_its_first_family_and_all_families_below(project: Desk) -> None:
    ranker, version = project.crown(RANKER), project.crown()
    project.say(version, 80, words(project, 80, 6))
    project.say(ranker, 80, [{"label": "rank/5", "score": float(i)} for i in range(12)], slot=RANKER)
    project.collect(86)
    document = look_back(project.house, None, window="14d", usual=("7d", "30d"))
    assert {"window", "matured", "value", "baseline", "interval", "immature", "estimated", "estimated_interval"} <= set(
        document
    )
    assert (document["family"], document["window"], document["matured"], document["value"]) == (
        "price_predictor",
        "14d",
        12,
        0.5,
    )
    assert [f["family"] for f in document["families"]] == ["momentum_ranker", "price_predictor"]
    assert set(document["families"][0]["windows"]) == {"7d", "30d"}
    assert look_back(project.house, "momentum_ranker", window="7d")["metric"] == "rank_ic"


def test_family_without_champion_and_window_without_sense_are_refused(project: Desk) -> None:
    with pytest.raises(UsageError, match="has no champion yet"):
        look_back(project.house, "price_predictor", window="7d")
    with pytest.raises(UsageError, match="unknown family"):
        look_back(project.house, "price_prodictor", window="7d")
    with pytest.raises(UsageError, match="expected a number and y, mo, w or d"):
        look_back(project.house, None, window="soon")
    assert look_back(project.house, None, window="7d") == {"window": "7d", "families": []}


def test_clocks_that_disagree_do_not_change_who_served() -> None:
    early = replace(entry(2, -500), entry=2)
    assert chosen([entry(1, 0), early], [spoke(0, 1, 10), spoke(0, 2, 11), spoke(1, 2, 20)]) == [(0, 2), (1, 2)]
