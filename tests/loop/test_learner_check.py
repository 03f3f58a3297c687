"""Recipes of plugins are questioned before their stream is touched; the product's own are not, every night."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.evaluation.builders import Array, small_market
from tests.evaluation.learners import Teller, buy_minus_sell, recipe_of, teller

from marketloop.core.catalog import Catalog, Recipe
from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.evaluation.nomination import Contender, Span, score_fold
from marketloop.loop.checks import learner_check
from marketloop.models import builtin_families


@dataclass
class Peeking(Teller):
    """Looks at the label of the row it answers for."""

    def predict(self, rows: Matrix) -> Array:
        seen: Array = super().predict(rows) + 0.01 * np.nan_to_num(rows.label)[:, None] * np.array([-1.0, 0.0, 1.0])
        return seen


@dataclass
class Broken(Teller):
    """Fails in its own words."""

    def predict(self, rows: Matrix) -> Array:
        raise KeyError(f"beta_9 of {len(rows)} rows"[:6])


@dataclass
class Short(Teller):
    """Leaves the last row out."""

    def predict(self, rows: Matrix) -> Array:
        return super().predict(rows)[:-1]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return small_market(sessions=140, tickers=12).matrix()


def catalog_of(*recipes: Recipe, plugins: tuple[str, ...]) -> Catalog:
    catalog = Catalog().add(*recipes)
    catalog.origins |= {f"recipe:{name}": "digest" for name in plugins}
    return catalog


def contenders(*recipes: Recipe) -> tuple[Contender, ...]:
    return tuple(Contender(recipe, recipe.defaults) for recipe in recipes)


def test_plugin_recipe_that_looks_at_labels_fails_the_hard_check_by_name(matrix: Matrix) -> None:
    peeking = recipe_of("peeking", Peeking)
    check = learner_check(catalog_of(peeking, plugins=("peeking",)), contenders(peeking), matrix)
    assert (check.name, check.hard, check.passed) == ("leak", True, False)
    assert "the recipe peeking answers otherwise when labels of the rows asked about are others" in check.detail


def test_honest_plugin_recipe_passes(matrix: Matrix) -> None:
    honest = teller()
    check = learner_check(catalog_of(honest, plugins=(honest.name,)), contenders(honest), matrix)
    assert check.passed
    assert honest.name in check.detail


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Broken, "the recipe broken failed: KeyError: 'beta_9'; mend or disable the recipe"),
        (Short, r"the recipe broken predicted an array of shape \(\d+, 3\) for \d+ rows: expected"),
    ],
)
def test_plugin_recipe_that_fails_or_answers_otherwise_than_asked_is_named(
    matrix: Matrix, make: type[Teller], words: str
) -> None:
    broken = recipe_of("broken", make)
    with pytest.raises(FailedError, match=words):
        learner_check(catalog_of(broken, plugins=("broken",)), contenders(broken), matrix)
    family = replace(builtin_families()[0], score=buy_minus_sell)
    panel = small_market(sessions=140, tickers=12).panel()
    with pytest.raises(FailedError, match=words):
        score_fold(
            matrix,
            panel,
            Contender(broken, {}),
            Span(number=10, length=60, horizon=5),
            family=family,
            seed=0,
            threads=1,
        )


def test_recipe_of_the_product_is_not_questioned_every_night(matrix: Matrix) -> None:
    peeking = recipe_of("peeking", Peeking)
    assert learner_check(catalog_of(peeking, plugins=()), contenders(peeking), matrix).passed


def test_short_history_is_left_to_the_check_of_rows(matrix: Matrix) -> None:
    peeking = recipe_of("peeking", Peeking)
    short = matrix.take(matrix.session < 530)
    assert learner_check(catalog_of(peeking, plugins=("peeking",)), contenders(peeking), short).passed
