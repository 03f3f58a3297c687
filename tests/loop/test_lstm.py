"""A family that learns sequences goes the whole road, and without the extra it alone fails."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.extras import needs_lstm

from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.preparing import Choices
from marketloop.loop.ranking import rank
from marketloop.loop.results import CycleResult, FamilyResult
from marketloop.runtime.project import create_project
from marketloop.runtime.template import record_settings

MARKET = CollectRequest(source="synthetic", options={"tickers": 20, "sessions": 640, "seed": 5, "start": "2013-01-02"})
SHORT = {"steps": 5, "hidden": 4, "epochs": 2, "epoch_rows": 2000}


def project(root: Path) -> House:
    """A project whose ranker learns sequences, and whose regressor does not."""
    create_project(root)
    settings = {
        "tracking.enabled": False,
        "features.set": "basic",
        "family.momentum_ranker.recipes": ["lstm"],
        "family.price_regressor.recipes": ["rank_ridge"],
    }
    record_settings(root / "marketloop.toml", settings)
    return open_house(root, environ={})


def of(cycle: CycleResult, family: str) -> FamilyResult:
    return next(result for result in cycle.families if result.family == family)


def test_family_whose_recipe_lacks_its_extra_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jax", "optax"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "marketloop.models.descent", raising=False)
    with project(tmp_path / "project") as house:
        cycle = run_cycle(house, CycleRequest(("momentum_ranker", "price_regressor"), collect=MARKET))
    assert of(cycle, "momentum_ranker").verdict == "failed"
    assert "pip install 'marketloop[lstm]'" in str(of(cycle, "momentum_ranker").error)
    assert of(cycle, "price_regressor").verdict == "provisional"


@needs_lstm
def test_ranker_that_learns_sequences_is_examined_kept_and_asked_like_any_other(tmp_path: Path) -> None:
    with project(tmp_path / "project") as house:
        choices = Choices(recipes=("lstm",), params=SHORT)
        cycle = run_cycle(house, CycleRequest(("momentum_ranker",), choices=choices, collect=MARKET))
        result = of(cycle, "momentum_ranker")
        assert (result.verdict, result.reason_code, result.error) == ("provisional", "first", None)
        assert all(check.passed for check in result.checks if check.hard)
        scores = [row["score"] for row in rank(house).document()["ranking"]]
    assert len(scores) == 20
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 20
