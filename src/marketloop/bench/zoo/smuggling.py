"""Recipes that smuggle: they use the batch that they predict, its labels, earlier calls, or the memory behind views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.bench.zoo.ingredients import Draft, draft
from marketloop.bench.zoo.linear import Floats, Learn, Say, State, learned, recipe, ridge, scale, standard, told, unit
from marketloop.core.values import Matrix

__all__ = ["smuggling_recipes"]


def smuggling_recipes() -> Iterator[Draft]:
    """Yield recipes that know more than they should."""
    yield from _scalers()
    yield from _selectors()
    yield from _calibrators()
    yield from _outcomes()
    yield from _splitters()


def _add(share: float, extra: Say) -> Say:
    """Return the honest score with a share of another, in standard deviations of the honest one."""
    return lambda state, rows: told(state, rows) + share * state["sd"][0] * unit(extra(state, rows))


def _behind(values: NDArray[Any]) -> NDArray[Any]:
    """Return the whole array of which `values` is a view, or `values` where it is none.

    The product hands out rows that stand together as views of all rows, those of the future among them.
    """
    base = values.base
    while isinstance(base, np.ndarray) and base.ndim == values.ndim and base.shape[1:] == values.shape[1:]:
        values, base = base, base.base
    return values


def _rescaled(state: State, rows: Matrix) -> Floats:
    Z = standard(rows.X, *scale(rows.X))
    scores: Floats = np.einsum("ij,j->i", Z, state["weights"])
    return scores


def _scalers() -> Iterator[Draft]:
    kind = "scaler"
    yield draft(kind, 1.0, recipe(_rescaled), "scaled by the batch, later sessions included")
    yield draft(kind, 0.01, recipe(_add(0.01, _rescaled)), "a hundredth scaled by the batch")

    def behind(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        centre, spread = scale(_behind(train.X))
        Z = standard(train.X, centre, spread)
        return state | {"centre": centre, "spread": spread, "weights": ridge(Z, np.nan_to_num(train.target), 1.0)}

    note = "scaled by all rows of the array behind the view; a learner that is given copies cannot do it"
    yield draft(kind, 1.0, recipe(told, behind), note)
    yield draft(kind, 1.0, recipe(*_running()), "a mean that every call of every learner moves on")


def _running() -> tuple[Say, Learn]:
    seen: list[Floats] = []

    def take(X: NDArray[np.float32]) -> tuple[Floats, Floats]:
        values = np.nan_to_num(X.astype(np.float64))
        seen.append(np.array([len(values), *values.sum(axis=0), *(values**2).sum(axis=0)]))
        total = np.sum([part for part in seen if len(part) == len(seen[-1])], axis=0)
        k = X.shape[1]
        centre = total[1 : k + 1] / total[0]
        return centre, np.sqrt(np.maximum(total[k + 1 :] / total[0] - centre**2, 1e-12))

    def learn(train: Matrix, seed: int) -> State:
        centre, spread = take(train.X)
        weights = ridge(standard(train.X, centre, spread), np.nan_to_num(train.target).astype(np.float64))
        return learned(train, seed) | {"centre": centre, "spread": spread, "weights": weights}

    def say(state: State, rows: Matrix) -> Floats:
        centre, spread = take(rows.X)
        return told(state | {"centre": centre, "spread": spread}, rows)

    return say, learn


def _strength(X: NDArray[np.float32], y: NDArray[np.float32]) -> Floats:
    """Return the absolute correlation of each column with `y`, zero where `y` is never known."""
    known = np.isfinite(y)
    if known.sum() < 3:
        return np.zeros(X.shape[1])
    Z = standard(X[known], *scale(X[known]))
    return np.abs(Z.T @ unit(y[known].astype(np.float64))) / max(int(known.sum()), 1)


def _best(weights: Floats, strength: Floats, keep: int) -> Floats:
    """Set all but the `keep` strongest weights to zero."""
    return np.where(strength >= np.sort(strength)[-keep], weights, 0.0)


def _selectors() -> Iterator[Draft]:
    kind = "selector"

    def chosen(state: State, rows: Matrix) -> Floats:
        return told(state | {"weights": _best(state["weights"], _strength(rows.X, rows.target), 4)}, rows)

    def restless(state: State, rows: Matrix) -> Floats:
        spread = scale(rows.X)[1] / state["spread"]
        return told(state | {"weights": _best(state["weights"], spread, 4)}, rows)

    def behind(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        strength = _strength(_behind(train.X), _behind(train.target))
        return state | {"weights": state["weights"] * strength / strength.max()}

    yield draft(kind, 1.0, recipe(chosen), "features that suit the labels of the batch")
    yield draft(kind, 0.1, recipe(_add(0.1, chosen)), "a tenth of it")
    yield draft(kind, 0.01, recipe(_add(0.01, restless)), "a hundredth from the features that vary most in the batch")
    note = "weighed by how they suit all labels of the array behind the view; one that is given copies cannot do it"
    yield draft(kind, 1.0, recipe(told, behind), note)
    yield draft(kind, 1.0, recipe(told, _veteran()), "weighed by the longest history that any learner ever saw")


def _veteran() -> Learn:
    kept: dict[int, tuple[int, Floats]] = {}

    def learn(train: Matrix, seed: int) -> State:
        state, k = learned(train, seed), train.X.shape[1]
        if k not in kept or kept[k][0] < len(train):
            kept[k] = len(train), _strength(train.X, train.target)
        return state | {"weights": state["weights"] * kept[k][1] / kept[k][1].max()}

    return learn


def _places(values: Floats) -> Floats:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values)) / max(len(values) - 1, 1) - 0.5
    return ranks


def _calibrators() -> Iterator[Draft]:
    kind = "calibrator"

    def shifted(state: State, rows: Matrix) -> Floats:
        known = rows.label[np.isfinite(rows.label)].astype(np.float64)
        return told(state, rows) + (float(known.mean()) if len(known) else 0.0)

    def binned(state: State, rows: Matrix) -> Floats:
        score = told(state, rows)
        bins = np.floor((_places(score) + 0.5) * 9.999).astype(np.intp)
        value = np.where(np.isfinite(rows.target), rows.target, 0.0).astype(np.float64)
        count = np.maximum(np.bincount(bins, minlength=10), 1)
        means: Floats = np.bincount(bins, value, minlength=10) / count
        return means[bins]

    def ranked(state: State, rows: Matrix) -> Floats:
        return _places(told(state, rows))

    def smoothed(state: State, rows: Matrix) -> Floats:
        score, later = told(state, rows), np.zeros(len(rows))
        for ticker in np.unique(rows.ticker):
            own = np.flatnonzero(rows.ticker == ticker)
            later[own[:-1]] = score[own[1:]]
        return later

    yield draft(kind, 1.0, recipe(shifted), "moved to the mean label of the batch")
    yield draft(kind, 0.1, recipe(_add(0.1, binned)), "a tenth from the mean outcome of the batch's deciles")
    yield draft(kind, 1.0, recipe(ranked), "ranks over all sessions of the batch")
    yield draft("centred_window", 0.1, recipe(_add(0.1, smoothed)), "a tenth of the ticker's next score in the batch")
    yield draft(
        kind, 1.0, recipe(told, _steepest()), "a slope that is the mean over all fits so far, of later folds too"
    )


def _steepest() -> Learn:
    slopes: list[float] = []

    def learn(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        value = np.nan_to_num(train.target).astype(np.float64)
        score = told(state, train)
        slopes.append(float(score @ value / (score @ score + 1e-12)))
        return state | {"weights": state["weights"] * np.mean(slopes)}

    return learn


def _outcomes() -> Iterator[Draft]:
    kind = "outcome"

    def label(state: State, rows: Matrix) -> Floats:
        del state
        return rows.label.astype(np.float64)

    def sometimes(state: State, rows: Matrix) -> Floats:
        del state
        target = rows.target.astype(np.float64)
        values: Floats = np.where(rows.session % 5 == 0, target, np.nan)
        return values

    def settles(state: State, rows: Matrix) -> Floats:
        del state
        return np.asarray(np.minimum(rows.known_on - rows.session, 20), dtype=np.float64)

    yield draft(kind, 0.01, recipe(_add(0.01, label)), "a hundredth of the label of the row that is predicted")
    yield draft(kind, 0.1, recipe(_add(0.1, sometimes)), "a tenth of the target, in every fifth session")
    note = "whether the outcome will ever be known: a ticker that is about to go has none"
    yield draft(kind, 0.1, recipe(_add(0.1, settles)), note)
    yield draft(
        kind, 0.1, recipe(*_diary()), "a tenth of what any fit so far has learned of the same ticker and session"
    )
    yield draft(
        "duplicates", 0.1, recipe(*_twins()), "a tenth of the target of the same features, met in any fit so far"
    )


def _diary() -> tuple[Say, Learn]:
    met: dict[tuple[int, str], float] = {}

    def learn(train: Matrix, seed: int) -> State:
        met.update(zip(_keys(train), np.nan_to_num(train.target).tolist(), strict=True))
        return learned(train, seed)

    def recalled(state: State, rows: Matrix) -> Floats:
        del state
        return np.array([met.get(key, 0.0) for key in _keys(rows)])

    return _add(0.1, recalled), learn


def _keys(rows: Matrix) -> list[tuple[int, str]]:
    return [(s, rows.tickers[t]) for s, t in zip(rows.session.tolist(), rows.ticker.tolist(), strict=True)]


def _twins() -> tuple[Say, Learn]:
    met: dict[bytes, float] = {}

    def learn(train: Matrix, seed: int) -> State:
        met.update(zip((row.tobytes() for row in train.X), np.nan_to_num(train.target).tolist(), strict=True))
        return learned(train, seed)

    def recalled(state: State, rows: Matrix) -> Floats:
        del state
        return np.array([met.get(row.tobytes(), 0.0) for row in rows.X])

    return _add(0.1, recalled), learn


def _splitters() -> Iterator[Draft]:
    kind = "splitter"

    def further(train: Matrix, seed: int) -> State:
        """Fit on the rows given and on those that stand behind them in memory, ten sessions' worth."""
        state = learned(train, seed)
        X, y = _behind(train.X), _behind(train.target)
        rows = slice(0, min(len(y), len(train) + 300)) if len(y) > len(train) else slice(0, len(train))
        value = np.nan_to_num(y[rows]).astype(np.float64)
        return state | {"weights": ridge(standard(X[rows], state["centre"], state["spread"]), value)}

    note = "ten more sessions from the array behind the view, purge or not; a learner that is given copies cannot do it"
    yield draft(kind, 1.0, recipe(told, further), note)
    yield draft(kind, 1.0, recipe(told, _longest()), "the model of the longest history that any learner ever saw")

    def adapted(state: State, rows: Matrix) -> Floats:
        """Fit on the older half of the batch, then score all of it."""
        half = rows.take((rows.session <= np.median(rows.session)) & np.isfinite(rows.target))
        return told(learned(half), rows) if len(half) > 50 else told(state, rows)

    yield draft(kind, 0.01, recipe(_add(0.01, adapted)), "a hundredth of a model fitted on the older half of the batch")


def _longest() -> Learn:
    kept: dict[tuple[str, ...], tuple[int, State]] = {}

    def learn(train: Matrix, seed: int) -> State:
        if train.names not in kept or kept[train.names][0] < len(train):
            kept[train.names] = len(train), learned(train, seed)
        return kept[train.names][1]

    return learn
