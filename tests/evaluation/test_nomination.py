"""Which recipe speaks for a family, by inner folds of the past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.builders import small_market
from tests.evaluation.learners import buy_minus_sell, nan_recipe, teller

from marketloop.core.errors import FailedError
from marketloop.evaluation.nomination import (
    Contender,
    FoldRecord,
    Span,
    comparison,
    missing_folds,
    nominate,
    score_fold,
)
from marketloop.models import builtin_families, builtin_recipes

RIDGE = builtin_recipes()[0]
SHRUNK = Contender(RIDGE, {**RIDGE.defaults})
TELLING = replace(builtin_families()[0], score=buy_minus_sell)
LOOSE = Contender(RIDGE, {**RIDGE.defaults, "penalty": 0.4})


def fold(
    number: int, contender: Contender, mean: float, *, known_on: int | None = None, sessions: int = 60
) -> FoldRecord:
    return FoldRecord(
        number, contender.key, number * 60 + 65 if known_on is None else known_on, mean * sessions, sessions
    )


def test_key_names_the_recipe_and_what_differs_from_its_defaults() -> None:
    assert SHRUNK.key == "rank_ridge"
    assert LOOSE.key == "rank_ridge(penalty=0.4)"


def folds_of(shrunk: tuple[float, ...], loose: tuple[float, ...]) -> list[FoldRecord]:
    pairs = zip(shrunk, loose, strict=True)
    return [f for n, (a, b) in enumerate(pairs, start=3) for f in (fold(n, SHRUNK, a), fold(n, LOOSE, b))]


def test_contender_whose_lead_is_more_than_one_standard_error_is_nominated() -> None:
    folds = folds_of(shrunk=(0.01, 0.03, 0.02), loose=(0.04, 0.05, 0.03))  # lead 0.02, standard error 0.0058
    assert nominate(folds, (SHRUNK, LOOSE), before=10_000) is LOOSE
    assert comparison(folds) == pytest.approx({SHRUNK.key: 0.02, LOOSE.key: 0.04})


def test_fallback_stays_when_the_lead_is_within_one_standard_error() -> None:
    folds = folds_of(shrunk=(0.01, 0.03, 0.02), loose=(0.08, 0.00, 0.02))  # lead 0.0133, standard error 0.029
    assert comparison(folds)[LOOSE.key] > comparison(folds)[SHRUNK.key]
    assert nominate(folds, (SHRUNK, LOOSE), before=10_000) is SHRUNK


def test_fallback_stays_while_a_single_fold_speaks_against_it() -> None:
    assert nominate(folds_of(shrunk=(0.0,), loose=(0.5,)), (SHRUNK, LOOSE), before=10_000) is SHRUNK


def test_best_mean_is_nominated_among_several_that_lead() -> None:
    looser = Contender(RIDGE, {**RIDGE.defaults, "penalty": 0.1})
    folds = folds_of(shrunk=(0.01, 0.03), loose=(0.04, 0.05))
    folds += [fold(3, looser, 0.06), fold(4, looser, 0.08)]
    assert nominate(folds, (SHRUNK, LOOSE, looser), before=10_000) is looser


def test_longer_folds_weigh_more() -> None:
    folds = [fold(3, LOOSE, 0.10, sessions=10), fold(4, LOOSE, 0.0, sessions=90)]
    assert comparison(folds) == pytest.approx({LOOSE.key: 0.01})


def test_fallback_is_nominated_without_folds_and_in_a_tie() -> None:
    assert nominate([], (SHRUNK, LOOSE), before=10_000) is SHRUNK
    assert nominate([fold(3, LOOSE, 0.02), fold(3, SHRUNK, 0.02)], (SHRUNK, LOOSE), before=10_000) is SHRUNK


def test_fold_whose_outcomes_were_not_known_before_the_block_is_not_looked_at() -> None:
    folds = folds_of(shrunk=(0.0, 0.0), loose=(0.5, 0.5))  # known on 245 and 305
    assert nominate(folds, (SHRUNK, LOOSE), before=305) is SHRUNK
    assert nominate(folds, (SHRUNK, LOOSE), before=306) is LOOSE


def test_folds_to_score_are_complete_known_and_have_enough_to_learn_from() -> None:
    matrix = small_market(sessions=320, tickers=3, first=600).matrix()  # sessions 600..919
    jobs = missing_folds((), matrix, (SHRUNK, LOOSE), length=50, before=905)
    # Fold 14 is 700..749 and would learn from 95 sessions; 15 learns from 145; 17 ends at 899, known at 904.
    assert [(number, c.key) for number, c in jobs] == [(n, c.key) for n in (15, 16, 17) for c in (SHRUNK, LOOSE)]
    assert {n for n, _ in missing_folds((), matrix, (SHRUNK, LOOSE), length=50, before=904)} == {15, 16}


def test_folds_are_scored_once_and_a_lone_contender_needs_none() -> None:
    matrix = small_market(sessions=320, tickers=3, first=600).matrix()
    done = (fold(15, SHRUNK, 0.1), fold(16, LOOSE, 0.1))
    jobs = missing_folds(done, matrix, (SHRUNK, LOOSE), length=50, before=904)
    assert [(number, c.key) for number, c in jobs] == [(15, LOOSE.key), (16, SHRUNK.key)]
    assert missing_folds((), matrix, (SHRUNK,), length=50, before=904) == []


@pytest.mark.parametrize("tickers", [6, 14])
def test_fold_score_is_positive_for_a_teller_of_the_truth_and_negative_for_its_opposite(tickers: int) -> None:
    market = small_market(sessions=260, tickers=tickers, planted=0.4, first=600)
    matrix, panel = market.matrix(), market.panel()
    span = Span(number=15, length=50, horizon=5)
    records = [
        score_fold(matrix, panel, Contender(teller(sign), {}), span, family=TELLING, seed=0, threads=1)
        for sign in (1.0, -1.0)
    ]
    assert records[0].total > 0 > records[1].total
    assert records[0].total == pytest.approx(-records[1].total)
    assert (records[0].number, records[0].known_on) == (15, 804)
    assert records[0].sessions == (50 if tickers >= 10 else 50 * tickers)


def test_fold_learns_nothing_that_was_not_known_before_it() -> None:
    market = small_market(sessions=260, tickers=14, first=600)
    matrix, panel = market.matrix(), market.panel()
    late = matrix.known_on >= 750
    rng = np.random.default_rng(0)
    inside = matrix.session >= 750  # the fold's own outcomes are what it is scored by
    garbled = replace(
        matrix,
        label=np.where(late, rng.integers(0, 3, len(matrix)), matrix.label).astype(np.float32),
        target=np.where(late & ~inside, rng.normal(size=len(matrix)), matrix.target).astype(np.float32),
    )
    span = Span(number=15, length=50, horizon=5)
    records = [score_fold(m, panel, SHRUNK, span, family=TELLING, seed=0, threads=1) for m in (matrix, garbled)]
    assert records[0] == records[1]


def test_recipe_that_predicts_nan_fails_by_name() -> None:
    market = small_market(sessions=260, tickers=14, first=600)
    span = Span(number=15, length=50, horizon=5)
    with pytest.raises(FailedError, match="the recipe blank predicted NaN"):
        score_fold(
            market.matrix(), market.panel(), Contender(nan_recipe(), {}), span, family=TELLING, seed=0, threads=1
        )
