"""Index paths with and without regimes that can be foreseen, as a market of one ticker, and a plain learner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from tests.evaluation.builders import Array, SmallMarket

from marketloop.core.catalog import Recipe
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.labels import REGIME
from marketloop.models import builtin_families

FIRST = 500
BINS = 5
(FAMILY,) = (family for family in builtin_families() if family.name == "regime_classifier")


@dataclass
class Binned:
    """Says how often each class followed a level of the first feature like this one; counts begin at 1."""

    cuts: list[float] = field(default_factory=list)
    shares: list[list[float]] = field(default_factory=list)
    features: tuple[str, ...] = ()

    def fit(self, train: Matrix) -> Self:
        self.features = train.names
        level = train.X[:, 0].astype(np.float64)
        self.cuts = np.nanquantile(level, np.linspace(0, 1, BINS + 1)[1:-1]).tolist()
        count = np.ones((BINS, len(train.classes)))
        np.add.at(count, (np.searchsorted(self.cuts, level), train.label.astype(np.intp)), 1.0)
        self.shares = (count / count.sum(axis=1, keepdims=True)).tolist()
        return self

    def predict(self, rows: Matrix) -> Array:
        said: Array = np.array(self.shares)[np.searchsorted(self.cuts, rows.X[:, 0].astype(np.float64))]
        return said

    def importance(self) -> dict[str, float]:
        return {name: float(at == 0) for at, name in enumerate(self.features)}

    def parts(self) -> dict[str, bytes]:
        document = {"cuts": self.cuts, "shares": self.shares, "features": self.features}
        return {"binned.json": json.dumps(document).encode()}


def binned_recipe() -> Recipe:
    def build(params: Mapping[str, Any], seed: int, threads: int) -> Binned:
        return Binned()

    def from_parts(parts: Mapping[str, bytes]) -> Binned:
        document = json.loads(parts["binned.json"])
        return Binned(document["cuts"], document["shares"], tuple(document["features"]))

    return Recipe("binned", build, {}, from_parts)


def garch_index(sessions: int = 1600, seed: int = 0) -> SmallMarket:
    """Return a GARCH(1,1) index without drift; the features are its trailing volatility and its trailing return."""
    rng = np.random.default_rng(seed)
    r, variance = np.empty(sessions), 1e-4
    for t in range(sessions):
        r[t] = np.sqrt(variance) * rng.standard_t(6) / np.sqrt(1.5)
        variance = 1.5e-6 + 0.08 * r[t] ** 2 + 0.905 * variance
    return _market(r, np.column_stack([_trailing(np.abs(r), 10), _trailing(r, 30)]))


def foreseen_index(sessions: int = 1600, seed: int = 0) -> SmallMarket:
    """Return an index that rises or falls for 30 sessions at a time; feature 0 tells 15 sessions ahead, with noise."""
    rng = np.random.default_rng(seed)
    falls = rng.random(sessions // 30 + 2) < 0.4
    state = np.repeat(falls, 30)[: sessions + 15].astype(float)
    r = np.where(state[:sessions] == 1, -0.004, 0.003) + rng.normal(0, 0.006, sessions)
    hint = state[15:] + rng.normal(0, 0.4, sessions)
    return _market(r, np.column_stack([hint, _trailing(np.abs(r), 10)]))


def _trailing(values: Array, window: int) -> Array:
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(1, len(values) + 1)
    start = np.maximum(at - window, 0)
    mean: Array = (total[at] - total[start]) / (at - start)
    return mean


def _market(returns: Array, features: Array) -> SmallMarket:
    return SmallMarket(100 * np.exp(np.cumsum(returns))[:, None], features[:, None, :], FIRST)


def regime_spec(recipe: Recipe | None = None) -> StreamSpec:
    chosen = recipe or binned_recipe()
    return StreamSpec(
        FAMILY, (Contender(chosen, chosen.defaults),), LabelSpec(20, None, REGIME), "market_30", "rsi10", small=True
    )


def regime_matrix(market: SmallMarket, until: int | None = None) -> Matrix:
    return market.matrix(until, label=LabelSpec(20, None, REGIME))


def regime_stream(market: SmallMarket, *cuts: int | None, recipe: Recipe | None = None) -> Stream:
    """Advance a stream once for each cut of the data; without cuts at once."""
    spec = regime_spec(recipe)
    stream = Stream(spec.fingerprint)
    for until in cuts or (None,):
        stream = advance(stream, regime_matrix(market, until), market.panel(until), spec)
    return stream
