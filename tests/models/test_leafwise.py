"""Leaf-wise trees that order the names by rank regression."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.builders import small_market

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.defaults import DEFAULTS
from marketloop.models.leafwise import Leafwise


def learner(recipe: str = "small_trees", *, threads: int = 1, **changes: Any) -> Leafwise:
    return Leafwise({**DEFAULTS[recipe], "thin_by": 1, **changes}, seed=1, threads=threads)


@pytest.fixture(scope="module")
def train() -> Matrix:
    market = small_market(sessions=220, tickers=20, features=4, planted=0.2).matrix()
    return market.take(np.isfinite(market.label))


def ranking(train: Matrix, **changes: Any) -> Leafwise:
    return Leafwise({**DEFAULTS["small_trees"], "thin_by": 1, **changes}, seed=1, on_ranks=True).fit(train)


def test_trees_on_ranks_order_the_names_whatever_their_levels(train: Matrix) -> None:
    own = ranking(train)
    louder = replace(train, X=train.X * 3)
    one, other = own.predict(train), own.predict(louder)  # only the chance of a move reads levels
    session = train.session == 600
    order = stats.spearmanr((one[:, 2] - one[:, 0])[session], (other[:, 2] - other[:, 0])[session]).statistic
    assert order > 0.97
    values = replace(train, label=train.target, classes=())
    np.testing.assert_array_equal(ranking(values).predict(values), ranking(values).predict(replace(values, X=louder.X)))


def test_trees_on_ranks_refuse_rows_without_them(train: Matrix) -> None:
    with pytest.raises(FailedError, match="need rows with ranks"):
        ranking(replace(train, ranks=None))


def test_trees_on_ranks_read_levels_where_a_session_has_no_order(train: Matrix) -> None:
    alone = replace(train, target=np.zeros_like(train.target), ranks=np.zeros_like(train.X))
    own = ranking(alone)
    assert own.importance()["f0"] > 0.2
    np.testing.assert_array_equal(Leafwise.from_parts(own.parts()).predict(alone), own.predict(alone))


def leaves(own: Leafwise) -> list[int]:
    assert own.booster is not None
    return [tree["num_leaves"] for tree in own.booster.dump_model()["tree_info"]]


def test_small_trees_are_those_of_the_evidence() -> None:
    named = ("num_leaves", "n_estimators", "learning_rate", "min_data_in_leaf")
    assert [DEFAULTS["small_trees"][name] for name in named] == [4, 60, 0.05, 1000]
    assert [DEFAULTS["lightgbm"][name] for name in ("num_leaves", "n_estimators")] == [31, 200]


def test_leaves_are_large_and_small_data_still_grow_trees(train: Matrix) -> None:
    own = learner().fit(train)
    assert leaves(own) == [4] * 60
    assert own.booster is not None
    counts = own.booster.trees_to_dataframe().query("split_feature.isna()")["count"]
    assert counts.min() > 0.95 * len(train) / 20  # LightGBM reckons counts from weights


@pytest.mark.parametrize("values", [False, True])
def test_direction_orders_as_the_regression_on_ranks_does(values: bool, train: Matrix) -> None:
    rows = replace(train, label=train.target, classes=()) if values else train
    own = learner().fit(rows)
    assert own.booster is not None
    assert own.readout is not None
    output = own.predict(rows)
    difference = output if values else output[:, 2] - output[:, 0]
    score = np.asarray(own.booster.predict(rows.X), dtype=np.float64)
    assert own.readout.gain > 0
    assert stats.spearmanr(difference, score).statistic > 0.97


def test_classes_and_values_of_the_same_rows_are_ordered_by_the_same_trees(train: Matrix) -> None:
    values = replace(train, label=train.target, classes=())
    assert learner().fit(train).parts()["model.txt"] == learner().fit(values).parts()["model.txt"]


def test_wild_outcomes_do_not_reach_the_trees(train: Matrix) -> None:
    wild = np.where(np.arange(len(train)) % 97 == 0, 50.0, train.target).astype(np.float32)
    one = learner().fit(replace(train, label=train.target, classes=()))
    other = learner().fit(replace(train, label=wild, classes=()))
    assert one.parts()["model.txt"] == other.parts()["model.txt"]


def test_label_itself_is_learned_where_a_session_has_no_order(train: Matrix) -> None:
    alone = replace(train, target=np.zeros_like(train.target))
    own = learner().fit(alone)
    assert own.readout is None
    assert own.predict(train)[train.X[:, 0] > 1, 2].mean() > own.predict(train)[train.X[:, 0] < -1, 2].mean() + 0.05


def test_noise_stops_early(train: Matrix) -> None:
    noise = replace(train, target=np.random.default_rng(0).permutation(train.target))
    own = learner("lightgbm", early_stopping_rounds=5, learning_rate=0.2).fit(noise)
    assert len(leaves(own)) < 60


def test_final_model_has_learned_from_the_newest_sessions_too(train: Matrix) -> None:
    newest = train.session >= np.unique(train.session)[-15]
    turned = replace(train, target=np.where(newest, -train.target, train.target))
    assert learner().fit(turned).parts()["model.txt"] != learner().fit(train).parts()["model.txt"]


def test_number_of_threads_changes_no_bit(train: Matrix) -> None:
    assert learner("lightgbm", threads=2).fit(train).parts() == learner("lightgbm").fit(train).parts()


def test_another_seed_makes_other_trees(train: Matrix) -> None:
    params = learner("lightgbm").params
    one, other = (Leafwise(params, seed=seed).fit(train).parts()["model.txt"] for seed in (1, 2))
    assert one != other


def test_contributions_add_up_to_the_score_but_for_a_constant(train: Matrix) -> None:
    own = learner().fit(train)
    assert own.booster is not None
    gap = np.asarray(own.booster.predict(train.X)) - own.contributions(train).sum(axis=1)
    assert np.ptp(gap) == pytest.approx(0, abs=1e-9)


def test_changed_model_is_refused_before_the_library_reads_it(train: Matrix) -> None:
    parts = learner().fit(train).parts()
    with pytest.raises(FailedError, match=r"sha256.*roll back"):
        Leafwise.from_parts({**parts, "model.txt": parts["model.txt"].replace(b"num_leaves=4", b"num_leaves=9", 1)})


def test_prediction_and_parts_before_fit_are_refused(train: Matrix) -> None:
    with pytest.raises(FailedError, match="before fit"):
        learner().predict(train)
    with pytest.raises(FailedError, match="before fit"):
        learner().parts()
