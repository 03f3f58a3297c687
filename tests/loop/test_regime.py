"""The regime classifier in a project: market series in, one row per session, one word about the market out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.evaluation.indices import binned_recipe

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.data.calendar import load_sessions
from marketloop.data.sources.protocol import SERIES_SCHEMA
from marketloop.evaluation.skill_series import log_probability
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.api import Model
from marketloop.loop.context import MissingContextError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.listing import champions, models
from marketloop.loop.market_rows import MARKET
from marketloop.loop.pairing import against_champion
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices, choose, prepare
from marketloop.loop.regime_view import regime_view
from marketloop.loop.results import FamilyResult
from marketloop.loop.shares import never_seen
from marketloop.loop.streams import open_stored
from marketloop.loop.training import train_family
from marketloop.runtime.clock import FixedClock
from marketloop.runtime.project import create_project
from marketloop.state import scoreboards

FAMILY = "regime_classifier"
MARKET_OPTIONS = {"tickers": 3, "sessions": 1230, "seed": 5, "start": "2010-01-04"}
DAYS: list[dt.date] = load_sessions("XNYS", dt.date(2010, 1, 4), dt.date(2016, 1, 1)).dates.astype(object).tolist()
LAST, EARLY, LATER = DAYS[1199], DAYS[1199 + 19], DAYS[1199 + 20]


def opened(root: Path, clock: dt.date = LAST, flags: Mapping[str, Any] | None = None) -> House:
    """Open the project, made if need be, as of the evening of `clock`."""
    if not root.exists():
        create_project(root)
    at = FixedClock(dt.datetime.combine(clock, dt.time(23), dt.UTC))
    house = open_house(root, environ={}, flags={"tracking.enabled": False, **(flags or {})}, clock=at)
    house.catalog.add(binned_recipe())
    return house


def spec_of(house: House, **choices: Any) -> StreamSpec:
    return replace(choose(house, FAMILY, Choices(recipes=("binned",), **choices)), small=True)


def turn(house: House, *families: str, force: bool = False) -> FamilyResult:
    request = CycleRequest(
        families or (FAMILY,), choices=Choices(recipes=("binned",)), force=force, reason="a test" if force else ""
    )
    return run_cycle(house, request).families[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project with bars and series, and the regime classifier retrained once as of `LAST`."""
    folder = tmp_path_factory.mktemp("regime") / "project"
    with opened(folder) as house:
        ingest(house, CollectRequest(source="synthetic", options=MARKET_OPTIONS))
        result = turn(house)
        assert (result.verdict, result.reason_code) == ("provisional", "first"), result
    return folder


@pytest.fixture(scope="module")
def house(root: Path) -> Iterator[House]:
    """Return the project as of `LAST`, for tests that only read."""
    with opened(root) as house:
        yield house


def test_rows_are_the_sessions_of_the_index_and_not_those_of_the_bars(house: House) -> None:
    prepared = prepare(house, spec_of(house))
    assert prepared.panel.tickers == (MARKET,)
    assert (prepared.bars["open"] == prepared.bars["close"]).all()
    sessions = np.unique(prepared.matrix.session)
    assert len(sessions) == len(prepared.matrix) == 1200 - 252
    assert prepared.sessions.date(int(sessions[-1])) == LAST
    assert {"spx_tstat_30", "vix_premium_20", "us10y_level", "usd_index_change_20"} <= set(prepared.matrix.names)
    assert "rsi" not in prepared.matrix.names
    assert np.isfinite(prepared.matrix.label).sum() == len(sessions) - 20
    assert prepared.unfed == ()


def test_retrain_journals_one_prediction_of_the_market(house: House) -> None:
    champion = house.registry.champion(house.slot(FAMILY))
    assert champion is not None
    assert (champion.status, champion.skill_proven) == ("provisional", False)
    with house.state.scores.read() as db:
        board = scoreboards.load(db, champion.slot, champion.version)
    assert [(p.ticker, p.as_of, p.signal) for p in board] == [(MARKET, LAST, "HOLD")]
    assert sum(board[0].classes.values()) == pytest.approx(1)
    assert set(board[0].classes) == {"Risk-Off", "Neutral", "Risk-On"}
    assert predict(house, family=FAMILY).document()["predictions"][0]["ticker"] == MARKET


def test_version_carries_figures_beside_persistence_and_importance_in_log_probability(house: House) -> None:
    (row,) = models(house, FAMILY, best=True)["models"]
    assert row["metrics"]["accuracy"] is not None
    assert row["baseline"]["accuracy"] not in {None, row["metrics"]["accuracy"]}
    assert "rank_ic" not in row["metrics"]
    assert champions(house, FAMILY)["champions"][0]["status"] == "provisional"


def test_view_holds_the_model_beside_what_needs_no_model(house: House) -> None:
    document = regime_view(house).document()
    assert document["as_of"] == document["trained_through"] == LAST.isoformat()
    assert (document["lookback"], document["horizon"], document["fallback"]) == (30, 20, False)
    assert document["regime"] == max(document["probabilities"], key=lambda name: document["probabilities"][name])
    assert sum(document["no_skill"].values()) == pytest.approx(1)
    assert list(document["no_skill"]) == list(document["probabilities"]) == ["Risk-Off", "Neutral", "Risk-On"]
    assert document["last_known"]["known_on"] == LAST.isoformat()
    assert document["last_known"]["regime"] in document["no_skill"]
    assert document["now"]["drawdown_252"] <= document["now"]["drawdown_60"] <= 0
    assert document["now"]["volatility"] > 0
    assert document["provisional"] is True
    assert document["warnings"] == []


def test_view_asked_for_another_lookback_answers_with_the_champion_s_own(house: House) -> None:
    document = regime_view(house, lookback=60).document()
    assert (document["lookback"], document["fallback"]) == (30, True)
    assert "--lookback 60" in document["warnings"][0]


def test_champion_keeps_its_lookback_when_the_settings_change(root: Path) -> None:
    with opened(root, flags={f"family.{FAMILY}.lookback": 90}) as house:
        assert spec_of(house).feature_set == "market_90"
        assert regime_view(house).lookback == 30


def test_another_lookback_is_another_stream_and_other_families_have_none(house: House) -> None:
    specs = [spec_of(house, lookback=n) for n in (None, 30, 45)]
    assert specs[0].fingerprint == specs[1].fingerprint != specs[2].fingerprint
    with pytest.raises(UsageError, match="price_predictor reads the bars of tickers"):
        choose(house, "price_predictor", Choices(lookback=45))


def test_model_saved_in_its_folder_reads_back(house: House, tmp_path: Path) -> None:
    artefact = house.registry.load(house.slot(FAMILY), 1)
    model = Model.load(Model.of(artefact, house).save(tmp_path / "m"), house)
    assert model.features == tuple(artefact.manifest["features"])
    assert artefact.manifest["feature_set"] == "market_30"


def test_twenty_new_regimes_are_needed_and_what_was_said_stays_said(root: Path) -> None:
    with opened(root) as house:
        before = open_stored(house, house.slot(FAMILY), spec_of(house)).stream.scores
    with opened(root, EARLY) as house:
        result = turn(house)
    assert (result.verdict, result.reason_code) == ("skipped", "not_due")
    assert "19 labels have become known" in result.reason
    with opened(root, LATER) as house:
        result = turn(house)
        after = open_stored(house, house.slot(FAMILY), spec_of(house)).stream.scores
    assert (result.verdict, result.reason_code) == ("refused", "no_skill")  # the provisional one is still young
    assert after.head(len(before)).equals(before)
    assert len(after) == len(before) + 20
    assert {check.name for check in result.checks} >= {"leak", "schema", "round_trip", "smoke", "skill", "continuity"}
    assert next(check for check in result.checks if check.name == "continuity").passed


def test_stream_and_frozen_champion_are_compared_by_what_they_gave_to_what_happened(root: Path) -> None:
    with opened(root, DAYS[1229]) as house:
        prepared, slot = prepare(house, spec_of(house)), house.slot(FAMILY)
        champion = house.registry.champion(slot)
        assert champion is not None
        # As if it had been trained 150 sessions earlier: then some outcomes are known that it has not seen.
        champion = replace(champion, trained_through=prepared.panel.last - 150)
        stored = open_stored(house, slot, spec_of(house))
        assert stored.row is not None
        own = log_probability(stored.stream.scores, prepared.matrix)
        d = against_champion(house, prepared, spec_of(house), stored.row.id, champion, own)
        artefact = house.registry.load(slot, champion.version)
    learner = binned_recipe().from_parts(artefact.parts)
    rows = prepared.matrix.take(np.isin(prepared.matrix.session, d.session))
    said = learner.predict(rows.select(tuple(artefact.manifest["features"])))
    theirs = np.log(said[np.arange(len(rows)), rows.label.astype(int)])
    ours = own.value[np.isin(own.session, d.session)]
    assert d.session.tolist() == list(range(prepared.panel.last - 129, prepared.panel.last - 19))
    assert d.value == pytest.approx(ours - theirs, abs=1e-6)


def test_train_shows_persistence_beside_the_model_and_warns_of_what_never_occurred(
    root: Path,
) -> None:
    with opened(root) as house:
        trained = train_family(house, FAMILY, Choices(recipes=("binned",), lookback=45))
        document = trained.document()
    assert (document["tickers"], document["sessions"]) == (1, 948)
    assert "spx_tstat_45" in document["features"]
    assert sum(document["regime_sessions"].values()) == 948 - 20
    assert {name: round(share * (948 - 20)) for name, share in document["class_shares"].items()} == document[
        "regime_sessions"
    ]
    assert document["baseline"]["test"]["accuracy"] != document["figures"]["test"]["accuracy"]
    assert "rank_ic" not in document["figures"]["test"]
    assert never_seen({"Risk-Off": 0.0, "Neutral": 0.4, "Risk-On": 0.6})[0].startswith(
        "no label of the training window is Risk-Off"
    )


def leaking() -> Feature:
    tomorrow = pl.col("spx").shift(-1) / pl.col("spx") - 1
    return Feature("tomorrow", "plugin", 0, tomorrow, source="market", over="market")


def test_plugin_s_market_feature_joins_and_one_that_sees_tomorrow_is_refused_by_name(root: Path) -> None:
    with opened(root, LATER) as house:
        house.catalog.add(leaking())
        house.catalog.plugin_features += ("tomorrow",)
        result = turn(house, force=True)
    assert (result.verdict, result.reason_code) == ("refused", "leak")
    assert "tomorrow (future" in result.reason


def series_project(folder: Path, values: pl.DataFrame | None, clock: dt.date = LAST, **context: str) -> House:
    """A project of a few simulated bars whose only S&P 500 series is the file ``spx.csv``."""
    house = opened(folder, clock, {f"context.{name}": str(folder / file) for name, file in context.items()})
    ingest(house, CollectRequest(source="synthetic", options={**MARKET_OPTIONS, "sessions": 60}))
    if values is not None:
        values.write_csv(folder / "spx.csv")
    nothing = pl.DataFrame(schema=SERIES_SCHEMA)
    house.store.put_series(dict.fromkeys(("spx", "vix", "us10y", "usd"), nothing))
    return house


def walk(days: list[dt.date], seed: int = 0) -> pl.DataFrame:
    steps = np.random.default_rng(seed).normal(0.0003, 0.011, len(days))
    return pl.DataFrame({"date": days, "value": 1000 * np.exp(np.cumsum(steps))})


def test_family_without_an_index_is_skipped_with_the_reason_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with series_project(tmp_path / "p", None) as house:
        monkeypatch.setattr(house.store, "put_series", lambda _: None)  # the source would bring it back
        request = CycleRequest((FAMILY, "price_predictor"), choices=Choices(recipes=("binned",)))
        first, second = run_cycle(house, request).families
        with pytest.raises(MissingContextError, match=r"context is missing.*\[context\] spx"):
            prepare(house, spec_of(house))
    assert (first.verdict, first.reason_code) == ("skipped", "not_due")
    assert first.reason.startswith("context is missing: there is no S&P 500 series")
    assert second.verdict == "failed"  # sixty bars are too few; it had its turn all the same
    assert second.family == "price_predictor"


def test_rows_reach_as_far_back_as_the_series_and_end_with_it(tmp_path: Path) -> None:
    days = load_sessions("XNYS", dt.date(1990, 1, 2), dt.date(2009, 10, 1)).dates.astype(object).tolist()
    with series_project(tmp_path / "p", walk(days), spx="spx.csv") as house:
        prepared = prepare(house, spec_of(house))
    assert prepared.bars["date"].min() == dt.date(1990, 1, 2)
    assert prepared.bars["date"].max() == dt.date(2009, 10, 1)  # no stale value is carried on
    assert "ends on 2009-10-01, 123 sessions before the newest bar" in prepared.notes[0]
    assert set(prepared.unfed) >= {"vix_level", "us10y_level", "usd_index_change_20"}
    assert any("nothing feeds vix_level" in warning for warning in prepared.warnings)


def test_what_becomes_known_after_the_clock_or_lies_after_the_end_is_not_there(tmp_path: Path) -> None:
    with series_project(tmp_path / "p", walk(DAYS[:800]), DAYS[700], spx="spx.csv") as house:
        assert prepare(house, spec_of(house)).bars["date"].max() == DAYS[700]
    with opened(
        tmp_path / "p", DAYS[790], {"context.spx": str(tmp_path / "p" / "spx.csv"), "data.end": DAYS[600]}
    ) as house:
        assert prepare(house, spec_of(house)).bars["date"].max() == DAYS[600]


def test_hole_in_the_series_leaves_its_regimes_unknown_and_no_bar(tmp_path: Path) -> None:
    values = walk(DAYS[:900]).with_row_index().filter(~pl.col("index").is_between(500, 530)).drop("index")
    with series_project(tmp_path / "p", values, spx="spx.csv") as house:
        prepared = prepare(house, spec_of(house))
    missing = set(DAYS[:900]) - set(prepared.bars["date"])
    assert missing == set(DAYS[510:531])  # ten sessions repeat the last value, then it counts as unknown
    first = int(prepared.panel.first)
    known = set((prepared.matrix.session[np.isfinite(prepared.matrix.label)] - first).tolist())
    assert known == set(range(252, 490)) | set(range(531, 880))


def test_too_short_a_series_says_how_much_is_needed(tmp_path: Path) -> None:
    with series_project(tmp_path / "p", walk(DAYS[:200]), spx="spx.csv") as house:
        with pytest.raises(UsageError, match="the S&P 500 series has 200 sessions and at least 253 are needed"):
            prepare(house, spec_of(house))
        walk(DAYS[:771]).write_csv(tmp_path / "p" / "spx.csv")
        with pytest.raises(
            UsageError, match=r"needs at least 500 labelled rows and the data give 499.*\[context\] spx"
        ):
            train_family(house, FAMILY, Choices(recipes=("binned",)))


def test_value_that_is_no_index_level_is_named(tmp_path: Path) -> None:
    values = walk(DAYS[:600]).with_columns(
        value=pl.when(pl.int_range(pl.len()) == 300).then(0.0).otherwise(pl.col("value"))
    )
    with (
        series_project(tmp_path / "p", values, spx="spx.csv") as house,
        pytest.raises(UsageError, match="has the value 0"),
    ):
        prepare(house, spec_of(house))


def test_answer_of_yesterday_stands_when_the_series_is_gone(root: Path) -> None:
    with opened(root) as house:
        missing = MissingContextError("context is missing: there is no S&P 500 series")

        def nothing(*_: object, **__: object) -> None:
            raise missing

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("marketloop.loop.predicting.market_rows", nothing)
            patch.setattr("marketloop.loop.preparing.market_rows", nothing)
            view = regime_view(house)
    assert view.answers.predictions[0].ticker == MARKET
    assert (view.last_known, dict(view.no_skill)) == (None, {})
    assert view.warnings == (str(missing),)
