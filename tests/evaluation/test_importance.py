"""What a model leans on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.extras import recipes_named

from marketloop.core.values import Matrix
from marketloop.dataset import with_past, with_ranks
from marketloop.evaluation.importance import Importance, importance_of
from marketloop.models import builtin_families, builtin_recipes
from marketloop.models.ridge import RankRidge

SESSIONS, TICKERS = 120, 30
SCORE = builtin_families()[0].score


def market_of_one_signal() -> Matrix:
    """Of three features only ``good`` orders the outcomes."""
    rng = np.random.default_rng(3)
    rows = SESSIONS * TICKERS
    session = np.repeat(np.arange(SESSIONS, dtype=np.int32), TICKERS)
    X = rng.normal(size=(rows, 3)).astype(np.float32)
    outcome = X[:, 1] + rng.normal(size=rows)
    blank = Matrix(
        X=X,
        names=("idle", "good", "dull"),
        session=session,
        ticker=np.tile(np.arange(TICKERS, dtype=np.int32), SESSIONS),
        tickers=tuple(f"T{i:02d}" for i in range(TICKERS)),
        label=(1 + np.sign(outcome) * (np.abs(outcome) > 1)).astype(np.float32),
        target=(outcome / 10).astype(np.float32),
        known_on=session + 5,
        weight=np.ones(rows, np.float32),
        missing=np.zeros((SESSIONS, 3), np.float32),
        missing_sessions=np.arange(SESSIONS, dtype=np.int32),
        missing_rows=np.full(SESSIONS, TICKERS, np.int32),
        classes=("SELL", "HOLD", "BUY"),
    )
    return with_past(with_ranks(blank))


EXPLAINING = recipes_named(r.name for r in builtin_recipes() if r.name not in {"ensemble", "stacking"})


@pytest.fixture(scope="module", params=EXPLAINING)
def importance(request: pytest.FixtureRequest) -> Importance:
    recipe = next(r for r in builtin_recipes() if r.name == request.param)
    rows = market_of_one_signal()
    few = {"n_estimators": 60} if "n_estimators" in recipe.defaults else {}
    learner = recipe.build({**recipe.defaults, **few}, 0, 1).fit(rows.take(rows.known_on < 90))
    return importance_of(learner, rows.take(rows.session >= 90), score=SCORE)


def test_all_three_views_name_the_feature_that_carries_the_signal(importance: Importance) -> None:
    for view in (importance.gain, importance.contribution, importance.permutation):
        assert max(view, key=lambda name: view[name]) == "good"
    assert importance.permutation["good"] > 0.3
    assert importance.sessions == 30


def test_shares_sum_to_one(importance: Importance) -> None:
    assert sum(importance.gain.values()) == pytest.approx(1)
    assert sum(importance.contribution.values()) == pytest.approx(1)


def test_shuffling_an_idle_feature_costs_nothing_to_speak_of(importance: Importance) -> None:
    assert abs(importance.permutation["idle"]) < 0.02


def test_tree_contributions_add_up_to_the_margin() -> None:
    recipe = next(r for r in builtin_recipes() if r.name == "xgboost")
    rows = market_of_one_signal()
    learner = recipe.build({**recipe.defaults, "n_estimators": 20, "early_stopping_rounds": 0}, 0, 1).fit(rows)
    probabilities = learner.predict(rows)
    margin = np.log(probabilities[:, 2]) - np.log(probabilities[:, 0])
    total = learner.contributions(rows).sum(axis=1)  # type: ignore[attr-defined]
    assert np.ptp(margin - total) == pytest.approx(0, abs=1e-4)  # they differ by the bias alone


def test_learner_without_contributions_has_the_other_two_views() -> None:
    class Silent:
        def __init__(self, inner: RankRidge) -> None:
            self.inner = inner

        def fit(self, train: Matrix) -> Silent:
            self.inner.fit(train)
            return self

        def predict(self, rows: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            return self.inner.predict(rows)

        def importance(self) -> dict[str, float]:
            return self.inner.importance()

        def parts(self) -> dict[str, bytes]:
            return self.inner.parts()

    rows = market_of_one_signal()
    found = importance_of(Silent(RankRidge()).fit(rows), replace(rows), score=SCORE)
    assert found.contribution == {}
    assert found.permutation["good"] > 0.3
