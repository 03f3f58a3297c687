"""Prices arranged by session and ticker, with beta and volatility known at each close."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.evaluation.builders import calendar, panel_of, small_market, tidy

from marketloop.core.errors import UsageError
from marketloop.core.values import Context
from marketloop.labels import build_panel
from marketloop.labels.panel import rolling_moments


def test_panel_has_a_row_per_session_and_nan_where_a_ticker_has_no_bar() -> None:
    bars = pl.DataFrame(
        {
            "date": [dt.date(2001, 1, 3), dt.date(2001, 1, 4), dt.date(2001, 1, 6), dt.date(2001, 1, 6)],
            "ticker": ["B", "B", "B", "A"],
            "close": [10.0, 11.0, 12.0, 7.0],
        }
    )
    panel = build_panel(bars, calendar())
    assert (panel.first, panel.last, panel.tickers) == (2, 5, ("A", "B"))
    np.testing.assert_array_equal(panel.close[:, 1], [10.0, 11.0, np.nan, 12.0])
    np.testing.assert_allclose(panel.returns[:, 1], [np.nan, 0.1, np.nan, np.nan])


def test_panel_refuses_no_bars_and_days_that_are_no_sessions() -> None:
    empty = pl.DataFrame(schema={"date": pl.Date, "ticker": pl.String, "close": pl.Float64})
    with pytest.raises(UsageError, match="no bars"):
        build_panel(empty, calendar())
    stray = pl.DataFrame({"date": [dt.date(1999, 1, 1)], "ticker": ["A"], "close": [1.0]})
    with pytest.raises(UsageError, match="1999-01-01 is not a session"):
        build_panel(stray, calendar())


def test_beta_and_volatility_equal_the_plain_formulas_over_the_trailing_window() -> None:
    rng = np.random.default_rng(3)
    market = rng.normal(0, 0.01, 90)
    returns = 0.7 * market[:, None] + rng.normal(0, 0.02, (90, 4))
    returns[70, 2] = np.nan
    beta, vol = rolling_moments(returns, market, 60)
    for t in (59, 75, 89):
        for i in range(4):
            own, against = returns[t - 59 : t + 1, i], market[t - 59 : t + 1]
            pair = np.isfinite(own)
            covariance = np.cov(own[pair], against[pair])
            assert beta[t, i] == pytest.approx(covariance[0, 1] / covariance[1, 1])
            assert vol[t, i] == pytest.approx(own[pair].std(ddof=1))


def test_beta_and_volatility_are_unknown_until_two_thirds_of_the_window_are_known() -> None:
    panel = small_market(sessions=80, tickers=3).panel()
    assert np.isnan(panel.beta[:40]).all()  # the first return is that of the second session
    assert np.isfinite(panel.beta[40:]).all()
    assert np.isnan(panel.short_vol[:14]).all()
    assert np.isfinite(panel.short_vol[14:]).all()


def test_controls_known_at_a_close_do_not_change_when_sessions_are_added() -> None:
    market = small_market(sessions=120, tickers=5)
    early, late = market.panel(100), market.panel()
    for name in ("beta", "vol", "short_vol", "returns"):
        np.testing.assert_array_equal(getattr(early, name), getattr(late, name)[:100], err_msg=name)


def test_beta_is_taken_against_the_index_where_the_context_has_one() -> None:
    rng = np.random.default_rng(5)
    index = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01, 100)))
    close = np.column_stack([index**2 / 1e4, 50 * np.exp(np.cumsum(rng.normal(0, 0.01, 100)))])
    frame = tidy(index[:, None], "spx").select("date", "spx").with_columns(vix=None, us10y=None, usd=None)
    context = replace(Context.empty(), market=frame)
    beta = build_panel(tidy(close, "close"), calendar(), context).beta[-1]
    assert beta[0] == pytest.approx(2.0, abs=0.02)
    assert abs(beta[1]) < 0.4
    assert panel_of(close).beta[-1].mean() == pytest.approx(1.0)  # against the equal-weight return of the universe
