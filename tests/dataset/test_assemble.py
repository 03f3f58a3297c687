"""Features joined with outcomes, point in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.evaluation.builders import SmallMarket, calendar, rows_matrix, small_market, tidy

from marketloop.core.catalog import Label
from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec, assemble, feature_names_kept, newest_rows
from marketloop.labels import RANK, RETURN, UNKNOWN, direction_classes, forward_outcomes


@pytest.fixture
def market() -> SmallMarket:
    return small_market(sessions=60, tickers=4)


def test_rows_are_sorted_by_session_then_ticker_whatever_the_order_of_the_frame(market: SmallMarket) -> None:
    matrix = market.matrix()
    keys = list(zip(matrix.session.tolist(), matrix.ticker.tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 60 * 4


def test_each_row_has_its_own_features_and_its_own_outcome(market: SmallMarket) -> None:
    matrix, panel = market.matrix(), market.panel()
    outcomes = forward_outcomes(panel, 5)
    row, ticker = panel.rows_of(matrix.session), matrix.ticker
    np.testing.assert_array_equal(matrix.X, market.features[row, ticker].astype(np.float32))
    np.testing.assert_array_equal(
        matrix.label, direction_classes(outcomes.returns, 0.02)[row, ticker].astype(np.float32)
    )
    np.testing.assert_array_equal(matrix.target, outcomes.rank[row, ticker].astype(np.float32))
    np.testing.assert_array_equal(matrix.known_on, outcomes.known_on[row, ticker])


@pytest.mark.parametrize(("label", "figure"), [(RANK, "rank"), (RETURN, "returns")])
def test_label_that_is_a_number_is_the_outcome_itself(market: SmallMarket, label: Label, figure: str) -> None:
    matrix, panel = market.matrix(label=LabelSpec(3, None, label)), market.panel()
    expected = getattr(forward_outcomes(panel, 3), figure)[panel.rows_of(matrix.session), matrix.ticker]
    np.testing.assert_array_equal(matrix.label, expected.astype(np.float32))
    assert matrix.classes == ()
    assert matrix.take(slice(0, 3)).classes == ()


def test_matrix_names_the_classes_of_its_label(market: SmallMarket) -> None:
    assert market.matrix().classes == ("SELL", "HOLD", "BUY")
    assert market.matrix().take(slice(0, 3)).classes == ("SELL", "HOLD", "BUY")


def test_newest_sessions_are_kept_with_unknown_labels(market: SmallMarket) -> None:
    matrix = market.matrix()
    newest = matrix.session > market.first + 59 - 5
    assert np.isnan(matrix.label[newest]).all()
    assert (matrix.known_on[newest] == UNKNOWN).all()
    assert np.isfinite(matrix.label[~newest]).all()


def test_warm_up_is_counted_in_the_bars_of_each_ticker(market: SmallMarket) -> None:
    close = market.close.copy()
    close[:25, 2] = np.nan  # listed later
    matrix = replace(market, close=close).matrix(warmup=20)
    first = [int(matrix.session[matrix.ticker == i].min()) - market.first for i in range(4)]
    assert first == [20, 20, 45, 20]


def test_warm_up_longer_than_every_history_is_refused_with_the_remedy(market: SmallMarket) -> None:
    with pytest.raises(UsageError, match=r"no ticker has more than 60 bars.*collect a longer history, of 61 bars"):
        market.matrix(warmup=60)


def test_rows_to_predict_are_the_rows_that_training_will_see_later(market: SmallMarket) -> None:
    tonight = newest_rows(market.matrix(until=40))
    later = market.matrix()
    same = later.take(later.session == market.first + 39)
    np.testing.assert_array_equal(tonight.X, same.X)
    np.testing.assert_array_equal(tonight.ranks, same.ranks)
    assert np.isnan(tonight.label).all()
    assert np.isfinite(same.label).all()


def test_newest_rows_are_those_of_one_session(market: SmallMarket) -> None:
    matrix = market.matrix()
    assert set(newest_rows(matrix).session.tolist()) == {market.first + 59}
    assert set(newest_rows(matrix, market.first + 7).session.tolist()) == {market.first + 7}
    assert len(newest_rows(matrix.take(slice(0, 0)))) == 0


def test_row_once_labelled_keeps_label_and_weight_when_sessions_are_added(market: SmallMarket) -> None:
    early, late = market.matrix(until=45), market.matrix()
    known = early.known_on != UNKNOWN
    assert known.sum() == 40 * 4
    for name in ("label", "target", "known_on", "weight", "X"):
        np.testing.assert_array_equal(
            getattr(early, name)[known], getattr(late, name)[: len(early)][known], err_msg=name
        )


def test_weight_is_one_amid_an_unbroken_run_and_more_beside_a_gap(market: SmallMarket) -> None:
    close = market.close.copy()
    close[20:40, 1] = np.nan
    matrix = replace(market, close=close).matrix()
    own = {
        int(s) - market.first: float(w)
        for s, w, t in zip(matrix.session, matrix.weight, matrix.ticker, strict=True)
        if t == 1
    }
    assert own[10] == 1.0
    assert own[19] > own[16] > 1.0
    assert own[40] > 1.0


def test_missing_values_are_counted_per_session_before_any_fill() -> None:
    market = small_market(sessions=20, tickers=4)
    features = market.features.copy()
    features[3, :2, 1] = np.nan
    raw = replace(market, features=features).matrix()
    assert raw.missing_sessions.tolist() == list(range(market.first, market.first + 20))
    assert raw.missing_rows.tolist() == [4] * 20
    assert raw.missing[3].tolist() == [0, 2, 0]
    assert raw.missing.sum() == 2


def test_missing_values_are_counted_on_the_raw_frame_and_x_holds_the_filled_one() -> None:
    market = small_market(sessions=20, tickers=2)
    keys = tidy(market.close, "close", market.first).select("date", "ticker")
    raw = keys.with_columns(f0=pl.lit(None, dtype=pl.Float32))
    filled = keys.with_columns(f0=pl.lit(1.5, dtype=pl.Float32))
    matrix = assemble(raw, filled, market.panel(), calendar(), label=LabelSpec(), warmup=0)
    assert matrix.missing.sum() == 40
    assert (matrix.X == 1.5).all()


def holed(share_before: float, share_after: float) -> Matrix:
    """Two features over 20 sessions of 10 rows; the second lacks a share of the first and of the last ten sessions."""
    matrix = rows_matrix(np.repeat(np.arange(20), 10), np.tile(np.arange(10), 20), 1, 100)
    missing = np.zeros((20, 2), np.float32)
    missing[:10, 1], missing[10:, 1] = 10 * share_before, 10 * share_after
    return replace(matrix, X=np.zeros((200, 2), np.float32), names=("full", "holed"), missing=missing)


def test_feature_missing_in_more_than_half_of_the_training_rows_is_dropped() -> None:
    assert feature_names_kept(holed(0.5, 0.5)) == ("full", "holed")
    assert feature_names_kept(holed(0.6, 0.5)) == ("full",)


def test_feature_is_dropped_by_what_is_missing_inside_the_training_rows_only() -> None:
    matrix = holed(0.0, 1.0)
    assert feature_names_kept(matrix.take(matrix.session < 10)) == ("full", "holed")
    assert feature_names_kept(matrix.take(matrix.session >= 10)) == ("full",)
