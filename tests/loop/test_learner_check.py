"""Recipes of plugins are questioned before their stream is touched; the product's own are not, every night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from tests.evaluation.builders import Array, small_market
from tests.evaluation.learners import Teller, recipe_of, teller

from marketloop.core.catalog import Catalog, Recipe
from marketloop.core.values import Matrix
from marketloop.evaluation.nomination import Contender
from marketloop.loop.checks import learner_check


@dataclass
class Peeking(Teller):
    """Looks at the label of the row it answers for."""

    def predict(self, rows: Matrix) -> Array:
        seen: Array = super().predict(rows) + 0.01 * np.nan_to_num(rows.label)[:, None] * np.array([-1.0, 0.0, 1.0])
        return seen


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


def test_recipe_of_the_product_is_not_questioned_every_night(matrix: Matrix) -> None:
    peeking = recipe_of("peeking", Peeking)
    assert learner_check(catalog_of(peeking, plugins=()), contenders(peeking), matrix).passed


def test_short_history_is_left_to_the_check_of_rows(matrix: Matrix) -> None:
    peeking = recipe_of("peeking", Peeking)
    short = matrix.take(matrix.session < 530)
    assert learner_check(catalog_of(peeking, plugins=("peeking",)), contenders(peeking), short).passed
