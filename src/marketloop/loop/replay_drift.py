"""The policy ``drift`` of a replay: a scan at every close, as the daily one, and a candidate when it asks for one."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import Sessions
from marketloop.evaluation.hindsight import Past
from marketloop.evaluation.matured import Matured, matured, per_session
from marketloop.evaluation.metrics import calibration
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.replay import Course, Serving
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Fitted, Stream
from marketloop.monitoring import (
    PLAN_DAYS,
    Finding,
    Judged,
    by_features,
    calibration_now,
    judge,
    most_severe,
    regime_lag,
)
from marketloop.monitoring.features import Reference
from marketloop.monitoring.performance import MOST_LAG

__all__ = ["DriftRule", "Key"]

LATEST: Final = 63
"""Matured sessions that are looked at, the newest."""
MOST_REFERENCES: Final = 4
Array = NDArray[np.float64]
Key = tuple[int, int, tuple[str, ...]]
"""Session through which a version learned, first session that is not looked at, and its features."""


@dataclass
class DriftRule:
    """Asks for a candidate when a scan says retrain now, or when a planned retraining falls due.

    Parameters
    ----------
    past : Past
    sessions : Sessions
    window : int
        Recent sessions whose features are looked at.
    alpha : float
        Chance that a scan of a steady market says anything.
    references : dict
        References that were prepared, to share among rules: courses side by side often serve one model.
    scans : int
        How many there were.
    """

    past: Past
    sessions: Sessions
    window: int
    alpha: float
    references: dict[Key, Reference] = field(default_factory=dict)
    scans: int = field(default=0, init=False)
    _planned: tuple[int, dt.date] | None = field(default=None, init=False)

    def due(self, session: int, course: Course) -> bool:
        """Scan at the close of `session` and say whether a candidate is wanted."""
        serving = course.now
        if serving is None:
            return False
        today = self.sessions.date(session)
        action = most_severe(self.findings(session, course, serving))
        if action == "plan" and (self._planned is None or self._planned[0] != len(course.trained)):
            self._planned = (len(course.trained), today + dt.timedelta(days=PLAN_DAYS))
        planned = self._planned is not None and self._planned[0] == len(course.trained) and today >= self._planned[1]
        return action == "retrain" or planned

    def findings(self, session: int, course: Course, serving: Serving) -> tuple[Finding, ...]:
        """Return what a scan at the close of `session` finds of features, accuracy and calibration."""
        self.scans += 1
        return (*self._features(session, serving), *self._served(session, course, serving))

    def _features(self, session: int, serving: Serving) -> tuple[Finding, ...]:
        matrix, fitted = self.past.matrix, serving.voice.fitted
        sessions = np.unique(matrix.session)
        begin = int(sessions[sessions <= session][-self.window :][0])
        recent = matrix.take((matrix.session >= begin) & (matrix.session <= session)).select(fitted.block.features)
        try:
            scan = self._reference(fitted, begin).scan(recent, importance=fitted.learner.importance(), alpha=self.alpha)
        except UsageError as error:
            return (Finding("features", "monitor", str(error)),)
        return (Finding("features", by_features(scan.level), f"{len(scan.drifted)} features have drifted"),)

    def _reference(self, fitted: Fitted, begin: int) -> Reference:
        """Return what a version learned from before `begin`; once it is older than the window that stays the same."""
        through, names = fitted.block.train_through, fitted.block.features
        key = (through, min(begin, through + 1), names)
        if key not in self.references:
            matrix = self.past.matrix
            learned = known_before(matrix, through + 1) & (matrix.session < begin)
            while len(self.references) >= MOST_REFERENCES:
                del self.references[next(iter(self.references))]
            self.references[key] = Reference.of(matrix.take(learned).select(names), self.window)
        return self.references[key]

    def _served(self, session: int, course: Course, serving: Serving) -> tuple[Finding, ...]:
        """Judge what the version itself has said since it began to serve, beside its stream until then."""
        horizon = self.past.spec.label.horizon
        own = [at for at, by in course.served if by.version == serving.version and at <= session - horizon][-LATEST:]
        rows = matured(Stream("", scores=course.scores, blocks=course.blocks), self.past.matrix)
        rows = rows.take(np.isin(rows.session, own))
        before = self._stream.take(self._stream.session <= serving.through - horizon)
        figure = _figure(self.past)
        found = [judge(self._judged(figure, rows, course, own), self._examined(figure, before, serving)).finding]
        if rows.probabilities is not None and before.probabilities is not None and len(before):
            truth = before.label.astype(np.intp)
            usual = calibration(truth, before.probabilities).score
            likeliest = rows.probabilities.argmax(axis=1)
            _, number = np.unique(rows.session, return_inverse=True)
            hit = likeliest == rows.label.astype(np.intp)
            said = rows.probabilities.max(axis=1, initial=0.0)
            found.append(calibration_now(hit, said, number, reference=usual, overlap=horizon)[1])
        if self.past.spec.family.unit == "session" and rows.probabilities is not None:
            lag = regime_lag(rows.probabilities.argmax(axis=1), rows.label.astype(np.intp))
            if lag is not None and lag > MOST_LAG:
                found.append(Finding("regime", "plan", f"regimes are called {lag} sessions late"))
        return tuple(found)

    @cached_property
    def _stream(self) -> Matured:
        return matured(self.past.stream, self.past.matrix)

    @cached_property
    def _stream_order(self) -> SessionSeries:
        return self.past.ordered(self.past.stream.scores)

    def _judged(self, figure: str, rows: Matured, course: Course, own: list[int]) -> Judged:
        horizon = self.past.spec.label.horizon
        if figure == "rank_ic":
            order = self.past.ordered(course.scores)
            value = order.value[np.isin(order.session, own)]
        elif figure == "accuracy" and rows.probabilities is not None:
            hit = rows.probabilities.argmax(axis=1) == rows.label.astype(np.intp)
            value = per_session(rows.session, hit.astype(np.float64))[1]
        else:
            value = per_session(rows.session, (rows.score - rows.label) ** 2)[1]
        return Judged(figure, value, horizon)

    def _examined(self, figure: str, before: Matured, serving: Serving) -> float | None:
        """Return the figure that the version was examined with: that of its stream until then."""
        if figure == "rank_ic":
            order = self._stream_order.between(self.past.panel.first, serving.through - self.past.spec.label.horizon)
            return float(order.value.mean()) if len(order) else None
        if len(before) == 0:
            return None
        if figure == "accuracy" and before.probabilities is not None:
            return float(np.mean(before.probabilities.argmax(axis=1) == before.label.astype(np.intp)))
        return math.sqrt(float(np.mean((before.score - before.label) ** 2)))


def _figure(past: Past) -> str:
    family = past.spec.family
    if family.classes:
        return "accuracy"
    return "rank_ic" if family.objective == "rank_ic" else "rmse"
