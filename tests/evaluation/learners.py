"""Learners so simple that a test can say what they must do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from tests.evaluation.builders import Array

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.values import Matrix


@dataclass
class Teller:
    """Says the first feature, times `sign`; learns nothing."""

    sign: float = 1.0
    seen_through: int = -1
    features: tuple[str, ...] = ()

    def fit(self, train: Matrix) -> Self:
        self.seen_through = int(train.known_on.max())
        self.features = train.names
        return self

    def predict(self, rows: Matrix) -> Array:
        tilt = 0.3 * np.tanh(self.sign * rows.X[:, 0].astype(np.float64))
        return np.column_stack([(0.6 - tilt) / 2, np.full(len(rows), 0.4), (0.6 + tilt) / 2])

    def importance(self) -> dict[str, float]:
        return {name: float(i == 0) for i, name in enumerate(self.features)}

    def parts(self) -> dict[str, bytes]:
        return {"teller.json": json.dumps({"sign": self.sign}).encode()}


@dataclass
class Blank(Teller):
    """Predicts NaN."""

    def predict(self, rows: Matrix) -> Array:
        return np.full((len(rows), 3), np.nan)


def recipe_of(name: str, make: Callable[[], Learner]) -> Recipe:
    def build(params: Mapping[str, Any], seed: int, threads: int) -> Learner:
        return make()

    def from_parts(parts: Mapping[str, bytes]) -> Learner:
        return make()

    return Recipe(name=name, build=build, defaults={}, from_parts=from_parts)


def teller(sign: float = 1.0) -> Recipe:
    return recipe_of(f"teller{sign:+.0f}", lambda: Teller(sign))


def nan_recipe() -> Recipe:
    return recipe_of("blank", Blank)


def buy_minus_sell(probabilities: Array) -> Array:
    difference: Array = probabilities[:, 2] - probabilities[:, 0]
    return difference
