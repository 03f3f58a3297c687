"""The evidence of one examination, and what is too good to be true."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk
from tests.evaluation.builders import SmallMarket, small_market
from tests.evaluation.learners import buy_minus_sell, teller

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.intervals import Interval, ewc_interval, sequential_z
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.plausibility import most_plausible_ic, plausibility
from marketloop.evaluation.rank_ic import neutral_one_session, sequential_ic, spearman_rows
from marketloop.evaluation.scorecard import Scorecard, score_stream, signal_rule
from marketloop.evaluation.stream import Stream, StreamSpec, advance, grid_of
from marketloop.labels import forward_outcomes

FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("teller",), buy_minus_sell, minimum_rows=1000)
SPEC = StreamSpec(FAMILY, (Contender(teller(), {}),), LabelSpec(5, 0.02), "basic", "rsi10")


def streamed(market: SmallMarket) -> Stream:
    return advance(Stream(SPEC.fingerprint), market.matrix(), market.panel(), SPEC)


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=400, tickers=42, features=2, planted=0.1, first=500)


@pytest.fixture(scope="module")
def stream(market: SmallMarket) -> Stream:
    return streamed(market)


@pytest.fixture(scope="module")
def card(market: SmallMarket, stream: Stream) -> Scorecard:
    return score_stream(stream, market.matrix(), market.panel(), SPEC)


def test_scorecard_holds_the_series_that_decides_and_its_z(
    market: SmallMarket, stream: Stream, card: Scorecard
) -> None:
    panel = market.panel()
    grid = grid_of(stream.scores, panel)
    ic1 = sequential_ic(grid, panel, neutral_one_session(panel), 5)
    np.testing.assert_array_equal(card.x.value, ic1.value)
    assert card.z == sequential_z(ic1.value) > 2
    assert (card.through, card.sessions, card.tickers) == (899, 144, 42)
    assert card.rows == 144 * 42
    assert len(card.x) == 144 - 5


def test_rank_ic_of_the_horizon_stands_beside_its_overlap_corrected_interval(
    market: SmallMarket, stream: Stream, card: Scorecard
) -> None:
    panel = market.panel()
    grid, outcomes = grid_of(stream.scores, panel), forward_outcomes(panel, 5)
    neutral, raw = (spearman_rows(grid, r, panel.first).value for r in (outcomes.neutral, outcomes.returns))
    assert card.ic == ewc_interval(neutral, horizon=5)
    assert card.ic_raw == ewc_interval(raw, horizon=5)
    assert card.icir == pytest.approx(neutral.mean() / neutral.std(ddof=1))
    assert card.ic.n == 144 - 5  # the last five outcomes are not known


def test_class_figures_and_no_skill_figures_are_of_the_same_rows(
    market: SmallMarket, stream: Stream, card: Scorecard
) -> None:
    matrix = market.matrix()
    rows = matrix.take((matrix.session >= 756) & np.isfinite(matrix.label))
    truth = rows.label.astype(int)
    assert card.metrics is not None
    assert card.baseline is not None
    assert card.metrics.rows == card.baseline.rows == len(rows) == 139 * 42
    said = teller().build({}, 0, 1).fit(matrix).predict(rows)
    assert card.metrics.accuracy == pytest.approx(sk.accuracy_score(truth, said.argmax(axis=1)))
    assert card.metrics.log_loss == pytest.approx(sk.log_loss(truth, said), abs=1e-6)
    priors = {block.number: block.prior for block in stream.blocks}
    shares = np.array([priors[int(session) // 21] for session in rows.session])
    assert card.baseline.log_loss == pytest.approx(sk.log_loss(truth, shares))
    assert card.baseline.roc_auc == pytest.approx(0.5, abs=0.05)


def test_hit_rate_counts_the_names_that_moved_beyond_the_threshold(
    market: SmallMarket, stream: Stream, card: Scorecard
) -> None:
    panel = market.panel()
    grid, moves = grid_of(stream.scores, panel), forward_outcomes(panel, 5).returns
    shares = []
    for score, move in zip(grid, moves, strict=True):
        hits = [s * m > 0 for s, m in zip(score, move, strict=True) if math.isfinite(s) and abs(m) > 0.02]
        if hits:
            shares.append(sum(hits) / len(hits))
    assert card.hit_rate.mean == pytest.approx(np.mean(shares))
    assert card.hit_rate.n == 139


def test_scorecard_is_a_json_document_also_when_nothing_could_be_computed(card: Scorecard) -> None:
    document = card.document()
    assert json.loads(json.dumps(document, allow_nan=False))["metrics"].keys() >= {"accuracy", "f1_score", "log_loss"}
    small = small_market(sessions=520, tickers=4, features=1, first=500)
    empty = score_stream(streamed(small), small.matrix(), small.panel(), SPEC).document()
    text = json.dumps(empty, allow_nan=False)
    assert json.loads(text)["rank_ic"]["note"] == "too few sessions"
    assert json.loads(text)["rank_ic"]["mean"] is None


def test_scorecard_of_the_past_does_not_change_when_sessions_are_added(market: SmallMarket) -> None:
    cut = replace(market, close=market.close[:380], features=market.features[:380])
    early = score_stream(streamed(cut), cut.matrix(), cut.panel(), SPEC)
    longer = streamed(market)
    until = replace(longer, scores=longer.scores.filter(pl.col("session") < 880))
    late = score_stream(until, cut.matrix(), cut.panel(), SPEC)
    assert late.document() == early.document()


def said(scores: NDArray[np.float64]) -> pl.DataFrame:
    """Scores of one ticker, one per session, in blocks of 21."""
    session = np.arange(len(scores))
    return pl.DataFrame(
        {"session": session, "block": session // 21, "score": scores},
        schema={"session": pl.Int32, "block": pl.Int32, "score": pl.Float64},
    )


def test_signal_rule_asks_the_newest_year_only() -> None:
    old, new = np.linspace(50, 60, 210), np.linspace(-1, 1, 252)
    rule = signal_rule(said(np.concatenate([old, new])))
    assert (rule.buy_from, rule.sell_to) == pytest.approx((0.8, -0.8))


def test_signal_rule_calls_the_outer_tenth_on_each_side() -> None:
    rule = signal_rule(said(np.linspace(-1, 1, 101)))
    assert (rule.buy_from, rule.sell_to) == pytest.approx((0.8, -0.8))
    assert [rule.signal(s) for s in (0.81, 0.0, -0.81)] == ["BUY", "HOLD", "SELL"]


@pytest.mark.parametrize("scores", [[], [0.2, 0.2, 0.2]])
def test_signal_is_hold_where_scores_tell_nothing(scores: list[float]) -> None:
    rule = signal_rule(said(np.array(scores)))
    assert [rule.signal(s) for s in (9.0, 0.2, -9.0)] == ["HOLD", "HOLD", "HOLD"]


# --- plausibility


def with_figures(card: Scorecard, *, ic: float = 0.03, hit_rate: float = 0.52) -> Scorecard:
    def interval(lower: float) -> Interval:
        return Interval(lower + 0.02, lower - 0.01, lower + 0.05, lower, 2.0, 0.02, 300)

    return replace(card, ic=interval(ic), hit_rate=interval(hit_rate))


@pytest.mark.parametrize(
    ("horizon", "bar"), [(1, 0.10), (2, 0.10), (5, 0.15), (10, 0.2121), (20, 0.30), (27, 0.3486), (60, 0.35)]
)
def test_most_plausible_rank_ic_grows_with_the_root_of_the_horizon(horizon: int, bar: float) -> None:
    assert most_plausible_ic(horizon) == pytest.approx(bar, abs=1e-4)


@pytest.mark.parametrize(
    ("ic", "hit_rate", "passed"),
    [
        (0.03, 0.52, [True, True]),
        (0.15, 0.60, [True, True]),
        (0.151, 0.52, [False, True]),
        (0.03, 0.601, [True, False]),
    ],
)
def test_lower_bound_beyond_the_bar_is_implausible(
    card: Scorecard, ic: float, hit_rate: float, passed: list[bool]
) -> None:
    checks = plausibility(with_figures(card, ic=ic, hit_rate=hit_rate))
    assert [check.passed for check in checks] == passed
    assert [(check.hard, check.name) for check in checks] == [(True, "plausibility"), (True, "plausibility_direction")]


def test_raised_bar_for_planted_markets_is_the_one_that_is_recorded(card: Scorecard) -> None:
    strict = plausibility(with_figures(card, ic=0.2))[0]
    raised = plausibility(with_figures(card, ic=0.2), threshold_ic=0.3)[0]
    assert not strict.passed
    assert strict.threshold == pytest.approx(0.15)
    assert (raised.passed, raised.threshold) == (True, 0.3)


def test_too_few_sessions_are_no_reason_to_quarantine_and_say_so(card: Scorecard) -> None:
    unknown = ewc_interval(np.full(30, 0.9))
    checks = plausibility(replace(card, ic=unknown, hit_rate=unknown))
    assert all(check.passed and "too few sessions" in check.detail for check in checks)


def test_honest_strong_signal_is_plausible_and_a_leak_of_future_sessions_is_not(market: SmallMarket) -> None:
    strong = small_market(sessions=400, tickers=42, features=2, planted=0.05, first=500)
    told = score_stream(streamed(strong), strong.matrix(), strong.panel(), SPEC)
    assert told.z > 2
    assert all(check.passed for check in plausibility(told))
    features = market.features.copy()
    features[:-2, :, 0] = np.log(market.close[2:] / market.close[:-2]) * 50
    leak = replace(market, features=features)
    seen = score_stream(streamed(leak), leak.matrix(), leak.panel(), SPEC)
    assert seen.ic.mean > 0.4
    assert [check.passed for check in plausibility(seen)] == [False, False]
