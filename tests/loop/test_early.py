"""A night that finds nothing new ends before anything that learns is loaded; nothing that is due is passed over."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from marketloop.loop.conditions import trained_through, why_not
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.early import nothing_new
from marketloop.loop.house import House, open_house
from marketloop.loop.preparing import Choices, choose, prepare
from marketloop.runtime.clock import FixedClock
from marketloop.runtime.project import create_project
from marketloop.state import cycles, scoreboards, streams, versions

FAMILIES = ("price_predictor", "momentum_ranker")
MARKET = {"tickers": 12, "sessions": 520, "seed": 3, "start": "2013-01-02"}
LEARNERS = ("sklearn", "xgboost", "lightgbm", "optuna", "skops", "scipy.stats", "plotly", "pandas")
SETTINGS = {
    "tracking.enabled": False,
    "data.source": "synthetic",
    "features.set": "basic",
    **{f"family.{family}.recipes": ["rank_ridge"] for family in FAMILIES},
    "family.regime_classifier.enabled": False,
}


def opened(root: Path, *, day: dt.date = dt.date(2014, 12, 1)) -> House:
    at = FixedClock(dt.datetime.combine(day, dt.time(23), dt.UTC))
    return open_house(root, environ={}, flags={"data.options": MARKET}, clock=at)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project of a simulated market that was retrained once, in the evening of 1 December 2014."""
    project = create_project(tmp_path_factory.mktemp("early") / "p", settings=SETTINGS)
    with opened(project.root) as house:
        result = run_cycle(house, CycleRequest())
        assert {turn.verdict for turn in result.families} <= {"provisional", "promoted"}
    return project.root


def test_cycle_without_new_bars_is_recorded_as_skipped_with_its_reasons(root: Path) -> None:
    with opened(root) as house:
        result = run_cycle(house, CycleRequest())
        with house.state.read() as db:
            recorded = cycles.get(db, str(result.cycle_id))
    assert recorded is not None
    assert result.outcome == recorded.outcome == "skipped"
    assert [turn["reason_code"] for turn in recorded.document["families"]] == ["not_due", "not_due"]
    for turn in result.families:
        assert turn.reason.startswith(
            "0 labels have become known since the last training (through 2014-12-01), at least 12"
        )


def test_decision_says_what_the_conditions_say_of_the_rows(root: Path) -> None:
    with opened(root) as house:
        early = nothing_new(house, FAMILIES, CycleRequest())
        for family in FAMILIES:
            spec = choose(house, family)
            assert why_not(house, family, spec, prepare(house, spec)) == early[family]


def test_family_that_was_not_heard_on_the_newest_session_is_heard_and_not_passed_over(
    root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "p")
    for path in (tmp_path / "p").glob("scoreboard.db*"):
        path.unlink()
    with opened(tmp_path / "p") as house:
        assert nothing_new(house, FAMILIES, CycleRequest()) == {}
        assert run_cycle(house, CycleRequest()).outcome == "skipped"
        for family in FAMILIES:
            champion = house.registry.champion(house.slot(family))
            assert champion is not None
            with house.state.scores.read() as db:
                assert scoreboards.latest_session(db, champion.slot, champion.version) == dt.date(2014, 12, 1)
        assert set(nothing_new(house, FAMILIES, CycleRequest())) == set(FAMILIES)


def test_recipe_that_was_interrupted_before_its_verdict_is_due_although_another_was_trained(
    root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "p")
    with opened(tmp_path / "p") as house:
        slot = house.slot("price_predictor")
        with house.state.write() as db:
            held = streams.find(db, slot)
            assert held is not None
            newest = versions.listing(db, slot)[-1].scorecard
            streams.close(db, held.id, session=newest["trained_through"], because="another recipe")
            streams.open_stream(db, slot, fingerprint="other", session=newest["trained_through"], at=house.clock.now())
        assert newest["fingerprint"] == held.fingerprint
        assert trained_through(house, "price_predictor", "other") is None


def test_new_session_leaves_no_family_out(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "p")
    day = dt.date(2014, 12, 2)
    with opened(tmp_path / "p", day=day) as house:
        newest = house.store.read(start=dt.date(2014, 12, 1))
        house.store.merge(newest.with_columns(date=pl.lit(day)), metadata={})
        assert nothing_new(house, FAMILIES, CycleRequest()) == {}


def test_other_recipe_forced_or_chosen_retraining_leaves_no_family_out(root: Path) -> None:
    with opened(root) as house:
        for request in (
            CycleRequest(force=True, reason="a test"),
            CycleRequest(("price_predictor",), choices=Choices(recipes=("rank_ridge",))),
        ):
            assert nothing_new(house, ("price_predictor",), request) == {}
    flags = {"data.options": MARKET, "family.price_predictor.target_days": 10}
    with open_house(root, environ={}, flags=flags) as house:
        assert set(nothing_new(house, FAMILIES, CycleRequest())) == {"momentum_ranker"}


def test_project_without_bars_or_training_leaves_no_family_out(tmp_path: Path) -> None:
    create_project(tmp_path / "p", settings=SETTINGS)
    with opened(tmp_path / "p") as house:
        assert nothing_new(house, FAMILIES, CycleRequest()) == {}


def test_night_that_finds_nothing_loads_nothing_that_learns(tmp_path: Path) -> None:
    program = f"""
import json, sys
from pathlib import Path
from marketloop.cli import main
root = Path({str(tmp_path / "p")!r})
from marketloop.runtime.project import create_project
create_project(root, settings={{**json.loads({json.dumps(json.dumps(SETTINGS))}), "data.source": "sample"}})
assert main(["--project", str(root), "collect"]) == 0
from marketloop.loop import conditions, early
early.trained_through = lambda *_: 10**6
before = {{name for name in {LEARNERS!r} if name in sys.modules}}
sys.stdout.flush()
code = main(["--project", str(root), "retrain", "--json"])
print(json.dumps([code, sorted(name for name in {LEARNERS!r} if name in sys.modules and name not in before)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
    assert '"outcome": "skipped"' in done.stdout
