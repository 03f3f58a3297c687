"""Which recipe speaks for a family: the one that did best on inner, purged, calendar-anchored folds of the past."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.dataset import feature_names_kept
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, spearman_rows
from marketloop.evaluation.splits import known_before, walk_forward
from marketloop.labels import Panel, forward_outcomes

__all__ = ["Contender", "FoldRecord", "Span", "comparison", "finite_output", "missing_folds", "nominate", "score_fold"]

LEAST_SESSIONS = 125
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contender:
    """A recipe with its settings; `key` is its name in records."""

    recipe: Recipe
    params: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Name and the settings that differ from the recipe's defaults, e.g. ``rank_ridge(penalty=0.4)``."""
        own = {name: value for name, value in self.params.items() if self.recipe.defaults.get(name) != value}
        text = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(own.items()))
        return f"{self.recipe.name}({text})" if text else self.recipe.name

    def build(self, seed: int, threads: int) -> Learner:
        """Return an unfitted learner."""
        return self.recipe.build(self.params, seed, threads)


@dataclass(frozen=True, slots=True)
class FoldRecord:
    """How a contender did in one fold: sum and count of its per-session rank ICs; known at the close of `known_on`."""

    number: int
    contender: str
    known_on: int
    total: float
    sessions: int


@dataclass(frozen=True, slots=True)
class Span:
    """The sessions of fold `number`, ``number * length`` and on, whose labels reach `horizon` sessions further."""

    number: int
    length: int
    horizon: int


def missing_folds(
    done: Sequence[FoldRecord],
    matrix: Matrix,
    contenders: Sequence[Contender],
    *,
    length: int,
    before: int,
) -> list[tuple[int, Contender]]:
    """Return the (fold, contender) pairs still to be scored: complete folds whose outcomes were known before `before`.

    A lone contender needs no folds.
    """
    if len(contenders) < 2:
        return []
    horizon = _horizon(matrix)
    have = {(record.number, record.contender) for record in done}
    jobs = []
    for fold in walk_forward(matrix, length):
        settled = fold.start + length - 1 + horizon < before
        if settled and len(np.unique(matrix.session[fold.train])) >= LEAST_SESSIONS:
            jobs += [(fold.number, c) for c in contenders if (fold.number, c.key) not in have]
    return jobs


def _horizon(matrix: Matrix) -> int:
    known = np.isfinite(matrix.label)
    return int((matrix.known_on[known] - matrix.session[known]).max(initial=0))


def score_fold(
    matrix: Matrix,
    panel: Panel,
    contender: Contender,
    span: Span,
    *,
    score: Callable[[Array], Array],
    seed: int,
    threads: int,
) -> FoldRecord:
    """Fit `contender` before the fold and score it inside: rank IC against neutralised forward returns."""
    start = span.number * span.length
    train = matrix.take(known_before(matrix, start))
    test = matrix.take((matrix.session >= start) & (matrix.session < start + span.length))
    kept = feature_names_kept(train)
    learner = contender.build(seed, threads).fit(train.select(kept))
    values = _inner_ics(score(finite_output(contender, learner.predict(test.select(kept)))), test, panel, span.horizon)
    known_on = int(test.session.max()) + span.horizon
    return FoldRecord(span.number, contender.key, known_on, float(values.sum()), len(values))


def finite_output(contender: Contender, output: Array) -> Array:
    """Return `output`, or raise `FailedError` naming the recipe when any of it is NaN or infinite."""
    if not np.isfinite(output).all():
        raise FailedError(f"the recipe {contender.key} predicted NaN or infinity: mend or disable the recipe")
    return output


def _inner_ics(score: Array, test: Matrix, panel: Panel, horizon: int) -> Array:
    first, last = int(test.session.min()), int(test.session.max())
    scores = np.full((last - first + 1, len(test.tickers)), np.nan)
    scores[test.session - first, test.ticker] = score
    rows = slice(first - panel.first, last - panel.first + 1)
    if len(test.tickers) < SMALL_UNIVERSE:
        returns = forward_outcomes(panel, horizon).returns[rows]
        centred = scores - np.nanmedian(scores)
        size = float(np.nanstd(centred)) or 1.0
        gain = np.clip(centred / size, -1, 1) * returns
        known: Array = gain[np.isfinite(gain)]
        return known
    outcome = np.full_like(scores, np.nan)
    outcome[test.session - first, test.ticker] = test.target
    return spearman_rows(scores, outcome, first).value


def nominate(folds: Iterable[FoldRecord], contenders: Sequence[Contender], *, before: int) -> Contender:
    """Return the contender with the best mean rank IC over the folds known before session `before`.

    Without any such fold, and in a tie, the earliest in the list: the fallback is the strongly shrunk one.
    """
    means = comparison([f for f in folds if f.known_on < before])
    return max(contenders, key=lambda c: means.get(c.key, -np.inf)) if means else contenders[0]


def comparison(folds: Iterable[FoldRecord]) -> dict[str, float]:
    """Return the mean inner rank IC of each contender that was scored."""
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for fold in folds:
        total[fold.contender] = total.get(fold.contender, 0.0) + fold.total
        count[fold.contender] = count.get(fold.contender, 0) + fold.sessions
    return {key: total[key] / count[key] for key in total if count[key]}
