"""Two sides on the same rows: figures of each, the paired difference, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.evaluation.builders import SmallMarket, small_market
from tests.evaluation.learners import Teller, buy_minus_sell

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.comparison import Difference, compare_scores, shared_rows, undecided
from marketloop.evaluation.intervals import ewc_interval
from marketloop.evaluation.overfitting import long_short_returns
from marketloop.evaluation.performance import performance_of, sharpe_interval
from marketloop.evaluation.rank_ic import neutral_one_session
from marketloop.evaluation.stream import StreamSpec, grid_of
from marketloop.labels import RETURN

FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, (), buy_minus_sell)
SPEC = StreamSpec(FAMILY, (), LabelSpec(5, 0.02), "basic", "rsi10")
VALUE = Family("price_regressor", (), 5, None, (), np.asarray, label="return")
VALUE_SPEC = StreamSpec(VALUE, (), LabelSpec(5, None, RETURN), "basic", "rsi10")


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=300, tickers=24, features=2, planted=0.2, first=500)


def said(market: SmallMarket, sign: float, *, label: LabelSpec | None = None) -> pl.DataFrame:
    """What the teller says of every row: `sign` 1 follows the planted feature, -1 goes against it, 0 says nothing."""
    rows = market.matrix(label=label)
    output = Teller(sign).predict(rows)
    return pl.DataFrame(
        {
            "session": rows.session,
            "ticker": pl.Series(rows.tickers).gather(rows.ticker),
            "score": buy_minus_sell(output),
            "probabilities": output.tolist(),
        }
    )


def by_name(found: tuple[Difference, ...]) -> dict[str, Difference]:
    return {difference.metric: difference for difference in found}


@pytest.fixture(scope="module")
def found(market: SmallMarket) -> dict[str, Difference]:
    rows = shared_rows(said(market, -1.0), said(market, 1.0))
    return by_name(compare_scores(rows, market.matrix(), market.panel(), SPEC))


def test_side_that_follows_the_signal_is_better_by_every_measure_that_has_an_interval(
    found: dict[str, Difference],
) -> None:
    assert set(found) == {"accuracy", "log_loss", "rank_ic", "ic1", "sharpe_ratio", "max_drawdown"}
    assert {name: d.better for name, d in found.items()} == {
        **dict.fromkeys(("accuracy", "log_loss", "rank_ic", "ic1", "sharpe_ratio"), "b"),
        "max_drawdown": None,
    }
    assert found["log_loss"].difference < 0 < found["rank_ic"].difference
    assert found["rank_ic"].a == pytest.approx(-found["rank_ic"].b)


def test_difference_is_that_of_the_sides_and_lies_inside_its_interval(found: dict[str, Difference]) -> None:
    for difference in found.values():
        document = difference.document()
        assert tuple(document) == ("metric", "a", "b", "difference", "interval", "sessions")
        assert document["difference"] == pytest.approx(document["b"] - document["a"])
        if document["interval"] is not None:
            low, high = document["interval"]
            assert low < document["difference"] < high
    assert found["max_drawdown"].document()["interval"] is None


def test_sides_that_say_the_same_differ_by_nothing(market: SmallMarket) -> None:
    rows = shared_rows(said(market, 1.0), said(market, 1.0))
    for difference in compare_scores(rows, market.matrix(), market.panel(), SPEC):
        assert difference.difference == 0
        assert difference.better is None


def test_interval_of_an_overlapping_figure_is_the_corrected_one(
    market: SmallMarket, found: dict[str, Difference]
) -> None:
    matrix = market.matrix()
    known = np.isfinite(matrix.label)
    rows = matrix.take(known)
    truth = rows.label.astype(int)
    right = [Teller(sign).predict(rows).argmax(axis=1) == truth for sign in (-1.0, 1.0)]
    lead = (right[1].astype(float) - right[0]).reshape(-1, 24).mean(axis=1)
    wanted, given = ewc_interval(lead, horizon=5), found["accuracy"].interval
    assert given is not None
    assert (given.low, given.high, given.n) == pytest.approx((wanted.low, wanted.high, 295))


def test_sharpe_ratio_against_the_opposite_book_has_twice_the_interval_of_one(
    market: SmallMarket, found: dict[str, Difference]
) -> None:
    panel = market.panel()
    scores = grid_of(said(market, 1.0), panel)
    book = long_short_returns(scores, neutral_one_session(panel), 5, first=panel.first).value
    one, pair = sharpe_interval(book), found["sharpe_ratio"]
    assert (pair.a, pair.b) == pytest.approx((-one.value, one.value))
    assert pair.interval is not None
    assert (pair.interval.low, pair.interval.high) == pytest.approx((2 * one.low, 2 * one.high))
    assert found["max_drawdown"].b == pytest.approx(performance_of(book).max_drawdown)


def test_only_rows_that_both_have_scored_are_compared(market: SmallMarket) -> None:
    a, b = said(market, 1.0), said(market, -1.0)
    rows = shared_rows(a.filter(pl.col("session") < 600), b.filter(pl.col("ticker") > "T011"))
    assert (rows.sessions[0], rows.sessions[-1], rows.tickers) == (500, 599, 12)
    assert rows.a.select("session", "ticker").equals(rows.b.select("session", "ticker"))


def test_rows_in_another_order_give_the_same(market: SmallMarket, found: dict[str, Difference]) -> None:
    mixed = said(market, -1.0).sample(fraction=1.0, shuffle=True, seed=1)
    again = by_name(compare_scores(shared_rows(mixed, said(market, 1.0)), market.matrix(), market.panel(), SPEC))
    assert again == found


def test_too_few_sessions_give_figures_without_intervals(market: SmallMarket) -> None:
    early = pl.col("session") < 530
    rows = shared_rows(said(market, 1.0).filter(early), said(market, -1.0).filter(early))
    for difference in compare_scores(rows, market.matrix(), market.panel(), SPEC):
        assert difference.document()["interval"] is None
        assert difference.document()["a"] is not None


def test_different_labels_are_held_to_what_both_say_of_the_next_session(market: SmallMarket) -> None:
    rows = shared_rows(said(market, 1.0), said(market, -1.0))
    names = by_name(compare_scores(rows, market.matrix(), market.panel(), SPEC, same_label=False))
    assert set(names) == {"ic1", "sharpe_ratio", "max_drawdown"}


def test_values_are_compared_by_their_errors_in_the_unit_of_the_label(market: SmallMarket) -> None:
    spec = LabelSpec(5, None, RETURN)
    matrix = market.matrix(label=spec)
    known = np.isfinite(matrix.label)
    frame = said(market, 1.0, label=spec).with_columns(pl.lit(None).alias("probabilities"))
    near = frame.with_columns(score=pl.Series(np.where(known, matrix.label, 0.0).astype(np.float64)) + 0.001)
    far = frame.with_columns(score=pl.lit(0.0))
    names = by_name(compare_scores(shared_rows(far, near), matrix, market.panel(), VALUE_SPEC))
    assert names["rmse"].a == pytest.approx(math.sqrt(float(np.mean(matrix.label[known].astype(float) ** 2))))
    assert names["rmse"].b == pytest.approx(0.001)
    assert names["rmse"].better == "b"
    assert "accuracy" not in names


def test_small_universe_has_no_rank_ic() -> None:
    market = small_market(sessions=200, tickers=6, features=1, first=500)
    rows = shared_rows(said(market, 1.0), said(market, -1.0))
    names = by_name(compare_scores(rows, market.matrix(), market.panel(), SPEC))
    assert set(names) == {"accuracy", "log_loss", "sharpe_ratio", "max_drawdown"}


def test_book_that_never_moves_has_no_sharpe_ratio(market: SmallMarket) -> None:
    still = said(market, 0.0)
    names = by_name(compare_scores(shared_rows(still, said(market, 1.0)), market.matrix(), market.panel(), SPEC))
    assert names["sharpe_ratio"].document()["a"] is None
    assert names["sharpe_ratio"].document()["interval"] is None
    assert names["max_drawdown"].a == 0


def test_one_series_is_compared_by_its_classes_and_by_following_its_sign() -> None:
    market = small_market(sessions=300, tickers=1, features=1, planted=0.5, first=500)
    whole = replace(FAMILY, unit="session", statistic="log_loss")
    rows = shared_rows(said(market, -1.0), said(market, 1.0))
    names = by_name(compare_scores(rows, market.matrix(), market.panel(), replace(SPEC, family=whole)))
    assert set(names) == {"accuracy", "log_loss", "sharpe_ratio", "max_drawdown"}
    assert names["sharpe_ratio"].b == pytest.approx(-names["sharpe_ratio"].a)
    assert names["sharpe_ratio"].better == "b"


def test_undecided_comparison_names_the_other_figures_that_would_decide() -> None:
    wide, narrow = (np.random.default_rng(1).normal(mean, 1.0, 400) for mean in (0.0, 1.0))
    main = Difference("rank_ic", 0.0, 0.01, ewc_interval(wide))
    other = Difference("ic1", 0.0, 1.0, ewc_interval(narrow))
    assert "nothing shows that either is better" in undecided(main, (main,))
    said = undecided(main, (main, other))
    assert "nothing shows" not in said
    assert "rank_ic, which sums it up, does not tell which is better" in said
    assert "ic1 would, but one figure of 2 may well do so by luck" in said
