"""The course of a stream, and the same rows before and after a model saw them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.builders import SmallMarket, series_with_z, small_market
from tests.evaluation.learners import buy_minus_sell, teller

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.intervals import ewc_interval, sequential_z, z_of
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.scorecard import score_stream
from marketloop.evaluation.seen import seen_and_unseen
from marketloop.evaluation.stream import Stream, StreamSpec, advance, fit_nominee
from marketloop.evaluation.timeline import Timeline, rolling_mean, timeline, z_path

FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("teller",), buy_minus_sell, minimum_rows=1000)
SPEC = StreamSpec(FAMILY, (Contender(teller(), {}),), LabelSpec(5, 0.02), "basic", "rsi10")


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=460, tickers=42, features=2, planted=0.1, first=500)


@pytest.fixture(scope="module")
def stream(market: SmallMarket) -> Stream:
    return advance(Stream(SPEC.fingerprint), market.matrix(), market.panel(), SPEC)


@pytest.fixture(scope="module")
def course(market: SmallMarket, stream: Stream) -> Timeline:
    return timeline(stream, market.matrix(), market.panel(), SPEC)


def test_series_are_those_of_the_scorecard(market: SmallMarket, stream: Stream, course: Timeline) -> None:
    card = score_stream(stream, market.matrix(), market.panel(), SPEC)
    np.testing.assert_array_equal(course.x.value, card.x.value)
    assert course.rank_ic is not None
    assert ewc_interval(course.rank_ic.value, horizon=5) == card.ic
    assert course.regimes is None


def test_windows_cover_the_stream_and_carry_its_accuracy(market: SmallMarket, stream: Stream, course: Timeline) -> None:
    card = score_stream(stream, market.matrix(), market.panel(), SPEC)
    assert course.windows[0].first == 756
    assert course.windows[-1].last == 959
    assert [b.first - a.last for a, b in zip(course.windows, course.windows[1:], strict=False)] == [1, 1, 1]
    assert all(window.first // 63 == window.last // 63 for window in course.windows)
    assert sum(window.rows for window in course.windows) == len(stream.scores)
    accuracy = [window.accuracy for window in course.windows]
    assert card.metrics is not None
    assert min(accuracy) < card.metrics.accuracy < max(accuracy)
    assert all(0 < window.no_skill < 1 for window in course.windows)


def test_stability_is_the_spread_of_whole_windows_whatever_the_night(
    market: SmallMarket, stream: Stream, course: Timeline
) -> None:
    card = score_stream(stream, market.matrix(), market.panel(), SPEC)
    assert [window.last - window.first + 1 for window in course.windows] == [63, 63, 63, 15]
    accuracy = [window.accuracy for window in course.windows]
    assert card.stability == pytest.approx(np.std(accuracy[:-1], ddof=1))


def test_last_point_of_the_path_is_the_z_of_the_whole_series() -> None:
    x = series_with_z(2.5, 300)
    path = z_path(x)
    assert path.session[0] == x.session[39]
    assert path.value[-1] == pytest.approx(2.5)
    assert path.value[100] == pytest.approx(sequential_z(x.value[:140]))


def test_path_of_an_overlapping_series_uses_its_own_z() -> None:
    x = series_with_z(2.5, 300)
    path = z_path(x, overlap=20)
    assert path.session[-1] == x.session[-1]
    assert path.value[-1] == pytest.approx(z_of(x.value, 20))
    assert len(path) < 60


@pytest.mark.parametrize("n", [0, 39])
def test_short_series_has_no_path_and_no_rolling_mean(n: int) -> None:
    x = SessionSeries(np.arange(n, dtype=np.int32), np.ones(n))
    assert len(z_path(x)) == 0
    assert len(rolling_mean(x, horizon=1).session) == 0


def test_rolling_mean_has_the_interval_of_its_window() -> None:
    rng = np.random.default_rng(0)
    x = SessionSeries(np.arange(200, dtype=np.int32), rng.normal(size=200))
    rolling = rolling_mean(x, horizon=5, length=126)
    whole = ewc_interval(x.value[-126:], horizon=5)
    assert rolling.session[-1] == 199
    assert (rolling.mean[-1], rolling.low[-1], rolling.high[-1]) == pytest.approx((whole.mean, whole.low, whole.high))


def test_rows_are_the_same_before_and_after_the_model_saw_them(market: SmallMarket, stream: Stream) -> None:
    matrix = market.matrix()
    fitted = fit_nominee(matrix, SPEC, stream.folds, 900)
    found = seen_and_unseen(fitted, stream, matrix, SPEC)
    assert found is not None
    assert found["rows"]["seen"] == found["rows"]["unseen"] == 199 * 42
    # the teller learns nothing, so seeing the rows changes nothing
    for name, value in found["figures"]["seen"].items():
        assert found["figures"]["unseen"][name] == pytest.approx(value, rel=1e-4)
    assert found["baseline"]["seen"]["rank_ic"] == 0.0
    card = score_stream(stream, matrix, market.panel(), SPEC)
    assert card.metrics is not None
    assert found["figures"]["unseen"]["accuracy"] == pytest.approx(card.metrics.accuracy)


def test_empty_stream_has_no_course(market: SmallMarket) -> None:
    empty = Stream(SPEC.fingerprint)
    matrix = market.matrix()
    course = timeline(empty, matrix, market.panel(), SPEC)
    assert (len(course.x), course.windows) == (0, ())
    assert seen_and_unseen(fit_nominee(matrix, SPEC, (), 900), empty, matrix, SPEC) is None
