"""A small linear learner in two steps, which recipes and pipelines of the zoo put together in their own ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix

__all__ = [
    "Floats",
    "Learn",
    "Plugged",
    "Say",
    "State",
    "learned",
    "recipe",
    "ridge",
    "scale",
    "standard",
    "told",
    "unit",
]

Floats = NDArray[np.float64]
State = dict[str, Floats]
"""What a fit leaves behind, by name; plain arrays."""
Learn = Callable[[Matrix, int], State]
"""Function of (training rows, seed)."""
Say = Callable[[State, Matrix], Floats]
"""Function of (state, rows) that returns one score per row."""


def ridge(Z: Floats, y: Floats, penalty: float = 1.0) -> Floats:
    """Return ridge weights; the penalty counts in units of the mean diagonal of the Gram matrix."""
    gram = Z.T @ Z
    size = penalty * float(np.diag(gram).mean()) + 1e-12
    return np.asarray(np.linalg.solve(gram + size * np.eye(len(gram)), Z.T @ y), dtype=np.float64)


def scale(X: NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column over what is known of it."""
    values: Floats = np.asarray(X, dtype=np.float64)
    known = np.isfinite(values)
    if not known.all():
        means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        values = np.where(known, values, means)
    centre: Floats = values.mean(axis=0)
    spread: Floats = values.std(axis=0)
    return centre, np.where(spread > 0, spread, 1.0)


def standard(X: NDArray[np.floating[Any]], centre: Floats, spread: Floats) -> Floats:
    """Standardise, cut at five deviations, and put zero where nothing is known."""
    scaled: Floats = np.clip(np.nan_to_num((X.astype(np.float64) - centre) / spread), -5.0, 5.0)
    return scaled


def unit(values: Floats) -> Floats:
    """Return `values` centred and scaled over all that are finite, zero where not finite or flat."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    spread = float(values[known].std()) or 1.0
    return np.where(known, (values - values[known].mean()) / spread, 0.0)


def learned(train: Matrix, seed: int = 0, *, penalty: float = 1.0) -> State:
    """Fit a ridge of the target on standardised features; `sd` is the deviation of its scores in training."""
    del seed  # nothing random in it
    train = train.take(np.isfinite(train.target))
    centre, spread = scale(train.X)
    Z = standard(train.X, centre, spread)
    weights = ridge(Z, train.target.astype(np.float64), penalty)
    sd = float((Z @ weights).std()) or 1.0
    return {"centre": centre, "spread": spread, "weights": weights, "sd": np.array([sd])}


def told(state: State, rows: Matrix) -> Floats:
    """Return the score of each row, which does not depend on the rows beside it."""
    Z = standard(rows.X, state["centre"], state["spread"])
    scores: Floats = np.einsum("ij,j->i", Z, state["weights"])
    return scores


@dataclass(slots=True)
class Plugged:
    """A learner made of the two steps; with classes it spreads the score over them."""

    learn: Learn
    say: Say
    seed: int = 0
    names: tuple[str, ...] = ()
    classes: int = 0
    state: State = field(default_factory=dict)

    def fit(self, train: Matrix) -> Self:
        """Learn from rows whose labels are known."""
        self.names, self.classes = train.names, len(train.classes)
        self.state = self.learn(train, self.seed)
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return values (n,), or probabilities (n, classes) that rise with the score."""
        score = self.say(self.state, rows.select(self.names))
        if self.classes == 0:
            return score
        place = np.arange(self.classes) - (self.classes - 1) / 2
        odds = np.exp(np.clip(np.outer(score / self.state["sd"][0] * 0.2, place), -20, 20))
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the absolute weights."""
        size = np.abs(self.state["weights"])
        total = float(size.sum())
        return {name: float(w / total) if total > 0 else 0.0 for name, w in zip(self.names, size, strict=True)}

    def parts(self) -> dict[str, bytes]:
        """Return ``plugged.json``."""
        state = {name: values.tolist() for name, values in self.state.items()}
        document = {"names": list(self.names), "classes": self.classes, "seed": self.seed, "state": state}
        return {"plugged.json": json.dumps(document).encode()}


def recipe(say: Say = told, learn: Learn = learned) -> Recipe:
    """Return a recipe without a name."""

    def build(params: Mapping[str, Any], seed: int, threads: int) -> Learner:
        del params, threads
        return Plugged(learn, say, seed)

    def rebuild(parts: Mapping[str, bytes]) -> Learner:
        try:
            document = json.loads(parts["plugged.json"])
            state = {name: np.asarray(values, dtype=np.float64) for name, values in document["state"].items()}
            return Plugged(learn, say, document["seed"], tuple(document["names"]), document["classes"], state)
        except (KeyError, ValueError) as error:
            raise FailedError(f"plugged.json is damaged ({error}): fit the learner again") from error

    return Recipe("", build, {}, rebuild)
