"""What goes into a matrix, what names a recipe, and what a saved model must prove."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from marketloop.core.errors import FailedError, MarketLoopError, UsageError
from marketloop.core.values import StrategyConfig
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.loop.api import Model
from marketloop.loop.checks import LeakReports
from marketloop.loop.house import open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import choose, complete_sessions, prepare
from marketloop.models.ridge import RankRidge
from marketloop.runtime.project import create_project

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(30)]


def bars_of(last_session: int) -> pl.DataFrame:
    """Ten tickers on thirty days, of which only `last_session` have a bar on the last one."""
    rows = [(day, f"T{i}") for day in DAYS for i in range(10) if day != DAYS[-1] or i < last_session]
    return pl.DataFrame(rows, schema={"date": pl.Date, "ticker": pl.String}, orient="row")


def test_session_that_is_still_arriving_is_left_out_and_named() -> None:
    kept, late = complete_sessions(bars_of(4))
    assert late == (DAYS[-1],)
    assert kept["date"].max() == DAYS[-2]


@pytest.mark.parametrize("last_session", [5, 10])
def test_session_with_half_of_the_tickers_counts_as_arrived(last_session: int) -> None:
    kept, late = complete_sessions(bars_of(last_session))
    assert (late, len(kept)) == ((), 290 + last_session)


def test_ticker_that_describes_the_market_is_not_traded_in_it(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    house = open_house(tmp_path / "p", environ={}, flags={"context.vix": "SYN003", "features.set": "basic"})
    ingest(house, CollectRequest(source="synthetic", options={"tickers": 12, "sessions": 400}))
    prepared = prepare(house, choose(house, "price_predictor"))
    assert prepared.market.tickers == ("SYN003",)
    assert "SYN003" not in prepared.panel.tickers
    assert len(prepared.panel.tickers) == 11
    assert not prepared.matrix.X.flags.writeable


PLUGIN = """
from marketloop.core.catalog import Recipe
from marketloop.models.ridge import RankRidge

def register(catalog):
    catalog.add(Recipe(
        name="own", build=lambda params, seed, threads: RankRidge(penalty={penalty}), defaults={{}},
        from_parts=RankRidge.from_parts, needs_ranks=True,
    ))
"""


def test_another_source_of_a_plugin_recipe_is_another_stream(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    settings = 'plugins = ["own.py"]\n[family.price_predictor]\nrecipes = ["own"]\n'
    (tmp_path / "p" / "marketloop.toml").write_text(settings)
    prints = []
    for penalty in (1.5, 1.5, 4.0):
        (tmp_path / "p" / "own.py").write_text(PLUGIN.format(penalty=penalty))
        house = open_house(tmp_path / "p", environ={})
        prints.append(choose(house, "price_predictor").fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_alpha_is_shared_by_the_families_when_the_scope_is_the_project(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    house = open_house(tmp_path / "p", environ={}, flags={"gate.alpha_scope": "project"})
    assert gate_policy(house.settings, "price_predictor", families=2).alpha_skill == 0.0125


def test_unknown_floor_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    house = open_house(tmp_path / "p", environ={}, flags={"gate.floors": {"acuracy": 0.5}})
    with pytest.raises(UsageError, match='Did you mean "accuracy"'):
        choose(house, "price_predictor")


def test_setting_that_names_nothing_is_reported_with_its_line(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    settings = tmp_path / "p" / "marketloop.toml"
    settings.write_text('[features]\nset = "extnded"\n')
    with pytest.raises(UsageError, match=r'marketloop.toml:2: unknown feature set "extnded".*extended'):
        open_house(tmp_path / "p", environ={})


def saved(folder: Path, name: str = "ridge.json", sha256: str | None = None) -> Path:
    folder.mkdir()
    part = RankRidge().parts()["ridge.json"]
    (folder / "ridge.json").write_bytes(part)
    about = {"sha256": sha256 or hashlib.sha256(part).hexdigest(), "size": len(part)}
    manifest = {"recipe": "rank_ridge", "features": [], "files": {name: about}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_saved_model_reads_back(tmp_path: Path) -> None:
    assert isinstance(Model.load(saved(tmp_path / "m")).learner, RankRidge)


def test_saved_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="save the model again"):
        Model.load(saved(tmp_path / "m", sha256="0" * 64))


def test_saved_model_cannot_name_a_file_outside_its_folder(tmp_path: Path) -> None:
    with pytest.raises(MarketLoopError):
        Model.load(saved(tmp_path / "m", name="../ridge.json"))


def test_simulated_market_has_no_session_that_is_still_arriving() -> None:
    bars = simulate(MarketSpec(tickers=12, sessions=40)).bars
    assert complete_sessions(bars)[1] == ()
    assert StrategyConfig().key == "rsi10_vol20_support20"


def test_leak_question_is_asked_once_for_families_with_the_same_features(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    house = open_house(tmp_path / "p", environ={}, flags={"features.set": "basic"})
    ingest(house, CollectRequest(source="synthetic", options={"tickers": 12, "sessions": 400}))
    price, ranker = (prepare(house, choose(house, name)) for name in ("price_predictor", "momentum_ranker"))
    asked = LeakReports()
    first = asked.of(price)
    assert asked.of(ranker) is first
    assert asked.of(replace(ranker, features=ranker.features[:3])).checked == 3
