"""Boosted trees that stop early on a purged tail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluation.builders import small_market

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models import builtin_recipes
from marketloop.models.boosted import Boosted

DEFAULTS = next(r for r in builtin_recipes() if r.name == "xgboost").defaults


def learner(**changes: Any) -> Boosted:
    quick = {"n_estimators": 40, "max_depth": 3, "early_stopping_rounds": 5, "thin_by": 1}
    return Boosted({**DEFAULTS, **quick, **changes}, seed=1)


@pytest.fixture(scope="module")
def train() -> Matrix:
    market = small_market(sessions=150, tickers=14, features=3, planted=0.3).matrix()
    return market.take(np.isfinite(market.label))


def test_defaults_are_those_of_the_specification() -> None:
    named = ("n_estimators", "max_depth", "learning_rate", "subsample", "colsample_bytree", "min_child_weight")
    assert [DEFAULTS[name] for name in named] == [500, 7, 0.05, 0.8, 0.8, 3.0]
    assert DEFAULTS["early_stopping_rounds"] == 50


def test_noise_stops_early_and_all_rounds_run_without_early_stopping(train: Matrix) -> None:
    noise = replace(train, label=np.random.default_rng(0).permutation(train.label))
    stopped = learner(n_estimators=200, learning_rate=0.3).fit(noise)
    assert stopped.rounds < 30
    assert learner(early_stopping_rounds=0).fit(train).rounds == 40


def test_final_model_has_learned_from_the_newest_sessions_too(train: Matrix) -> None:
    changed = train.session >= np.unique(train.session)[-15]
    turned = replace(train, label=np.where(changed, 2 - train.label, train.label).astype(np.float32))
    plain = learner(early_stopping_rounds=0).fit(train).predict(train)
    assert not np.array_equal(learner(early_stopping_rounds=0).fit(turned).predict(train), plain)


def test_balanced_weights_lift_the_rare_class(train: Matrix) -> None:
    rare = replace(
        train, label=np.where(train.label == 2, np.where(train.ticker < 2, 2, 1), train.label).astype(np.float32)
    )
    plain, balanced = learner().fit(rare).predict(rare), learner(balanced=True).fit(rare).predict(rare)
    assert balanced[:, 2].mean() > 2 * plain[:, 2].mean()


def test_another_seed_makes_other_trees(train: Matrix) -> None:
    one = Boosted(learner().params, seed=1).fit(train)
    other = Boosted(learner().params, seed=2).fit(train)
    assert one.parts()["model.ubj"] != other.parts()["model.ubj"]


def test_prediction_and_parts_before_fit_are_refused(train: Matrix) -> None:
    with pytest.raises(FailedError, match="before fit"):
        learner().predict(train)
    with pytest.raises(FailedError, match="before fit"):
        learner().parts()


def test_truncated_model_is_refused_before_the_library_reads_it(train: Matrix) -> None:
    parts = learner().fit(train).parts()
    with pytest.raises(FailedError, match="the artefact is damaged; roll back"):
        Boosted.from_parts({**parts, "model.ubj": parts["model.ubj"][:-20]})
