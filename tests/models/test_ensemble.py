"""Several recipes that answer as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import rows_matrix

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Matrix
from marketloop.models import builtin_recipes
from marketloop.models.defaults import VOTES
from marketloop.models.ensemble import Ensemble, read_ensemble
from marketloop.models.pool import learn_pool, vote

Array = NDArray[np.float64]
SESSIONS, TICKERS = 200, 20
RECIPES = {recipe.name: recipe for recipe in builtin_recipes()}


class Saying:
    """Answers with column `column` of the rows, and remembers who it learned from and when it was asked."""

    def __init__(self, column: int, classes: int = 0) -> None:
        self.column, self.classes = column, classes
        self.learned: list[Matrix] = []
        self.asked: list[tuple[int, int]] = []

    def fit(self, train: Matrix) -> Self:
        self.learned.append(train)
        return self

    def predict(self, rows: Matrix) -> Array:
        if self.learned and len(rows):
            self.asked.append((int(self.learned[-1].known_on.max()), int(rows.session.min())))
        value = rows.X[:, self.column].astype(float)
        if not self.classes:
            return value
        up = 1 / (1 + np.exp(-value))
        return np.column_stack([(1 - up) / 2, np.full(len(rows), 0.5), up / 2])

    def importance(self) -> dict[str, float]:
        return {"f0": float(self.column == 0), "f1": float(self.column == 1)}

    def parts(self) -> dict[str, bytes]:
        return {"said.json": json.dumps([self.column, self.classes]).encode()}


def read(parts: Mapping[str, bytes]) -> Saying:
    return Saying(*json.loads(parts["said.json"]))


def market(classes: int = 0) -> Matrix:
    """Rows whose outcome column 0 knows something of and column 1 nothing."""
    rng = np.random.default_rng(2)
    rows = rows_matrix(np.repeat(np.arange(SESSIONS), TICKERS), np.tile(np.arange(TICKERS), SESSIONS), 5, SESSIONS + 5)
    X = rng.normal(size=(len(rows), 2)).astype(np.float32)
    rows = replace(rows, X=X, names=("f0", "f1"), missing=np.zeros((SESSIONS, 2), np.float32))
    outcome = X[:, 0] + 0.5 * rng.normal(size=len(rows))
    if classes:
        code = 1 + np.sign(outcome) * (np.abs(outcome) > 0.7)
        return replace(rows, label=code.astype(np.float32), classes=("a", "b", "c"))
    return replace(rows, label=outcome.astype(np.float32))


def pair(classes: int = 0) -> dict[str, tuple[float, Saying]]:
    return {"one": (2.0, Saying(0, classes)), "two": (1.0, Saying(1, classes))}


@pytest.mark.parametrize("classes", [0, 3])
def test_vote_is_the_mean_weighted_by_two_to_one(classes: int) -> None:
    rows = market(classes)
    members = pair(classes)
    said = Ensemble(members).fit(rows).predict(rows)
    one, two = (learner.predict(rows) for _, learner in members.values())
    np.testing.assert_allclose(said, (2 * one + two) / 3, atol=1e-12)


def test_votes_of_the_recipe_are_those_of_the_specification() -> None:
    assert dict(VOTES) == {"xgboost": 2.0, "random_forest": 1.0, "gradient_boosting": 1.0, "lightgbm": 1.5}
    learner = RECIPES["ensemble"].build(RECIPES["ensemble"].defaults, 0, 1)
    assert isinstance(learner, Ensemble)
    assert {name: weight for name, (weight, _) in learner.members.items()} == dict(VOTES)


def test_member_without_a_vote_is_left_out_and_without_members_nothing_is_built() -> None:
    recipe = RECIPES["ensemble"]
    learner = recipe.build({**recipe.defaults, "lightgbm": 0.0}, 0, 1)
    assert isinstance(learner, Ensemble)
    assert "lightgbm" not in learner.members
    with pytest.raises(UsageError, match="no member of the recipe ensemble has a vote"):
        recipe.build({**recipe.defaults, **dict.fromkeys(VOTES, 0.0)}, 0, 1)


def test_options_reach_the_members_that_know_them() -> None:
    learner: Any = RECIPES["stacking"].build({**RECIPES["stacking"].defaults, "balanced": True, "max_trees": 60}, 0, 1)
    params = {name: member.params for name, (_, member) in learner.members.items()}
    assert all(p["balanced"] for p in params.values())
    assert {name: p["n_estimators"] for name, p in params.items()} == dict.fromkeys(VOTES, 60)


@pytest.mark.parametrize("classes", [0, 3])
def test_stacking_leans_on_the_member_that_knows_something(classes: int) -> None:
    rows = market(classes)
    learner = Ensemble(pair(classes), folds=3).fit(rows)
    assert learner.pool is not None
    informed, ignorant = learner.pool.weights
    assert informed > 0.8
    assert ignorant < 0.15
    assert learner.importance()["f0"] > 0.85


def test_stacking_asks_members_about_rows_after_everything_they_learned_from() -> None:
    rows = market()
    members = pair()
    Ensemble(members, folds=3).fit(rows)
    for _, learner in members.values():
        assert len(learner.asked) == 3
        assert all(known < first for known, first in learner.asked)
        assert learner.learned[-1] is rows


def test_stacking_of_a_history_too_short_for_folds_weighs_all_alike() -> None:
    few = market().take(slice(0, 3 * TICKERS))
    learner = Ensemble({name: (1.0, member) for name, (_, member) in pair().items()}, folds=3).fit(few)
    assert learner.pool is not None
    assert learner.pool.weights.tolist() == [0.5, 0.5]


def test_strong_penalty_draws_the_weights_together() -> None:
    rows = market(3)
    said = [member.predict(rows) for _, member in pair(3).values()]
    loose, tight = (learn_pool(said, rows, penalty).weights for penalty in (0.001, 1000.0))
    assert loose[0] - loose[1] > 1.0
    np.testing.assert_allclose(tight, 0.5, atol=0.02)


def test_learned_pool_does_better_than_equal_votes_on_later_rows() -> None:
    rows = market(3)
    train, test = rows.take(rows.known_on < 150), rows.take(rows.session >= 150)
    said = [member.predict(test) for _, member in pair(3).values()]
    learned = learn_pool([member.predict(train) for _, member in pair(3).values()], train, 0.01).combined(said)
    equal = vote([1, 1], 3).combined(said)
    own = np.arange(len(test)), test.label.astype(int)
    assert -np.log(learned[own]).mean() < -np.log(equal[own]).mean() - 0.05


def test_parts_of_members_stand_under_their_names() -> None:
    rows = market()
    learner = Ensemble(pair(), folds=2).fit(rows)
    parts = learner.parts()
    assert sorted(parts) == ["ensemble.json", "one.said.json", "two.said.json"]
    again = read_ensemble(parts, {"one": read, "two": read})
    np.testing.assert_array_equal(again.predict(rows), learner.predict(rows))
    with pytest.raises(FailedError, match=r"ensemble.json is no ensemble \(KeyError: 'two'\)"):
        read_ensemble(parts, {"one": read})


def test_ensemble_that_has_not_learned_says_so() -> None:
    with pytest.raises(FailedError, match="before fit"):
        Ensemble(pair()).predict(market())
    with pytest.raises(FailedError, match="before fit"):
        Ensemble(pair()).parts()
