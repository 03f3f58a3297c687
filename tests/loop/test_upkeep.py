"""Between cycles the loop lets champions speak of what is new: when bars come, and when the champion changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from marketloop.loop.by_hand import promote_by_hand
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.early import lagging
from marketloop.loop.helm import Helm
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.settling import ACCURACY, news
from marketloop.loop.steering import pin, roll_back, set_rollout
from marketloop.loop.upkeep import Upkeep
from marketloop.runtime.project import create_project
from marketloop.state import heartbeats, outcomes, scoreboards

MARKET = {"tickers": 24, "sessions": 640, "seed": 3, "start": "2013-01-02"}
SETTINGS = {"tracking.enabled": False, "retraining.schedule": "off", "features.set": "basic"}
FIRST, NEXT = dt.date(2015, 6, 1), dt.date(2015, 6, 2)
LATER, LAST = dt.date(2015, 6, 10), dt.date(2015, 6, 11)


@dataclass
class Scene:
    """A project with two versions, of which the second serves, and the upkeep of its loop."""

    house: House
    upkeep: Upkeep

    def arrive(self, day: dt.date) -> None:
        ingest(self.house, CollectRequest(source="synthetic", options=MARKET, end=day))

    def keep_up(self) -> bool:
        """Do one round, and wait for what it began."""
        begun = self.upkeep.look()
        self.upkeep.wait(120.0)
        return begun

    def heard(self, version: int) -> dt.date | None:
        with self.house.state.scores.read() as db:
            return scoreboards.latest_session(db, self.house.slot("price_predictor"), version)

    @property
    def helm(self) -> Helm:
        return Helm(self.house.project, self.house.settings)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("upkeep") / "project"
    create_project(root, settings=SETTINGS)
    with open_house(root, environ={}) as house:
        for day in (FIRST, NEXT):
            request = CycleRequest(
                ("price_predictor",),
                choices=Choices(recipes=("rank_ridge",), params={"penalty": 1.5}),
                collect=CollectRequest(source="synthetic", options=MARKET, end=day),
                force=True,
                reason="a version for the test",
            )
            assert run_cycle(house, request).families[0].version is not None
        made = Upkeep(house)
        yield Scene(house, made)
        made.stop(patience=5.0)


def test_cycle_has_settled_for_itself(scene: Scene) -> None:
    with scene.house.state.read() as db:
        beat = heartbeats.last(db, ACCURACY)
    assert beat is not None
    assert beat.document["news"] == news(scene.house)
    assert not scene.keep_up()
    log = (scene.house.project.logs / "predictions.log").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[1:3] for line in log] == [
        ["price_predictor v1", f"as of {FIRST}"],
        ["price_predictor v1", f"as of {NEXT}"],
        ["price_predictor v2", f"as of {NEXT}"],
    ] or [line.split(" | ")[1:3] for line in log] == [
        ["price_predictor v1", f"as of {FIRST}"],
        ["price_predictor v2", f"as of {NEXT}"],
    ]


def test_champion_speaks_of_bars_that_came_without_a_cycle_and_outcomes_are_joined(scene: Scene) -> None:
    scene.arrive(LATER)
    assert lagging(scene.house) == ("price_predictor",)
    assert scene.keep_up()
    assert scene.heard(2) == LATER
    assert lagging(scene.house) == ()
    with scene.house.state.scores.read() as db:
        joined = outcomes.latest(db, "direction/5/0.02", since=FIRST)
    assert {day for day, _ in joined} == {FIRST, NEXT}
    assert not scene.keep_up()


def test_version_that_comes_back_by_a_rollback_speaks_within_a_round(scene: Scene) -> None:
    assert scene.heard(1) in {FIRST, NEXT}
    told = roll_back(scene.helm, "price_predictor", to=1, reason="a test")
    assert told["stale"]
    assert scene.keep_up()
    assert scene.heard(1) == LATER
    assert not scene.keep_up()


def test_version_that_is_tried_or_promoted_or_pinned_by_hand_speaks_too(scene: Scene) -> None:
    scene.arrive(LAST)
    set_rollout(scene.helm, "price_predictor", mode="shadow", version=2, share=None, reason="try it")
    assert scene.keep_up()
    assert (scene.heard(1), scene.heard(2)) == (LAST, LAST)
    promote_by_hand(scene.house, "price_predictor", 2, reason="a test")
    assert scene.keep_up()  # nothing to say, but the figures are of another champion
    pin(scene.helm, "price_predictor", 1, reason="a test")
    assert scene.keep_up()
    assert scene.heard(1) == LAST
    assert not scene.keep_up()


def test_upkeep_that_fails_is_tried_again_later_and_not_at_once(scene: Scene) -> None:
    settings = scene.house.project.settings_file
    text = settings.read_text(encoding="utf-8")
    settings.write_text("alpha_skil = 1\n" + text, encoding="utf-8")
    try:
        scene.arrive(dt.date(2015, 6, 12))
        assert scene.keep_up()
        assert not scene.keep_up()
    finally:
        settings.write_text(text, encoding="utf-8")
    again = Upkeep(scene.house)  # the next worker looks anew
    assert again.look()
    again.wait(120.0)
    assert scene.heard(1) == dt.date(2015, 6, 12)
