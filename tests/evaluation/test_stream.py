"""The append-only walk-forward: what was said is never said again, and never with what came later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.evaluation.builders import SmallMarket, small_market
from tests.evaluation.learners import buy_minus_sell, nan_recipe, teller

from marketloop.core.catalog import Family
from marketloop.core.errors import FailedError
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.stream import Stream, StreamSpec, advance, fit_nominee, grid_of
from marketloop.models import builtin_recipes

RIDGE, BOOSTED = (next(r for r in builtin_recipes() if r.name == name) for name in ("rank_ridge", "xgboost"))
FIRST = 500
FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("rank_ridge",), buy_minus_sell, minimum_rows=1000)
RIDGES = tuple(Contender(RIDGE, {**RIDGE.defaults, "penalty": p}) for p in (1.5, 0.2))
TREES = Contender(
    BOOSTED, {**BOOSTED.defaults, "n_estimators": 8, "max_depth": 2, "early_stopping_rounds": 3, "thin_by": 5}
)


def spec_of(*contenders: Contender, **changes: Any) -> StreamSpec:
    spec = StreamSpec(FAMILY, contenders or RIDGES, LabelSpec(5, 0.02), "basic", "rsi10", block=21, validation=63)
    return replace(spec, **changes)


def run(market: SmallMarket, spec: StreamSpec, *cuts: int) -> Stream:
    """Advance a stream once for each cut of the data, as nights do; the last cut is where the data end."""
    stream = Stream(spec.fingerprint)
    for until in cuts:
        stream = advance(stream, market.matrix(until), market.panel(until), spec)
    return stream


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=360, tickers=42, planted=0.15, first=FIRST)


@pytest.fixture(scope="module")
def stream(market: SmallMarket) -> Stream:
    return run(market, spec_of(), 360)


def test_stream_starts_with_the_first_block_that_has_enough_to_learn_from(stream: Stream) -> None:
    # 250 sessions with known labels: 500..749, the last known at 754; the next block starts at 36 x 21 = 756.
    assert stream.scores["session"].min() == 756
    assert stream.scores["session"].unique().to_list() == list(range(756, 860))
    assert [block.number for block in stream.blocks] == [36, 37, 38, 39, 40]
    assert stream.blocks[0].rows == 251 * 42


@pytest.mark.parametrize(("tickers", "first_scored"), [(42, 756), (30, 840), (12, 1008)])
def test_first_block_needs_ten_thousand_rows_or_five_hundred_sessions(tickers: int, first_scored: int) -> None:
    small = small_market(sessions=530, tickers=tickers, features=1, first=FIRST)
    spec = spec_of(Contender(teller(), {}))
    assert run(small, spec, 530).scores["session"].min() == first_scored


def test_stream_of_a_short_history_says_nothing_yet(market: SmallMarket) -> None:
    early = run(market, spec_of(), 200)
    assert early.scores.is_empty()
    assert early.last_session is None
    assert (early.blocks, early.folds, early.open_model) == ((), (), None)


def test_model_of_a_block_was_made_at_the_close_before_it(stream: Stream) -> None:
    for block in stream.blocks:
        assert block.train_through == block.number * 21 - 1
    assert stream.open_model is not None
    assert stream.open_model.block == stream.blocks[-1]


@pytest.mark.parametrize(
    "cuts", [(256, 360), (257, 360), (276, 277, 278, 360), (300, 340, 360), (*range(310, 361, 7), 360)]
)
def test_stream_advanced_in_steps_equals_the_stream_advanced_at_once_to_the_last_bit(
    market: SmallMarket, stream: Stream, cuts: tuple[int, ...]
) -> None:
    steps = run(market, spec_of(), *cuts)
    assert_frame_equal(steps.scores, stream.scores, check_exact=True)
    assert steps.blocks == stream.blocks
    assert steps.folds == stream.folds


@pytest.mark.parametrize("contender", [TREES, Contender(teller(), {})], ids=["boosted trees", "teller"])
def test_steps_equal_one_advance_for_other_learners_too(market: SmallMarket, contender: Contender) -> None:
    spec = spec_of(contender)
    assert_frame_equal(run(market, spec, 290, 301, 345).scores, run(market, spec, 345).scores, check_exact=True)


def test_steps_equal_one_advance_in_a_small_universe() -> None:
    small = small_market(sessions=560, tickers=6, first=FIRST)
    whole = run(small, spec_of(), 560)
    assert_frame_equal(run(small, spec_of(), 530, 541, 560).scores, whole.scores, check_exact=True)
    assert whole.scores["tilt"].is_between(-1, 1).all()
    assert len(whole.folds) > 0


def test_second_run_on_the_same_data_appends_nothing(market: SmallMarket, stream: Stream) -> None:
    again = advance(stream, market.matrix(), market.panel(), spec_of())
    assert again is stream


def test_what_was_scored_is_not_touched_when_history_is_revised(market: SmallMarket, stream: Stream) -> None:
    rng = np.random.default_rng(1)
    revised = replace(market, features=market.features + rng.normal(size=market.features.shape))
    before = run(market, spec_of(), 330)
    after = advance(before, revised.matrix(), revised.panel(), spec_of())
    assert_frame_equal(after.scores.head(len(before.scores)), before.scores, check_exact=True)
    assert after.blocks[: len(before.blocks)] == before.blocks
    assert len(after.scores) == len(stream.scores)


def test_model_of_an_open_block_is_kept_for_the_sessions_still_to_come(market: SmallMarket, stream: Stream) -> None:
    before = run(market, spec_of(), 350)  # inside block 40
    late = market.matrix()
    garbled = replace(late, target=np.random.default_rng(0).permutation(late.target))
    after = advance(before, garbled, market.panel(), spec_of())
    assert after.open_model is before.open_model
    assert_frame_equal(after.scores, stream.scores, check_exact=True)


@pytest.mark.parametrize("contenders", [RIDGES, (TREES,)], ids=["ridges", "boosted trees"])
def test_labels_known_after_the_start_of_a_block_do_not_reach_its_model(
    market: SmallMarket, contenders: tuple[Contender, ...]
) -> None:
    spec, matrix, panel = spec_of(*contenders), market.matrix(338), market.panel(338)
    start = (FIRST + 337) // 21 * 21  # of the newest block
    rng = np.random.default_rng(5)
    late = matrix.known_on >= start
    garbled = replace(
        matrix,
        label=np.where(late, rng.integers(0, 3, len(matrix)), matrix.label).astype(np.float32),
        target=np.where(late, rng.normal(0, 5, len(matrix)), matrix.target).astype(np.float32),
        weight=np.where(late, 9.0, matrix.weight).astype(np.float32),
    )
    assert np.isfinite(matrix.label[late]).sum() > 300
    clean = advance(Stream(spec.fingerprint), matrix, panel, spec)
    dirty = advance(Stream(spec.fingerprint), garbled, panel, spec)
    assert_frame_equal(clean.scores, dirty.scores, check_exact=True)
    early = matrix.known_on < start
    spoiled = replace(
        matrix,
        target=np.where(early, -matrix.target, matrix.target),
        label=np.where(early, 2 - matrix.label, matrix.label),
    )
    other = advance(Stream(spec.fingerprint), spoiled, panel, spec)
    assert not other.scores["score"].equals(clean.scores["score"])  # the test above could have failed


def test_features_of_later_sessions_do_not_reach_earlier_scores(market: SmallMarket, stream: Stream) -> None:
    features = market.features.copy()
    features[330:] = 7.0
    changed = run(replace(market, features=features), spec_of(), 360)
    before = pl.col("session") < FIRST + 330
    assert_frame_equal(changed.scores.filter(before), stream.scores.filter(before), check_exact=True)


def test_nominee_of_each_block_is_chosen_from_folds_known_before_it(market: SmallMarket, stream: Stream) -> None:
    assert {(f.number, f.contender) for f in stream.folds} == {
        (n, c.key) for n in (10, 11, 12) for c in RIDGES
    }  # 63-session folds from 630 on; fold 13 is not complete
    for block in stream.blocks:
        known = [f for f in stream.folds if f.known_on < block.number * 21]
        means = {c.key: sum(f.total for f in known if f.contender == c.key) for c in RIDGES}
        assert block.nominee == max(means, key=lambda key: means[key])


def test_feature_is_dropped_by_a_block_when_its_own_training_rows_lack_it(market: SmallMarket) -> None:
    # Absent until session 770 of the calendar, then there: dropped by the first blocks, whatever came later.
    matrix, panel = market.matrix(), market.panel()
    gap = matrix.missing_sessions < 640
    missing = matrix.missing.copy()
    missing[gap, 2] = 42
    spec = spec_of()
    stream = advance(Stream(spec.fingerprint), replace(matrix, missing=missing), panel, spec)
    lacking = [block.number for block in stream.blocks if block.dropped]
    # Half of the training rows lack it while fewer than 280 sessions are learned from: blocks at 756 and 777.
    assert lacking == [36, 37]
    assert stream.blocks[0].dropped == ("f2",)
    assert stream.blocks[0].features == ("f0", "f1")
    assert stream.blocks[-1].features == ("f0", "f1", "f2")


def test_prior_holds_the_class_shares_of_the_training_rows(market: SmallMarket, stream: Stream) -> None:
    matrix = market.matrix()
    block = stream.blocks[-1]
    labels = matrix.label[matrix.known_on < block.number * 21]
    assert block.prior == pytest.approx([(labels == code).mean() for code in range(3)])
    assert block.rows == len(labels)


def test_scores_are_the_family_s_reading_of_the_probabilities(stream: Stream) -> None:
    scores = stream.scores
    gap = (
        scores["probabilities"].list.get(2).cast(pl.Float64)
        - scores["probabilities"].list.get(0).cast(pl.Float64)
        - scores["score"]
    ).abs()
    assert gap.max() < 1e-6  # type: ignore[operator]
    assert scores.select("session", "ticker").is_duplicated().sum() == 0
    assert scores["tilt"].is_nan().all()  # needed by small universes only
    assert scores.equals(scores.sort("session", "ticker"))


def test_blocks_may_be_made_in_any_order_by_the_parallel_map(market: SmallMarket, stream: Stream) -> None:
    def backwards(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        jobs = list(items)
        return [work(job) for job in reversed(jobs)][::-1]

    spec = spec_of()
    other = advance(Stream(spec.fingerprint), market.matrix(), market.panel(), spec, pmap=backwards)
    assert_frame_equal(other.scores, stream.scores, check_exact=True)


def test_largest_fold_is_begun_first_and_records_stand_in_order_of_time(market: SmallMarket, stream: Stream) -> None:
    begun: list[int] = []

    def watched(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        jobs = list(items)
        begun.extend(job[0] for job in jobs if isinstance(job, tuple))
        return [work(job) for job in jobs]

    spec = spec_of()
    other = advance(Stream(spec.fingerprint), market.matrix(), market.panel(), spec, pmap=watched)
    assert begun == sorted(begun, reverse=True)
    assert other.folds == stream.folds
    assert [fold.number for fold in other.folds] == sorted(fold.number for fold in other.folds)


def test_rows_with_labels_may_be_handed_over(market: SmallMarket, stream: Stream) -> None:
    spec, matrix = spec_of(), market.matrix()
    labelled = matrix.take(np.isfinite(matrix.label))
    other = advance(Stream(spec.fingerprint), matrix, market.panel(), spec, labelled=labelled)
    assert_frame_equal(other.scores, stream.scores, check_exact=True)
    assert (other.folds, other.blocks) == (stream.folds, stream.blocks)


def test_progress_counts_folds_and_blocks(market: SmallMarket) -> None:
    told: list[tuple[int, int]] = []
    spec = spec_of()
    advance(
        Stream(spec.fingerprint),
        market.matrix(),
        market.panel(),
        spec,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(i, 6) for i in range(1, 7)] + [(i, 5) for i in range(1, 6)]


def test_stream_of_another_recipe_is_not_continued(market: SmallMarket, stream: Stream) -> None:
    with pytest.raises(FailedError, match="open a new stream"):
        advance(stream, market.matrix(), market.panel(), spec_of(RIDGES[0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"block": 1},
        {"label": LabelSpec(10, 0.02)},
        {"label": LabelSpec(5, 0.03)},
        {"feature_set": "extended"},
        {"seed": 1},
    ],
)
def test_another_block_label_feature_set_or_seed_is_another_stream(changes: dict[str, Any]) -> None:
    assert spec_of(**changes).fingerprint != spec_of().fingerprint
    assert spec_of().fingerprint == spec_of().fingerprint


def test_recipe_that_predicts_nan_fails_by_name_and_nothing_is_appended(market: SmallMarket) -> None:
    spec = spec_of(Contender(nan_recipe(), {}))
    with pytest.raises(FailedError, match="the recipe blank predicted NaN or infinity"):
        run(market, spec, 360)


def test_candidate_of_tonight_is_what_the_next_block_would_get(market: SmallMarket, stream: Stream) -> None:
    spec = spec_of()
    start = stream.blocks[-1].number * 21
    candidate = fit_nominee(market.matrix(start - FIRST), spec, stream.folds, start)
    assert stream.open_model is not None
    assert candidate.learner.parts() == stream.open_model.learner.parts()
    assert candidate.block == stream.blocks[-1]


def test_grid_places_scores_on_the_sessions_and_tickers_of_a_panel(market: SmallMarket, stream: Stream) -> None:
    panel = market.panel()
    grid = grid_of(stream.scores, panel)
    assert np.isnan(grid[:256]).all()
    row = stream.scores.row(1000, named=True)
    assert grid[row["session"] - FIRST, panel.tickers.index(row["ticker"])] == row["score"]
    assert np.isfinite(grid).sum() == len(stream.scores)
    assert np.isnan(grid_of(Stream("x").scores, panel)).all()
    shorter = small_market(sessions=300, tickers=40, first=FIRST).panel()
    assert np.isfinite(grid_of(stream.scores, shorter)).sum() == 44 * 40
