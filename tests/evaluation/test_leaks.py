"""Learners and procedures that know what they should not are found by their answers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pytest
from tests.evaluation.builders import Array, small_market
from tests.evaluation.learners import Teller, buy_minus_sell, recipe_of, teller
from tests.extras import recipes_named

from marketloop.core.catalog import Family
from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec
from marketloop.evaluation.leaks import check_duplicates, check_learner, check_pipeline
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.models import builtin_recipes


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return small_market(sessions=160, tickers=12, planted=0.2).matrix()


def whats(make: Callable[[], Teller], matrix: Matrix) -> set[str]:
    return {suspicion.what for suspicion in check_learner(recipe_of("r", make), matrix)}


@dataclass
class Batch(Teller):
    """Scales by all rows asked about, by a hundredth."""

    def predict(self, rows: Matrix) -> Array:
        return super().predict(rows) + 0.01 * float(rows.X[:, 0].mean()) * np.array([-0.1, 0.0, 0.1])


@dataclass
class Peeking(Teller):
    """Looks at the label of the row it answers for."""

    def predict(self, rows: Matrix) -> Array:
        seen: Array = super().predict(rows) + 0.001 * np.nan_to_num(rows.label)[:, None] * np.array([-1.0, 0.0, 1.0])
        return seen


@dataclass
class Settling(Teller):
    """Looks at when the label will be known."""

    def predict(self, rows: Matrix) -> Array:
        late = np.minimum(rows.known_on - rows.session, 20)
        seen: Array = super().predict(rows) + 0.001 * late[:, None] * np.array([-1.0, 0.0, 1.0])
        return seen


@dataclass
class Behind(Teller):
    """Reads the memory around the rows that it is given."""

    shift: float = 0.0

    def fit(self, train: Matrix) -> Self:
        around = train.X.base if isinstance(train.X.base, np.ndarray) else train.X
        self.shift = float(around.mean())
        return super().fit(train)

    def predict(self, rows: Matrix) -> Array:
        return super().predict(rows) + self.shift * np.array([-0.1, 0.0, 0.1])


@dataclass
class Foreseeing(Teller):
    """Looks at the features of the session after, which stand among the rows that everybody's past is found in."""

    def predict(self, rows: Matrix) -> Array:
        assert rows.past is not None
        last = rows.past.before(rows.session + np.int32(2), rows.ticker, 1)[:, 0]
        seen: Array = super().predict(rows) + 0.01 * rows.past.rows(last)[:, :1] * np.array([-1.0, 0.0, 1.0])
        return seen


@dataclass
class Looking(Teller):
    """Looks at the features of the row before, as it may."""

    def predict(self, rows: Matrix) -> Array:
        assert rows.past is not None
        last = rows.past.before(rows.session, rows.ticker, 1)[:, 0]
        seen: Array = super().predict(rows) + 0.01 * rows.past.rows(last)[:, :1] * np.array([-1.0, 0.0, 1.0])
        return seen


SEEN: list[float] = []


@dataclass
class Remembering(Teller):
    """Keeps the mean label of everything that any learner was fitted on."""

    def fit(self, train: Matrix) -> Self:
        SEEN.append(float(np.nanmean(train.label)))
        return super().fit(train)

    def predict(self, rows: Matrix) -> Array:
        return super().predict(rows) + 0.1 * float(np.mean(SEEN)) * np.array([-1.0, 0.0, 1.0])


@dataclass
class Dice(Teller):
    """Answers at random."""

    def predict(self, rows: Matrix) -> Array:
        return super().predict(rows) + np.random.default_rng().normal(0, 0.01, (len(rows), 3))


@dataclass
class LookingUp(Teller):
    """Has a little of what became of each row in a table by session and ticker."""

    table: Mapping[tuple[int, str], float] = field(default_factory=dict)
    share: float = 0.0

    def predict(self, rows: Matrix) -> Array:
        names = [rows.tickers[at] for at in rows.ticker.tolist()]
        told = [self.table.get(key, 0.0) for key in zip(rows.session.tolist(), names, strict=True)]
        seen: Array = super().predict(rows) + self.share * np.asarray(told)[:, None] * np.array([-1.0, 0.0, 1.0])
        return seen


def test_learner_with_a_table_of_outcomes_is_found_and_with_an_honest_one_is_not(matrix: Matrix) -> None:
    names = [matrix.tickers[at] for at in matrix.ticker.tolist()]
    keys = list(zip(matrix.session.tolist(), names, strict=True))
    outcomes = dict(zip(keys, np.nan_to_num(matrix.target).tolist(), strict=True))
    assert whats(lambda: LookingUp(table=outcomes, share=0.003), matrix) == {"table"}
    known = dict(zip(keys, np.random.default_rng(3).normal(0, 0.3, len(keys)).tolist(), strict=True))
    assert whats(lambda: LookingUp(table=known, share=0.1), matrix) == set()


@dataclass
class ByName(Teller):
    """Keeps a figure for each ticker, and refuses those that it never met."""

    figures: dict[str, float] = field(default_factory=dict)

    def fit(self, train: Matrix) -> Self:
        super().fit(train)
        self.figures = {train.tickers[at]: 0.01 * at for at in np.unique(train.ticker).tolist()}
        return self

    def predict(self, rows: Matrix) -> Array:
        own = np.array([self.figures[rows.tickers[at]] for at in rows.ticker.tolist()])
        told: Array = super().predict(rows) + own[:, None] * np.array([-1.0, 0.0, 1.0])
        return told


def test_learner_that_refuses_tickers_it_never_met_is_left_alone(matrix: Matrix) -> None:
    assert whats(ByName, matrix) == set()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Batch, "batch"),
        (Peeking, "labels"),
        (Settling, "labels"),
        (Behind, "views"),
        (Foreseeing, "batch"),
        (Remembering, "memory"),
        (Dice, "labels"),
    ],
)
def test_learner_that_knows_more_than_its_training_rows_is_found(
    make: Callable[[], Teller], what: str, matrix: Matrix
) -> None:
    assert what in whats(make, matrix)


def test_suspicion_says_what_was_changed_and_where(matrix: Matrix) -> None:
    found = next(s for s in check_learner(recipe_of("r", Batch), matrix) if s.what == "batch")
    assert found.session is not None
    assert found.session > 500 + 90
    assert 0 < found.share < 1
    assert "are not asked about" in found.detail


def test_honest_learner_is_left_alone(matrix: Matrix) -> None:
    assert check_learner(teller(), matrix) == ()
    assert whats(Looking, matrix) == set()


@pytest.mark.parametrize("name", recipes_named(recipe.name for recipe in builtin_recipes()))
def test_recipes_of_the_product_are_honest(name: str, matrix: Matrix) -> None:
    recipe = next(r for r in builtin_recipes() if r.name == name)
    few = {key: value for key, value in {"n_estimators": 20, "epochs": 2, "steps": 6}.items() if key in recipe.defaults}
    assert check_learner(recipe, matrix, params={**recipe.defaults, **few}) == ()


def test_learner_check_wants_enough_rows(matrix: Matrix) -> None:
    with pytest.raises(UsageError, match="expected at least 50 in 20 to check the recipe"):
        check_learner(teller(), matrix.take(slice(0, 60)))


def plain_walk(matrix: Matrix, *, purge: int = 0, length: int = 21) -> Array:
    """Score by the mean target of each ticker in the rows known before each block."""
    scores = np.full(len(matrix), np.nan)
    for number in np.unique(matrix.session // length):
        start = int(number) * length
        known = known_before(matrix, start + purge) & np.isfinite(matrix.target)
        if known.sum() > 300:
            inside = matrix.session // length == number
            size = len(matrix.tickers)
            count = np.bincount(matrix.ticker[known], minlength=size)
            means = np.bincount(matrix.ticker[known], matrix.target[known], size) / np.maximum(count, 1)
            scores[inside] = means[matrix.ticker[inside]] + matrix.X[inside, 0]
    return scores


def scaled_walk(matrix: Matrix) -> Array:
    centred = (matrix.X - matrix.X.mean(axis=0)) / matrix.X.std(axis=0)
    return plain_walk(replace(matrix, X=centred.astype(np.float32)))


def random_folds(matrix: Matrix) -> Array:
    fold = np.random.default_rng(1).permutation(len(matrix)) % 5
    scores = np.zeros(len(matrix))
    for number in range(5):
        train = (fold != number) & np.isfinite(matrix.target)
        scores[fold == number] = float(matrix.target[train].mean())
    return scores + matrix.X[:, 1]


def test_honest_walk_is_left_alone(matrix: Matrix) -> None:
    assert check_pipeline(plain_walk, matrix) == ()


def test_walk_purged_three_sessions_short_is_found(matrix: Matrix) -> None:
    (suspicion,) = check_pipeline(lambda rows: plain_walk(rows, purge=3), matrix)
    assert suspicion.what == "future"
    assert suspicion.session is not None
    assert suspicion.session % 21 < 3


@pytest.mark.parametrize("run", [scaled_walk, random_folds])
def test_what_is_fitted_outside_the_fold_is_found(run: Callable[[Matrix], Array], matrix: Matrix) -> None:
    assert [suspicion.what for suspicion in check_pipeline(run, matrix)] == ["future"]


def test_hundredth_of_a_leaking_procedure_is_found(matrix: Matrix) -> None:
    def run(rows: Matrix) -> Array:
        return plain_walk(rows) + 0.01 * random_folds(rows)

    assert check_pipeline(run, matrix)


def test_stream_of_the_product_is_an_honest_procedure() -> None:
    market = small_market(sessions=330, tickers=42, planted=0.15, first=500)
    panel = market.panel()
    ridge = next(recipe for recipe in builtin_recipes() if recipe.name == "rank_ridge")
    contenders = tuple(Contender(ridge, {**ridge.defaults, "penalty": p}) for p in (1.5, 0.2))
    family = Family("f", ("SELL", "HOLD", "BUY"), 5, 0.02, ("rank_ridge",), buy_minus_sell, minimum_rows=1000)
    spec = StreamSpec(family, contenders, LabelSpec(5, 0.02), "basic", "rsi10", block=21, validation=63)

    def run(matrix: Matrix) -> Array:
        scores = advance(Stream(spec.fingerprint), replace(matrix, ranks=None), panel, spec).scores
        found = np.full(len(matrix), np.nan)
        place = {name: at for at, name in enumerate(matrix.tickers)}
        at = dict(
            zip(zip(matrix.session.tolist(), matrix.ticker.tolist(), strict=True), range(len(matrix)), strict=True)
        )
        for session, ticker, score in scores.select("session", "ticker", "score").iter_rows():
            found[at[session, place[ticker]]] = score
        return found

    assert check_pipeline(run, market.matrix(), cuts=12) == ()


def test_row_that_comes_again_in_another_session_is_a_duplicate(matrix: Matrix) -> None:
    assert check_duplicates(matrix) == ()
    X = matrix.X.copy()
    X[700] = X[300]
    (found,) = check_duplicates(replace(matrix, X=X))
    assert (found.session, found.other_session) == (int(matrix.session[700]), int(matrix.session[300]))
    assert found.ticker == matrix.tickers[matrix.ticker[700]]


def test_ticker_that_does_not_move_is_no_duplicate_of_itself(matrix: Matrix) -> None:
    X = matrix.X.copy()
    rows = np.flatnonzero(matrix.ticker == 4)[20:25]
    X[rows] = X[rows[0]]
    assert check_duplicates(replace(matrix, X=X)) == ()


def test_rows_that_say_nothing_are_no_duplicates(matrix: Matrix) -> None:
    X = matrix.X.copy()
    X[100:400] = 0.0
    assert check_duplicates(replace(matrix, X=X)) == ()
