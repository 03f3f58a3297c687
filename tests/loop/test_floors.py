"""Floors are the user's wish: inclusive, in points and relative, and never a test of skill."""

from __future__ import annotations

import pytest

from marketloop.core.catalog import Check
from marketloop.loop.floors import figure_floor, loss_floor
from marketloop.loop.house import House, open_house
from marketloop.loop.preparing import floor_names
from marketloop.runtime.project import create_project


@pytest.mark.parametrize(("value", "passed"), [(0.6, True), (0.1 + 0.5, True), (0.5999, False), (None, False)])
def test_floor_is_inclusive_and_what_was_not_measured_is_below_it(value: float | None, passed: bool) -> None:
    check = figure_floor("accuracy", value, 0.6)
    assert (check.name, check.passed, check.hard) == ("floor:accuracy", passed, False)


def lost(own: float, before: float) -> Check:
    return loss_floor({"accuracy": own}, {"accuracy": before}, 10.0, champion=3)


@pytest.mark.parametrize(
    ("own", "before", "passed"), [(0.70, 0.80, True), (0.699, 0.80, False), (0.9, 0.8, True), (0.3, 0.4, True)]
)
def test_ten_points_may_be_lost_and_not_more(own: float, before: float, passed: bool) -> None:
    assert lost(own, before).passed is passed


def test_loss_is_printed_in_points_and_relative_to_what_it_was() -> None:
    detail = lost(0.65, 0.80).detail
    assert "accuracy 0.650 against 0.800 of version 3: 15.0 points lost (-18.8% relative)" in detail
    assert "5.0 points gained (+6.2% relative)" in lost(0.85, 0.80).detail


def test_without_a_champion_there_is_nothing_to_lose() -> None:
    assert loss_floor({"accuracy": 0.2}, {}, 10.0, champion=None).passed
    assert loss_floor({"accuracy": 0.2}, {"rmse": 1.0}, 10.0, champion=2).passed


def test_accuracy_that_is_gone_altogether_fails() -> None:
    assert not loss_floor({}, {"accuracy": 0.5}, 10.0, champion=2).passed


@pytest.fixture
def strict(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("floors") / "project"
    create_project(root)
    return open_house(root, environ={}, flags={"gate.profile": "strict", "gate.floors": {"points_lost": 5}})


def test_strict_profile_has_three_floors_and_own_ones_win(strict: House) -> None:
    assert floor_names(strict, "price_predictor") == {"accuracy": 0.70, "f1_score": 0.65, "points_lost": 5}
