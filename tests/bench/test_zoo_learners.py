"""Recipes and procedures of the zoo that leak answer otherwise when what they must not know is altered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.bench.witnesses import ALL

from marketloop.bench.zoo import PipelinePlant, RecipePlant, Specimen, market
from marketloop.core.catalog import Recipe
from marketloop.core.values import Matrix

MATRIX = market().matrix
LABELLED = MATRIX.take(np.isfinite(MATRIX.label))
UNKNOWN = np.iinfo(np.int32).max
FIRST, LATER = 6200, 6420
Floats = NDArray[np.float64]


def before(session: int) -> Matrix:
    return LABELLED.take(LABELLED.known_on < session)


def copied(rows: Matrix) -> Matrix:
    return replace(rows, X=rows.X.copy(), label=rows.label.copy(), target=rows.target.copy())


def answer(recipe: Recipe, train: Matrix, rows: Matrix) -> Floats:
    return recipe.build({}, 3, 1).fit(train).predict(rows)


def recipes(*, leaking: bool) -> list[object]:
    return [pytest.param(s, id=s.name) for s in ALL if isinstance(s.plant, RecipePlant) and s.leaking == leaking]


def alterations(recipe: Recipe) -> dict[str, float]:
    """Return by how much answers change, in their deviations, for each thing that must not matter."""
    rows = MATRIX.take((MATRIX.session >= FIRST) & (MATRIX.session < FIRST + 42))
    train, half = before(FIRST), rows.session < FIRST + 21
    usual = answer(recipe, train, rows)
    nothing = np.full(len(rows), np.nan, dtype=np.float32)
    blind = replace(rows, label=nothing, target=nothing, known_on=np.full(len(rows), UNKNOWN, dtype=np.int32))
    gaps = {
        "labels": answer(recipe, train, blind) - usual,
        "later rows": answer(recipe, train, rows.take(half)) - usual[half],
        "behind the view": answer(recipe, copied(train), rows) - usual,
    }
    answer(recipe, before(LATER), rows)
    gaps["earlier calls"] = answer(recipe, train, rows) - usual
    return {what: float(np.abs(gap).max() / (usual.std() or 1.0)) for what, gap in gaps.items()}


@pytest.mark.parametrize("specimen", recipes(leaking=True))
def test_leaking_recipe_knows_what_it_must_not(specimen: Specimen) -> None:
    assert isinstance(specimen.plant, RecipePlant)
    assert max(alterations(specimen.plant.recipe).values()) > 2e-4, specimen.note


@pytest.mark.parametrize("specimen", recipes(leaking=False))
def test_honest_recipe_knows_its_training_rows_only(specimen: Specimen) -> None:
    assert isinstance(specimen.plant, RecipePlant)
    assert max(alterations(specimen.plant.recipe).values()) < 1e-9, specimen.note


@pytest.mark.parametrize("specimen", recipes(leaking=False))
def test_honest_recipe_gives_values_or_probabilities_and_survives_its_parts(specimen: Specimen) -> None:
    assert isinstance(specimen.plant, RecipePlant)
    recipe = specimen.plant.recipe
    rows, classes = MATRIX.take(MATRIX.session == FIRST), ("down", "flat", "up")
    learner = recipe.build({}, 3, 1).fit(before(FIRST))
    assert learner.predict(rows).shape == (len(rows),)
    np.testing.assert_allclose(recipe.from_parts(learner.parts()).predict(rows), learner.predict(rows), atol=1e-12)
    assert sum(learner.importance().values()) == pytest.approx(1.0) or not any(learner.importance().values())
    shares = answer(recipe, replace(before(FIRST), classes=classes), replace(rows, classes=classes))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def altered(session: int, *, features: bool) -> Matrix:
    """Turn the labels that became known after `session` round, and mix the features of later rows too."""
    rng = np.random.default_rng(session)
    label, target, X = MATRIX.label.copy(), MATRIX.target.copy(), MATRIX.X.copy()
    late, rows = MATRIX.known_on > session, MATRIX.session > session
    label[late] *= -3
    target[late] *= -3
    if features:
        X[rows] = rng.permutation(X[rows]) * rng.normal(1.0, 1.0, (1, X.shape[1])).astype(np.float32)
    return replace(MATRIX, label=label, target=target, X=X, ranks=None)


ALTERED = {
    "all after 6300": (6300, altered(6300, features=True)),
    "labels after 6300": (6300, altered(6300, features=False)),
    "all after 6340": (6340, altered(6340, features=True)),
}


def past_change(plant: PipelinePlant, usual: Floats, case: str) -> float:
    """Return by how much scores up to a session change, in their deviations, with what came after it."""
    session, matrix = ALTERED[case]
    rows = MATRIX.session <= session
    other, own = plant.run(matrix)[rows], usual[rows]
    assert (np.isnan(other) == np.isnan(own)).all()
    return float(np.nanmax(np.abs(other - own)) / np.nanstd(usual))


@pytest.mark.parametrize("specimen", [pytest.param(s, id=s.name) for s in ALL if isinstance(s.plant, PipelinePlant)])
def test_procedure_scores_the_past_by_the_future_only_where_it_leaks(specimen: Specimen) -> None:
    assert isinstance(specimen.plant, PipelinePlant)
    usual = specimen.plant.run(MATRIX)
    assert usual.shape == (len(MATRIX),)
    assert np.isfinite(usual).mean() > 0.75
    if specimen.leaking:
        assert any(past_change(specimen.plant, usual, case) > 1e-3 for case in ALTERED), specimen.note
    else:
        assert all(past_change(specimen.plant, usual, case) < 1e-9 for case in ALTERED), specimen.note
