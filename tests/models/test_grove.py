"""Forests and histogram boosting of scikit-learn, kept as arrays."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from tests.evaluation.builders import small_market

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models import grown
from marketloop.models.arrays import TRUSTED, pack, unpack
from marketloop.models.defaults import DEFAULTS
from marketloop.models.grove import Grove
from marketloop.models.trees import Trees


def learner(kind: str, *, threads: int = 1, **changes: Any) -> Grove:
    return Grove(kind, {**DEFAULTS[kind], "n_estimators": 12, "thin_by": 1, **changes}, seed=4, threads=threads)


@pytest.fixture(scope="module")
def train() -> Matrix:
    market = small_market(sessions=120, tickers=14, features=3, planted=0.3).matrix()
    known = market.take(np.isfinite(market.label))
    X = known.X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return replace(known, X=X)


def test_forest_says_what_scikit_learn_says(train: Matrix) -> None:
    own = learner("random_forest", row_share=0.5).fit(train)
    settings = {name: DEFAULTS["random_forest"][name] for name in ("max_depth", "min_samples_leaf", "max_features")}
    theirs = RandomForestClassifier(12, **settings, max_samples=len(train) // 2, random_state=4)
    theirs.fit(train.X, train.label, sample_weight=train.weight)
    np.testing.assert_allclose(own.predict(train), theirs.predict_proba(train.X), atol=1e-6)


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_small_forest_is_the_one_that_scikit_learn_grows_to_the_last_bit(
    values: bool, missing: bool, train: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = train if missing else replace(train, X=np.nan_to_num(train.X))
    some = replace(some, label=some.target, classes=()) if values else some
    own = learner("random_forest", row_share=0.4).fit(some)
    monkeypatch.setattr(grown, "FEW_ROWS", 0)
    theirs = learner("random_forest", row_share=0.4).fit(some)
    assert own.parts() == theirs.parts()
    assert own.importance() == theirs.importance()


@pytest.mark.parametrize("classes", [2, 3])
def test_boosting_says_what_scikit_learn_says(classes: int, train: Matrix) -> None:
    some = replace(train, label=np.minimum(train.label, classes - 1), classes=("a", "b", "c")[:classes])
    own = learner("gradient_boosting", early_stopping_rounds=0).fit(some)
    theirs = HistGradientBoostingClassifier(
        max_iter=12, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=len(train) // 20, l2_regularization=1.0,
        max_features=0.8, max_bins=63, early_stopping=False, random_state=4,
    )  # fmt: skip
    theirs.fit(some.X, some.label, sample_weight=some.weight)
    np.testing.assert_allclose(own.predict(some), theirs.predict_proba(some.X), atol=1e-6)


@pytest.mark.parametrize("kind", ["random_forest", "gradient_boosting"])
@pytest.mark.parametrize("values", [False, True])
def test_contributions_add_up_to_the_score_but_for_a_constant(kind: str, values: bool, train: Matrix) -> None:
    rows = replace(train, label=train.target, classes=()) if values else train
    own = learner(kind, early_stopping_rounds=0).fit(rows)
    output = own.predict(rows)
    score = output if values else output[:, 2] - output[:, 0]
    if kind == "gradient_boosting" and not values:
        score = np.log(output[:, 2]) - np.log(output[:, 0])
    gap = score - own.contributions(rows).sum(axis=1)
    assert np.ptp(score) > 0.05
    # Roots of a forest differ a little from tree to tree, by the rows drawn for each; their sum is a constant.
    assert np.ptp(gap) == pytest.approx(0, abs=1e-5)


def test_boosting_stops_early_on_noise(train: Matrix) -> None:
    noise = replace(train, label=np.random.default_rng(0).permutation(train.label))
    own = learner("gradient_boosting", n_estimators=150, early_stopping_rounds=5, learning_rate=0.3).fit(noise)
    assert own.grown is not None
    assert len(own.grown.groups[0].size) < 40


@pytest.mark.parametrize("kind", ["random_forest", "gradient_boosting"])
def test_balanced_weights_lift_the_rare_class(kind: str, train: Matrix) -> None:
    rare = replace(
        train, label=np.where(train.label == 2, np.where(train.ticker < 2, 2, 1), train.label).astype(np.float32)
    )
    plain, balanced = (learner(kind, balanced=balanced).fit(rare).predict(rare) for balanced in (False, True))
    assert balanced[:, 2].mean() > 2 * plain[:, 2].mean()


def test_threads_and_repetition_change_no_bit(train: Matrix) -> None:
    for kind in ("random_forest", "gradient_boosting"):
        assert learner(kind, threads=2).fit(train).parts() == learner(kind).fit(train).parts()


def test_forest_of_one_row_per_session_stays_shallow_and_says_little_of_noise() -> None:
    rng = np.random.default_rng(1)
    count = 1500
    session = np.arange(count, dtype=np.int32)
    X = np.cumsum(rng.normal(size=(count, 6)), axis=0).astype(np.float32)
    rows = Matrix(
        X=X,
        names=tuple(f"f{i}" for i in range(6)),
        session=session,
        ticker=np.zeros(count, np.int32),
        tickers=("market",),
        label=np.repeat(rng.integers(0, 3, count // 20), 20).astype(np.float32),
        target=np.zeros(count, np.float32),
        known_on=session + 20,
        weight=np.ones(count, np.float32),
        missing=np.zeros((count, 6), np.float32),
        missing_sessions=session,
        missing_rows=np.ones(count, np.int32),
        classes=("Risk-Off", "Neutral", "Risk-On"),
    )
    own = Grove("random_forest", {**DEFAULTS["random_forest"], "n_estimators": 40}).fit(rows)
    assert own.grown is not None
    assert own.grown.groups[0].size.max() <= 2 * count / 40
    assert own.predict(rows).max() < 0.98


def test_file_holds_arrays_only_and_the_same_arrays_make_the_same_bytes(train: Matrix) -> None:
    assert TRUSTED == ()
    arrays: dict[str, NDArray[Any]] = {"a": np.arange(5, dtype=np.int32), "b": np.ones((2, 3), np.float32)}
    content = pack(arrays)
    assert content == pack({name: values.copy() for name, values in arrays.items()})
    again = unpack(content)
    assert list(again) == ["a", "b"]
    assert all(np.array_equal(again[name], arrays[name]) and again[name].dtype == arrays[name].dtype for name in arrays)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert sorted(file.namelist()) == ["0.npy", "1.npy", "schema.json"]
    parts = learner("random_forest", n_estimators=100).fit(train).parts()
    assert len(parts["trees.skops"]) < 200_000


def test_file_that_names_a_type_is_refused_though_its_hash_is_right(train: Matrix) -> None:
    parts = learner("random_forest").fit(train).parts()
    with zipfile.ZipFile(io.BytesIO(parts["trees.skops"])) as file:
        content = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(content["schema.json"])
    first = next(iter(schema["content"].values()))
    first.update({"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode"})
    content["schema.json"] = json.dumps(schema).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    with pytest.raises(FailedError, match="roll back"):
        Grove.from_parts(signed(parts, out.getvalue()))


@pytest.mark.parametrize(
    ("name", "value"), [("left", 10_000), ("right", 0), ("feature", 99), ("feature", -3), ("size", 2)]
)
def test_trees_that_would_lead_astray_are_refused_though_their_hash_is_right(
    name: str, value: int, train: Matrix
) -> None:
    parts = learner("random_forest").fit(train).parts()
    arrays = unpack(parts["trees.skops"])
    changed = arrays[f"0.{name}"].copy()
    changed[0] = value
    with pytest.raises(FailedError, match="roll back"):
        Grove.from_parts(signed(parts, pack({**arrays, f"0.{name}": changed})))


def signed(parts: dict[str, bytes], trees: bytes) -> dict[str, bytes]:
    document = json.loads(parts["learner.json"])
    document["sha256"] = hashlib.sha256(trees).hexdigest()
    return {"trees.skops": trees, "learner.json": json.dumps(document).encode()}


def test_missing_level_goes_the_way_that_training_gave_it() -> None:
    stump = {
        "left": np.array([1, -1, -1]),
        "right": np.array([2, -1, -1]),
        "feature": np.array([0, -2, -2]),
        "threshold": np.array([0.5, -2.0, -2.0]),
        "missing_left": np.array([1, 0, 0]),
        "value": np.array([[2.5], [1.0], [4.0]]),
    }
    trees = Trees.of([stump, {**stump, "missing_left": np.array([0, 0, 0])}], 1)
    X = np.array([[0.5], [0.6], [np.nan]], np.float32)
    assert trees.total(X).tolist() == [[2.0], [8.0], [5.0]]
    assert trees.contributions(X, np.ones(1)).tolist() == [[-3.0], [3.0], [0.0]]


def test_prediction_and_parts_before_fit_are_refused(train: Matrix) -> None:
    with pytest.raises(FailedError, match="before fit"):
        learner("random_forest").predict(train)
    with pytest.raises(FailedError, match="before fit"):
        learner("random_forest").parts()
