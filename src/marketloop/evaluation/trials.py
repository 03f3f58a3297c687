"""What a trial of hyperparameters is worth: purged inner folds, each prepared once and shared by all its trials."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Learner, Preparing
from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.dataset import feature_names_kept
from marketloop.evaluation.nomination import Contender, Span, finite_output, settled_folds
from marketloop.evaluation.objectives import OBJECTIVES, Objective
from marketloop.evaluation.overfitting import long_short_returns
from marketloop.evaluation.rank_ic import SessionSeries, neutral_one_session
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Stream, StreamSpec, grid_of
from marketloop.labels import Panel

__all__ = ["FoldValue", "TrialFolds", "stream_returns", "trial_folds"]

MOST_FOLDS = 4
"""Folds of a trial, the newest ones: more cost time in proportion and say little more about which setting is better."""
LEAST_FOLDS = 2
SHORTER = (63, 21)
"""Lengths of folds, in sessions, for histories that hold too few of the usual ones."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoldValue:
    """What is known of a trial after a further fold.

    Parameters
    ----------
    value : float
        The objective over the folds so far, averaged by their sessions.
    returns : float64 (sessions of this fold,)
        What the long-short portfolio of its scores earned in each session (`overfitting.long_short_returns`).
    figures : mapping
        Other figures over the folds so far; the accuracy of a classifier.
    """

    value: float
    returns: tuple[float, ...]
    figures: Mapping[str, float]


def trial_folds(matrix: Matrix, spec: StreamSpec, *, before: int) -> tuple[Span, ...]:
    """Return the folds that a trial is scored on: the newest that were settled before session `before`.

    They are the folds that nominate a contender: anchored to the calendar, purged, each with enough before it. Where
    the history holds fewer than two of these, the folds are shorter.
    """
    found: tuple[Span, ...] = ()
    for length in (spec.validation, *(shorter for shorter in SHORTER if shorter < spec.validation)):
        numbers = settled_folds(matrix, length, before=before)[-MOST_FOLDS:]
        if len(numbers) > len(found):
            found = tuple(Span(number, length, spec.label.horizon) for number in numbers)
        if len(found) >= LEAST_FOLDS:
            break
    return found


@dataclass(slots=True)
class TrialFolds:
    """The folds of a search, ready to be tried on; nothing in them depends on what is searched.

    Parameters
    ----------
    contender : Contender
        The recipe with the settings that are not searched.
    spec : StreamSpec
        Of the family.
    objective : Objective
    spans : tuple of Span
        From `trial_folds`.
    shares : bool
        Whether a learner's own form of the training rows (a binned matrix) is kept for the next trial.
    """

    contender: Contender
    spec: StreamSpec
    objective: Objective
    spans: tuple[Span, ...]
    shares: bool = True
    _folds: list[_Fold] = field(default_factory=list)

    def prepare(self, matrix: Matrix, panel: Panel) -> TrialFolds:
        """Cut the folds out of `matrix`, whose labels are known; return self."""
        returns = _returns_of(panel)
        self._folds = []
        for span in self.spans:
            start, length = span.number * span.length, span.length
            train = matrix.take(known_before(matrix, start))
            test = matrix.take((matrix.session >= start) & (matrix.session < start + length))
            kept = feature_names_kept(train)
            rows = slice(start - panel.first, start - panel.first + length)
            self._folds.append(_Fold(start, train.select(kept), test.select(kept), returns[rows]))
        return self

    def values(self, params: Mapping[str, Any]) -> Iterator[FoldValue]:
        """Try `params` fold by fold, oldest first.

        Raises
        ------
        FailedError
            The recipe predicted NaN.
        """
        tried = Contender(self.contender.recipe, {**self.contender.params, **params})
        watched = {self.objective.name: self.objective}
        if self.spec.family.classes:
            watched["accuracy"] = OBJECTIVES["accuracy"]
        sums, sessions = dict.fromkeys(watched, 0.0), 0
        for fold in self._folds:
            output = fold.fitted(tried, self.spec, shares=self.shares)
            weight = len(np.unique(fold.test.session))
            sessions += weight
            for name, objective in watched.items():
                sums[name] += weight * objective.value(output, fold.test, self.spec.family)
            means = {name: total / sessions for name, total in sums.items()}
            figures = {name: mean for name, mean in means.items() if name == "accuracy"}
            yield FoldValue(means[self.objective.name], fold.earned(output, self.spec), figures)


def stream_returns(stream: Stream, panel: Panel, horizon: int) -> SessionSeries:
    """Return what the long-short portfolio of a stream's scores earned in each session, as trials are measured."""
    grid = grid_of(stream.scores, panel)
    return long_short_returns(grid, _returns_of(panel), horizon, first=panel.first)


def _returns_of(panel: Panel) -> Array:
    """Return one-session returns, neutralised; of a single ticker, or the market alone, as they are."""
    return panel.returns if panel.returns.shape[1] == 1 else neutral_one_session(panel)


@dataclass(slots=True)
class _Fold:
    start: int
    train: Matrix
    test: Matrix
    returns: Array
    kept: dict[Hashable, Any] = field(default_factory=dict)

    def fitted(self, contender: Contender, spec: StreamSpec, *, shares: bool) -> Array:
        """Return what the contender, fitted before the fold, says inside it."""
        if len(self.train) == 0 or len(self.test) == 0:
            raise FailedError("the fold holds no labelled rows")
        learner = self._fit(contender.build(spec.seed, spec.threads), shares)
        return finite_output(contender, learner.predict(self.test), self.test)

    def _fit(self, learner: Learner, shares: bool) -> Learner:
        if not (shares and isinstance(learner, Preparing)):
            return learner.fit(self.train)
        key = learner.preparation()
        if key not in self.kept:
            self.kept[key] = learner.prepare(self.train)
        return learner.fit_prepared(self.kept[key])

    def earned(self, output: Array, spec: StreamSpec) -> tuple[float, ...]:
        """Return what the portfolio of its scores earned in each session of the fold."""
        scores = np.full(self.returns.shape, np.nan)
        scores[self.test.session - self.start, self.test.ticker] = spec.family.score(output)
        series = long_short_returns(scores, self.returns, spec.label.horizon, first=self.start)
        return tuple(series.value.tolist())
