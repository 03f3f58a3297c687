"""Probabilities bent towards how often things happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import rows_matrix

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.models import builtin_recipes
from marketloop.models.calibration import CALIBRATIONS, Calibrated, Curve, calibrating
from marketloop.models.thinning import cut_tail

Array = NDArray[np.float64]
SESSIONS, TICKERS = 400, 25


class Overconfident:
    """Says 1 - 4 * (1 - p) for a truth of p, and remembers what it was fitted on."""

    def __init__(self) -> None:
        self.fits: list[Matrix] = []

    def fit(self, train: Matrix) -> Self:
        self.fits.append(train)
        return self

    def predict(self, rows: Matrix) -> Array:
        said = np.clip(0.5 + 3 * (truth_of(rows) - 0.5), 0.01, 0.99)
        return np.column_stack([said, 1 - said])

    def importance(self) -> dict[str, float]:
        return {"f0": 1.0}

    def parts(self) -> dict[str, bytes]:
        return {"plain.json": b"{}"}


def truth_of(rows: Matrix) -> Array:
    return np.asarray(0.35 + 0.3 * rows.X[:, 0].astype(float))


@pytest.fixture(scope="module")
def market() -> Matrix:
    rng = np.random.default_rng(5)
    rows = rows_matrix(np.repeat(np.arange(SESSIONS), TICKERS), np.tile(np.arange(TICKERS), SESSIONS), 5, SESSIONS + 5)
    X = rng.uniform(size=(len(rows), 1)).astype(np.float32)
    rows = replace(rows, X=X, classes=("down", "up"))
    happened = rng.random(len(rows)) < truth_of(rows)
    return replace(rows, label=np.where(happened, 0, 1).astype(np.float32))


def gap(p: Array, happened: NDArray[np.bool_]) -> float:
    """Mean distance of probability and frequency in ten bins."""
    bins = np.digitize(p, np.quantile(p, np.linspace(0.1, 0.9, 9)))
    return float(np.mean([abs(p[bins == b].mean() - happened[bins == b].mean()) for b in range(10)]))


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_calibration_brings_probabilities_to_the_frequencies_of_later_sessions(method: str, market: Matrix) -> None:
    train, later = market.take(market.known_on < 300), market.take(market.session >= 300)
    raw = Overconfident()
    bent = Calibrated(raw, method).fit(train).predict(later)
    happened = later.label == 0
    assert gap(raw.predict(later)[:, 0], happened) > 0.12
    assert gap(bent[:, 0], happened) < 0.04
    np.testing.assert_allclose(bent.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_curves_never_turn_the_order_around(method: str, market: Matrix) -> None:
    learner = Calibrated(Overconfident(), method).fit(market)
    p = np.linspace(0, 1, 1001)
    for curve in learner.curves:
        assert (np.diff(curve(p)) >= 0).all()
        assert curve(p).min() >= 0
        assert curve(p).max() <= 1
    inside = learner.curves[0](np.linspace(0.05, 0.95, 500))
    assert (np.diff(inside) > 0).all()  # steps keep a little of what was said


def test_no_step_of_isotonic_calibration_says_never_or_always(market: Matrix) -> None:
    tail = cut_tail(market, 0.2)[1].session.min()
    sure = np.where(truth_of(market) < 0.45, 1, np.where(truth_of(market) > 0.55, 0, market.label)).astype(np.float32)
    told = replace(market, label=np.where(market.session >= tail, sure, market.label))
    learner = Calibrated(Overconfident(), "isotonic").fit(told)
    rows = len(market.take(market.session >= tail))
    for curve in learner.curves:
        assert curve(np.array([0.01]))[0] > 0.5 / rows
        assert curve(np.array([0.99]))[0] < 1 - 0.5 / rows
    surprised = -np.log(learner.predict(told).min())
    assert surprised < np.log(2 * rows)


def test_probabilities_that_say_the_opposite_are_flattened_and_not_turned(market: Matrix) -> None:
    turned = replace(market, label=1 - market.label)
    learner = Calibrated(Overconfident(), "sigmoid").fit(turned)
    p = np.linspace(0.05, 0.95, 50)
    assert (np.diff(learner.curves[0](p)) > 0).all()
    assert np.ptp(learner.curves[0](p)) < 0.03


def test_learner_is_fitted_before_the_tail_and_then_on_everything(market: Matrix) -> None:
    inner = Overconfident()
    Calibrated(inner, "sigmoid", tail=0.25).fit(market)
    first, last = inner.fits
    head, tail = cut_tail(market, 0.25)
    assert first.known_on.max() < tail.session.min()
    assert len(first) == len(head)
    assert last is market


def test_curves_are_read_off_the_tail_alone(market: Matrix) -> None:
    start = cut_tail(market, 0.2)[1].session.min()
    early = market.session < start
    shuffled = np.where(early, np.random.default_rng(1).permutation(market.label), market.label).astype(np.float32)
    one = Calibrated(Overconfident(), "isotonic").fit(market)
    other = Calibrated(Overconfident(), "isotonic").fit(replace(market, label=shuffled))
    assert one.curves == other.curves


def test_class_too_rare_in_the_tail_keeps_its_probabilities(market: Matrix) -> None:
    rare = replace(market, label=np.where(np.arange(len(market)) % 500 == 0, 0, 1).astype(np.float32))
    learner = Calibrated(Overconfident(), "isotonic").fit(rare)
    assert learner.curves == (Curve(), Curve())
    few = market.take(market.session < 3)
    assert Calibrated(Overconfident(), "sigmoid").fit(few).curves == (Curve(), Curve())


def test_unknown_calibration_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match='Did you mean "isotonic"'):
        calibrating(Overconfident(), {"calibrate": "isotonik", "calibrate_tail": 0.2})
    recipe = builtin_recipes()[0]
    with pytest.raises(UsageError, match="unknown calibration"):
        recipe.build({**recipe.defaults, "calibrate": "platt"}, 0, 1)
