"""Recipes that only look as if they smuggled: all that they know they learned from the rows they were fitted on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import KDTree

from marketloop.bench.zoo.ingredients import Draft, draft
from marketloop.bench.zoo.linear import Floats, Learn, Say, State, learned, recipe, ridge, scale, standard, told
from marketloop.core.values import Matrix

__all__ = ["fair_recipes"]


def fair_recipes() -> Iterator[Draft]:
    """Yield honest recipes."""
    yield from _fair_scalers()
    yield from _fair_selectors()
    yield from _fair_calibrators()
    yield from _fair_splitters()
    yield from _fair_memories()


def _by_session(rows: Matrix, score: Floats) -> Floats:
    """Standardise a score within each session, whose other tickers are known at the same close."""
    _, place = np.unique(rows.session, return_inverse=True)
    count = np.bincount(place)
    mean = np.bincount(place, score) / count
    spread = np.sqrt(np.bincount(place, (score - mean[place]) ** 2) / count)
    scaled: Floats = (score - mean[place]) / np.where(spread > 0, spread, 1.0)[place]
    return scaled


def _fair_scalers() -> Iterator[Draft]:
    kind = "scaler"

    def within(state: State, rows: Matrix) -> Floats:
        return _by_session(rows, told(state, rows))

    def rotated(train: Matrix, seed: int) -> State:
        """Rotate to the principal components of the training rows and fit there."""
        state = learned(train, seed)
        Z = standard(train.X, state["centre"], state["spread"])
        axes = np.linalg.eigh(Z.T @ Z)[1][:, -6:]
        inner = ridge(Z @ axes, np.nan_to_num(train.target).astype(np.float64))
        return state | {"weights": axes @ inner}

    def recent(train: Matrix, seed: int) -> State:
        return learned(train.take(train.session > train.session.max() - 250), seed)

    yield draft(kind, 0.0, recipe(), "a ridge with the scaler of its training rows")
    yield draft(
        kind, 0.0, recipe(within), "scores standardised within each session: rows of later sessions do not matter"
    )
    yield draft(kind, 0.0, recipe(told, rotated), "principal components of the training rows")
    yield draft(kind, 0.0, recipe(told, recent), "the newest 250 sessions of the training rows only")


def _fair_selectors() -> Iterator[Draft]:
    kind = "selector"

    def chosen(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        strength = np.abs(state["weights"])
        return state | {"weights": np.where(strength >= np.sort(strength)[-4], state["weights"], 0.0)}

    def dice(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        keep = np.random.default_rng(seed).permutation(len(state["weights"])) < 6
        return state | {"weights": np.where(keep, state["weights"], 0.0)}

    def lively(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        fresh = scale(train.X[-3000:])[1] / state["spread"]
        return state | {"weights": np.where(fresh >= np.sort(fresh)[-8], state["weights"], 0.0)}

    yield draft(kind, 0.0, recipe(told, chosen), "the four strongest features of the training rows")
    yield draft(kind, 0.0, recipe(told, dice), "six features drawn by the seed")
    yield draft(kind, 0.0, recipe(told, lively), "the features that varied most of late, in training")


def _fair_calibrators() -> Iterator[Draft]:
    kind = "calibrator"

    def tail(train: Matrix, seed: int) -> State:
        """Set the slope on the newest fifth of the sessions, by a model of what was known before it."""
        start = int(np.quantile(np.unique(train.session), 0.8))
        head, late = train.take(train.known_on < start), train.take(train.session >= start)
        inner, outer = learned(head, seed), learned(train, seed)
        score, value = told(inner, late), np.nan_to_num(late.target)
        slope = float(score @ value / (score @ score + 1e-12))
        return outer | {"weights": outer["weights"] * slope}

    def binned(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        score, value = told(state, train), np.nan_to_num(train.target).astype(np.float64)
        edges = np.quantile(score, np.linspace(0.1, 0.9, 9))
        bins = np.searchsorted(edges, score)
        return state | {"edges": edges, "means": np.bincount(bins, value, 10) / np.bincount(bins, minlength=10).clip(1)}

    def looked(state: State, rows: Matrix) -> Floats:
        values: Floats = state["means"][np.searchsorted(state["edges"], told(state, rows))]
        return values

    def shrunk(state: State, rows: Matrix) -> Floats:
        """Believe less in a model the older it is."""
        faded: Floats = told(state, rows) * 0.99 ** np.maximum(rows.session - state["until"][0], 0.0)
        return faded

    def dated(train: Matrix, seed: int) -> State:
        return learned(train, seed) | {"until": np.array([float(train.session.max())])}

    yield draft(kind, 0.0, recipe(told, tail), "a slope from a purged tail of the training rows")
    yield draft(kind, 0.0, recipe(looked, binned), "mean outcomes of deciles of the training rows")
    yield draft(kind, 0.0, recipe(shrunk, dated), "scores that fade with the age of the model")


def _fair_splitters() -> Iterator[Draft]:
    kind = "splitter"

    def inner(train: Matrix, seed: int) -> State:
        """Choose the penalty on random sessions of the training rows, purged on both sides.

        Random in time, yet inside the rows given: what it finds is at worst too hopeful, and never of the future.
        """
        sessions = np.unique(train.session)
        held = np.random.default_rng(seed).choice(sessions, max(len(sessions) // 5, 1), replace=False)
        reach = int(np.max(train.known_on - train.session))
        near = np.unique(np.add.outer(held, np.arange(-reach, reach + 1)))
        rest, test = train.take(~np.isin(train.session, near)), train.take(np.isin(train.session, held))
        if len(rest) < 100:
            return learned(train, seed)
        value = np.nan_to_num(test.target)
        gains = {p: float(told(learned(rest, seed, penalty=p), test) @ value) for p in (0.1, 1.0, 10.0)}
        return learned(train, seed, penalty=max(gains, key=lambda p: gains[p]))

    def bagged(train: Matrix, seed: int) -> State:
        """Average over resamples of whole sessions, drawn by the seed."""
        sessions, rng = np.unique(train.session), np.random.default_rng(seed)
        drawn = [np.isin(train.session, rng.choice(sessions, len(sessions))) for _ in range(4)]
        states = [learned(train.take(rows), seed) for rows in drawn]
        return learned(train, seed) | {
            "weights": np.mean([s["weights"] / s["spread"] for s in states], axis=0) * learned(train, seed)["spread"]
        }

    def weighted(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        weight = 0.995 ** (train.session.max() - train.session)[:, None]
        Z = standard(train.X, state["centre"], state["spread"]) * np.sqrt(weight)
        value = np.nan_to_num(train.target).astype(np.float64) * np.sqrt(weight[:, 0])
        return state | {"weights": ridge(Z, value)}

    def flat(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        return state | {"weights": np.zeros_like(state["weights"])}

    def blind(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        return state | {"weights": np.random.default_rng(seed).standard_normal(len(state["weights"]))}

    yield draft(kind, 0.0, recipe(told, inner), "a penalty chosen on random sessions inside the training rows")
    yield draft(kind, 0.0, recipe(told, bagged), "a mean over seeded resamples")
    yield draft(kind, 0.0, recipe(told, weighted), "recent rows weigh more")
    yield draft(kind, 0.0, recipe(told, flat), "a model that says nothing")
    yield draft(kind, 0.0, recipe(told, blind), "weights that the seed drew")


def _fair_memories() -> Iterator[Draft]:
    kind = "outcome"

    def own(train: Matrix, seed: int) -> State:
        """Learn a mean per ticker from the training rows."""
        value = np.nan_to_num(train.target).astype(np.float64)
        size = len(train.tickers)
        means = np.bincount(train.ticker, value, size) / (np.bincount(train.ticker, minlength=size) + 200)
        return learned(train, seed) | {"means": means}

    def with_own(state: State, rows: Matrix) -> Floats:
        scores: Floats = told(state, rows) + state["means"][rows.ticker]
        return scores

    def nearest(train: Matrix, seed: int) -> State:
        state = learned(train, seed)
        rows = train.take(slice(0, None, 5))
        Z = standard(rows.X[:, :4], state["centre"][:4], state["spread"][:4])
        return state | {"points": Z, "values": np.nan_to_num(rows.target).astype(np.float64)}

    def recalled(state: State, rows: Matrix) -> Floats:
        Z = standard(rows.X[:, :4], state["centre"][:4], state["spread"][:4])
        found = KDTree(state["points"]).query(Z, k=15)[1]
        values: Floats = state["values"][found].mean(axis=1)
        return values

    def patient(state: State, rows: Matrix) -> Floats:
        """Add the score that the ticker had in the session before, where the batch holds it."""
        score, before = told(state, rows), np.zeros(len(rows))
        for ticker in np.unique(rows.ticker):
            at = np.flatnonzero(rows.ticker == ticker)
            before[at[1:]] = score[at[:-1]]
        return score + 0.3 * before

    yield draft(kind, 0.0, recipe(with_own, own), "a mean per ticker, of the training rows")
    yield draft(kind, 0.0, recipe(*_cached()), "answers kept between calls, found by model and row: the same answers")
    yield draft("duplicates", 0.0, recipe(recalled, nearest), "the training rows themselves are kept and searched")
    repeated = recipe(told, lambda train, seed: learned(train.take(np.arange(len(train)).repeat(2)), seed))
    yield draft("duplicates", 0.0, repeated, "every training row taken twice")
    yield draft(
        "centred_window", 0.0, recipe(patient), "the ticker's last score in the batch: a row of an earlier session"
    )


def _cached() -> tuple[Say, Learn]:
    kept: dict[bytes, Floats] = {}

    def say(state: State, rows: Matrix) -> Floats:
        key = b"".join(
            [state["weights"].tobytes(), state["centre"].tobytes(), state["spread"].tobytes(), rows.X.tobytes()]
        )
        if key not in kept:
            kept.clear()
            kept[key] = told(state, rows)
        return kept[key].copy()

    return say, learned
