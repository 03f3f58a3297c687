"""Which recipe speaks for a family: the one that did best on inner, purged, calendar-anchored folds of the past."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Learner, Recipe
from marketloop.core.errors import FailedError, MarketLoopError
from marketloop.core.values import Matrix
from marketloop.dataset import feature_names_kept
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, spearman_rows
from marketloop.evaluation.splits import known_before, walk_forward
from marketloop.labels import Panel, forward_outcomes

__all__ = [
    "Contender",
    "FoldRecord",
    "Span",
    "comparison",
    "finite_output",
    "missing_folds",
    "named",
    "nominate",
    "score_fold",
    "settled_folds",
    "shaped_output",
]

LEAST_SESSIONS = 125
LEAST_PROBABILITY = 1e-12
ONE_ERROR = 0.8413
"""Probability below one standard error of a normal mean."""
LEAST_FOLDS = 2
"""Folds that a contender must share with the fallback before its lead has a standard error."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contender:
    """A recipe with its settings; `key` is its name in records.

    Parameters
    ----------
    recipe : Recipe
    params : mapping
    since : int, optional
        First session of which whoever chose `params` had seen nothing: a block that starts earlier is not for this
        contender. None for settings that were declared without a look at the data.
    """

    recipe: Recipe
    params: Mapping[str, Any]
    since: int | None = None

    @property
    def key(self) -> str:
        """Name and the settings that differ from the recipe's defaults, e.g. ``rank_ridge(penalty=0.4)``."""
        own = {name: value for name, value in self.params.items() if self.recipe.defaults.get(name) != value}
        text = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(own.items()))
        return f"{self.recipe.name}({text})" if text else self.recipe.name

    def may_speak_from(self, session: int) -> bool:
        """Say whether a block that starts at `session` lies behind everything that its settings were chosen by."""
        return self.since is None or session >= self.since

    def build(self, seed: int, threads: int) -> Learner:
        """Return an unfitted learner."""
        return self.recipe.build(self.params, seed, threads)


@dataclass(frozen=True, slots=True)
class FoldRecord:
    """How a contender did in one fold: sum and count of its per-session figures; known at the close of `known_on`.

    The figure is the rank IC or, for a family that is measured by log loss, the mean log probability of what happened.
    """

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

    A lone contender needs no folds, and one that may not speak yet gets none.
    """
    contenders = [c for c in contenders if c.may_speak_from(before)]
    if len(contenders) < 2:
        return []
    have = {(record.number, record.contender) for record in done}
    numbers = settled_folds(matrix, length, before=before)
    return [(number, c) for number in numbers for c in contenders if (number, c.key) not in have]


def settled_folds(matrix: Matrix, length: int, *, before: int) -> list[int]:
    """Return the numbers of the complete folds whose outcomes were known before `before` and that have enough to learn.

    They are ``number * length`` and on, anchored to the calendar, in order of time.
    """
    horizon = _horizon(matrix)
    return [
        fold.number
        for fold in walk_forward(matrix, length)
        if fold.start + length - 1 + horizon < before and len(np.unique(matrix.session[fold.train])) >= LEAST_SESSIONS
    ]


def _horizon(matrix: Matrix) -> int:
    known = np.isfinite(matrix.label)
    return int((matrix.known_on[known] - matrix.session[known]).max(initial=0))


def score_fold(
    matrix: Matrix,
    panel: Panel,
    contender: Contender,
    span: Span,
    *,
    family: Family,
    seed: int,
    threads: int,
) -> FoldRecord:
    """Fit `contender` before the fold and measure it inside by the statistic of its family."""
    start = span.number * span.length
    train = matrix.take(known_before(matrix, start))
    test = matrix.take((matrix.session >= start) & (matrix.session < start + span.length))
    kept = feature_names_kept(train)
    with named(contender.key):
        learner = contender.build(seed, threads).fit(train.select(kept))
        output = finite_output(contender, learner.predict(test.select(kept)), test)
    values = (
        _log_probability(output, test)
        if family.statistic == "log_loss"
        else _inner_ics(family.score(output), test, panel, span.horizon)
    )
    known_on = int(test.session.max()) + span.horizon
    return FoldRecord(span.number, contender.key, known_on, float(values.sum()), len(values))


@contextmanager
def named(recipe: str) -> Iterator[None]:
    """Name the recipe in whatever its own code raises."""
    try:
        yield
    except MarketLoopError:
        raise
    except Exception as error:
        text = f"the recipe {recipe} failed: {type(error).__name__}: {error}; mend or disable the recipe"
        raise FailedError(text) from error


def finite_output(contender: Contender, output: Array, rows: Matrix) -> Array:
    """Return what was predicted of `rows`, or raise `FailedError` naming the recipe when it is no such prediction."""
    if not np.isfinite(shaped_output(contender.key, output, rows)).all():
        raise FailedError(f"the recipe {contender.key} predicted NaN or infinity: mend or disable the recipe")
    return output


def shaped_output(recipe: str, output: Array, rows: Matrix) -> Array:
    """Return `output`, or raise `FailedError` when it is not one value, or one share of each class, per row."""
    expected = (len(rows), len(rows.classes)) if rows.classes else (len(rows),)
    if np.shape(output) != expected:
        raise FailedError(
            f"the recipe {recipe} predicted an array of shape {np.shape(output)} for {len(rows)} rows: expected "
            f"{expected}; mend or disable the recipe"
        )
    return output


def _log_probability(output: Array, test: Matrix) -> Array:
    """Return the log probability (n,) that was given to each label that is known."""
    known = np.flatnonzero(np.isfinite(test.label))
    value: Array = np.log(np.maximum(output[known, test.label[known].astype(np.intp)], LEAST_PROBABILITY))
    return value


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
    """Return the contender that speaks for the family, judged by the folds known before session `before`.

    The first contender, the fallback, is the strongly shrunk one. Another takes its place only when its mean lead over
    it, fold by fold, is more than one standard error (Breiman et al. 1984, section 3.4.3), which for few folds is
    widened by Student's t to the same 84 %; of several that do, the one with the best mean. A mean alone would follow
    the noise of a few folds, and a deep model that got lucky there finds nothing afterwards.
    """
    means: dict[str, dict[int, float]] = {}
    for fold in folds:
        if fold.known_on < before and fold.sessions:
            means.setdefault(fold.contender, {})[fold.number] = fold.total / fold.sessions
    fallback, best, lead = contenders[0], contenders[0], 0.0
    for contender in (c for c in contenders[1:] if c.may_speak_from(before)):
        gain, error = _lead(means.get(contender.key, {}), means.get(fallback.key, {}))
        if gain > error and gain > lead:
            best, lead = contender, gain
    return best


def _lead(own: Mapping[int, float], other: Mapping[int, float]) -> tuple[float, float]:
    """Return the mean difference over common folds and what it must exceed (infinite with fewer than two folds)."""
    common = sorted(own.keys() & other.keys())
    if len(common) < LEAST_FOLDS:
        return 0.0, np.inf
    difference = np.array([own[number] - other[number] for number in common])
    error = float(difference.std(ddof=1) / np.sqrt(len(common)))
    # Loaded here: a night that finds nothing new reads this module for its values, and SciPy takes half a second.
    quantile = float(importlib.import_module("scipy.special").stdtrit(len(common) - 1, ONE_ERROR))
    return float(difference.mean()), error * quantile


def comparison(folds: Iterable[FoldRecord]) -> dict[str, float]:
    """Return the mean inner figure of each contender that was scored: rank IC, or log probability."""
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for fold in folds:
        total[fold.contender] = total.get(fold.contender, 0.0) + fold.total
        count[fold.contender] = count.get(fold.contender, 0) + fold.sessions
    return {key: total[key] / count[key] for key in total if count[key]}
