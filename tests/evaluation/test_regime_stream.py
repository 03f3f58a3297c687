"""One row per session: the walk-forward of a regime, what persistence would have said, and what counts as skill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import optimize, stats
from tests.evaluation.builders import Array, SmallMarket
from tests.evaluation.indices import (
    FAMILY,
    FIRST,
    Binned,
    binned_recipe,
    foreseen_index,
    garch_index,
    regime_matrix,
    regime_spec,
    regime_stream,
)

from marketloop.evaluation.gate import Evidence, GatePolicy, Slot, examine
from marketloop.evaluation.importance import importance_of
from marketloop.evaluation.intervals import ewc_interval
from marketloop.evaluation.scorecard import Scorecard, score_stream
from marketloop.evaluation.skill_series import log_loss_gain, log_probability
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Stream, advance

HORIZON, BLOCK = 20, 21
Levels = dict[int, float]


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return foreseen_index(1500, seed=4)


@pytest.fixture(scope="module")
def stream(market: SmallMarket) -> Stream:
    return regime_stream(market)


def card_of(market: SmallMarket, stream: Stream) -> Scorecard:
    return score_stream(stream, regime_matrix(market), market.panel(), regime_spec())


def test_first_block_has_five_hundred_known_regimes_before_it(stream: Stream) -> None:
    # Sessions 500..999 are known at 1019; the next block starts at 49 x 21 = 1029.
    assert stream.scores["session"].min() == 1029
    assert stream.blocks[0].rows == 1029 - HORIZON - FIRST
    assert stream.scores["session"].to_list() == list(range(1029, FIRST + 1500))


def test_history_below_five_hundred_known_regimes_says_nothing(market: SmallMarket) -> None:
    assert regime_stream(market, 528).scores.is_empty()


def plain_gain(market: SmallMarket) -> dict[int, float]:
    """Compute x again, session by session, from the closes and the first feature alone."""
    close, level = market.close[:, 0], market.features[:, 0, 0].astype(np.float32).astype(float)
    returns = close[1:] / close[:-1] - 1
    # Two thirds of a window are enough for a volatility.
    spread = {t: float(np.std(returns[max(t - 20, 0) : t], ddof=1)) for t in range(14, len(close))}
    regime: dict[int, int] = {}
    for t in range(len(close) - HORIZON):
        path = close[t : t + HORIZON + 1]
        fall = min(path[k] / max(path[: k + 1]) - 1 for k in range(HORIZON + 1))
        regime[t] = 0 if fall <= -0.05 else 2 if path[-1] > path[0] and fall > -0.03 else 1
    gains: dict[int, float] = {}
    for t in regime:
        start = (t + FIRST) // BLOCK * BLOCK - FIRST  # first session of the block, counted from the first close
        past = [s for s in regime if s + HORIZON < start]
        if len(past) < 500:
            continue
        middle = float(np.median([spread[s] for s in past if s in spread]))
        filled = {s: spread.get(s, middle) for s in (*past, t)}
        low, high = np.quantile([filled[s] for s in past], [1 / 3, 2 / 3])
        fifths = np.quantile([level[s] for s in past], [0.2, 0.4, 0.6, 0.8])

        def last_known(s: int, low: float = low, high: float = high, v: Levels = filled) -> tuple[int, int]:
            return regime.get(s - HORIZON, 3), int(v[s] > low) + int(v[s] > high)

        def fifth(s: int, fifths: Array = fifths) -> tuple[int, int]:
            return int(np.searchsorted(fifths, level[s])), 0

        curve = _curve(np.log([filled[s] for s in past]), [regime[s] for s in past], np.log(filled[t]))
        usual = (_share(past, regime, last_known, t, 1 / HORIZON) + curve[regime[t]]) / 2
        gains[t + FIRST] = float(np.log(_share(past, regime, fifth, t, 1.0)) - np.log(usual))
    return gains


def _share(
    past: list[int], regime: dict[int, int], cell: Callable[[int], tuple[int, int]], t: int, each: float
) -> float:
    """Share, counted from 1, that the regime of t has among those of `past` in the same cell."""
    alike = [regime[s] for s in past if cell(s) == cell(t)]
    return (each * alike.count(regime[t]) + 1) / (each * len(alike) + 3)


def _curve(level: Array, codes: list[int], asked: float) -> Array:
    """Fit a multinomial logistic curve, shrunk and with each class once more at the mean, by a general optimiser."""
    z = np.append((level - level.mean()) / level.std(), [0.0, 0.0, 0.0])
    weight = np.append(np.full(len(level), 1 / HORIZON), [1.0, 1.0, 1.0])
    truth = np.append(codes, [0, 1, 2])

    def margins(beta: Array, at: Array) -> Array:
        return np.column_stack([np.zeros(len(at)), beta[0] + beta[1] * at, beta[2] + beta[3] * at])

    def loss(beta: Array) -> float:
        scores = margins(beta, z)
        chosen = scores[np.arange(len(z)), truth] - np.log(np.exp(scores).sum(axis=1))
        return float(-(weight * chosen).sum() + (beta[1] ** 2 + beta[3] ** 2) / 2)

    best = optimize.minimize(loss, np.zeros(4), tol=1e-10).x
    score = np.exp(margins(best, np.array([(asked - level.mean()) / level.std()]))[0])
    shares: Array = score / score.sum()
    return shares


def test_gain_is_that_of_a_plain_independent_computation(market: SmallMarket) -> None:
    short = replace(market, close=market.close[:700], features=market.features[:700])
    gain = log_loss_gain(regime_stream(short), regime_matrix(short))
    expected = plain_gain(short)
    assert gain.session.tolist() == list(expected)
    assert gain.value == pytest.approx(list(expected.values()), abs=1e-5)
    assert len(gain) == 151
    assert gain.value.std() > 0.1


@pytest.mark.parametrize("cuts", [(700, None), (530, 541, 900, 1203, None), (*range(1400, 1500, 9), None)])
def test_data_that_come_later_change_no_score_and_no_earlier_gain(
    market: SmallMarket, stream: Stream, cuts: tuple[int | None, ...]
) -> None:
    assert_frame_equal(regime_stream(market, *cuts).scores, stream.scores, check_exact=True)
    whole = log_loss_gain(stream, regime_matrix(market))
    part = log_loss_gain(regime_stream(market, cuts[0]), regime_matrix(market, cuts[0]))
    assert (part.session == whole.session[: len(part)]).all()
    assert (part.value == whole.value[: len(part)]).all()


def test_regimes_known_after_the_start_of_a_block_reach_neither_its_model_nor_its_baseline(
    market: SmallMarket,
) -> None:
    matrix, panel, spec = regime_matrix(market, 1258), market.panel(1258), regime_spec()
    start = (FIRST + 1257) // BLOCK * BLOCK
    late = (matrix.known_on >= start) & np.isfinite(matrix.label)
    assert late.sum() > 10
    garbled = replace(matrix, label=np.where(late, 2 - matrix.label, matrix.label).astype(np.float32))
    clean = advance(Stream(spec.fingerprint), matrix, panel, spec).scores
    dirty = advance(Stream(spec.fingerprint), garbled, panel, spec).scores
    before = clean["session"] < start  # inside the block the last known regime moves on with each session
    assert clean.filter(before).equals(dirty.filter(before))
    assert clean.drop("baseline").equals(dirty.drop("baseline"))


def test_baseline_and_probabilities_are_shares(stream: Stream) -> None:
    for column in ("probabilities", "baseline"):
        shares = np.array(stream.scores[column].to_list())
        assert shares.shape == (len(stream.scores), 3)
        assert shares.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert shares.min() > 0


def test_planted_regimes_are_found_and_say_so_in_every_figure(market: SmallMarket, stream: Stream) -> None:
    card = card_of(market, stream)
    assert card.statistic == "log_loss"
    assert card.overlap == HORIZON
    assert card.z > 3
    assert card.z == pytest.approx(stats.norm.isf(ewc_interval(card.x.value, horizon=20).p))
    assert card.metrics is not None
    assert card.baseline is not None
    assert card.metrics.accuracy > card.baseline.accuracy + 0.05
    assert card.regime_edge is not None
    assert card.regime_edge.mean == pytest.approx(card.metrics.accuracy - card.baseline.accuracy, abs=1e-9)
    assert not card.ic.known
    verdict = examine(Slot(), None, Evidence(FIRST + 1499, card.x, overlap=card.overlap), GatePolicy())
    assert (verdict.verdict, verdict.slot.proven) == ("promoted", True)


def test_index_without_direction_shows_no_skill() -> None:
    z = []
    for seed in range(12):
        index = garch_index(1500, seed)
        card = card_of(index, regime_stream(index))
        verdict = examine(Slot(), None, Evidence(FIRST + 1499, card.x, overlap=card.overlap), GatePolicy())
        assert not verdict.slot.proven, seed
        z.append(card.z)
    assert np.isfinite(z).all()
    assert sum(value > 1.645 for value in z) <= 2


def test_too_few_known_regimes_give_no_z(market: SmallMarket) -> None:
    card = card_of_first(market, 760)
    assert 0 < len(card.x) < 240
    assert np.isnan(card.z)


def card_of_first(market: SmallMarket, until: int) -> Scorecard:
    return score_stream(regime_stream(market, until), regime_matrix(market, until), market.panel(until), regime_spec())


def test_class_that_never_occurred_in_training_gets_a_share_and_no_infinite_gain() -> None:
    index = garch_index(1300, seed=2)
    calm = np.diff(np.log(index.close[:, 0]), prepend=np.log(100.0))
    calm[:1050] = np.clip(calm[:1050], -0.002, 0.002)  # no drawdown of 5 % before the stream begins
    quiet = replace(index, close=100 * np.exp(np.cumsum(calm))[:, None])
    matrix = regime_matrix(quiet)
    stream = regime_stream(quiet)
    first = stream.blocks[0]
    assert first.prior[0] == 0.0
    assert (matrix.label[matrix.session > 1600] == 0).any()
    assert np.isfinite(log_loss_gain(stream, matrix).value).all()


def test_difference_of_two_log_probabilities_is_that_of_two_gains_over_one_baseline(
    market: SmallMarket, stream: Stream
) -> None:
    matrix = regime_matrix(market)
    frozen = Binned().fit(matrix.take(known_before(matrix, 1400)))
    said = pl.Series(frozen.predict(matrix.take(matrix.session >= 1029)).tolist(), dtype=pl.List(pl.Float32))
    other = replace(stream, scores=stream.scores.with_columns(said.alias("probabilities")))
    d = log_probability(stream.scores, matrix).minus(log_probability(other.scores, matrix))
    gains = log_loss_gain(stream, matrix).minus(log_loss_gain(other, matrix))
    assert (d.session == gains.session).all()
    assert d.value == pytest.approx(gains.value, abs=1e-6)
    assert d.value.std() > 0


def test_permutation_importance_of_one_row_per_session_is_log_probability_lost(market: SmallMarket) -> None:
    matrix = regime_matrix(market)
    known = matrix.take(np.isfinite(matrix.label))
    learner = Binned().fit(known.take(known_before(known, 1600)))
    rows = known.take(known.session >= 1600)
    found = importance_of(learner, rows, score=FAMILY.score, statistic=FAMILY.statistic)
    assert found.permutation["f0"] > 0.05
    assert found.permutation["f1"] == 0.0
    by_rank = importance_of(learner, rows, score=FAMILY.score)
    assert by_rank.permutation == {}  # a session of one row has no order


def test_saved_learner_of_these_tests_reads_back(market: SmallMarket) -> None:
    recipe, matrix = binned_recipe(), regime_matrix(market)
    learner = Binned().fit(matrix.take(np.isfinite(matrix.label)))
    again = recipe.from_parts(learner.parts())
    assert (again.predict(matrix) == learner.predict(matrix)).all()
