"""What a replayed policy came to: the quality of what it served, and what it did to get there."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.evaluation.backtest import Backtest, Plan, run_backtest
from marketloop.evaluation.hindsight import Past
from marketloop.evaluation.intervals import Interval, ewc_interval
from marketloop.evaluation.matured import Matured, matured, per_session
from marketloop.evaluation.performance import Bounds, excess_return
from marketloop.evaluation.positions import Rule, session_rule
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.replay import Course
from marketloop.evaluation.stream import Stream, grid_of

__all__ = ["Gain", "Replayed"]

Array = NDArray[np.float64]
NONE = SessionSeries(np.zeros(0, np.int32), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Gain:
    """One policy less another on the sessions that both served."""

    rank_ic: Interval
    brier: Interval
    annual_return: Bounds

    @property
    def told(self) -> dict[str, str]:
        """By figure whether this policy was ``better`` or ``worse``, where the 95 % interval leaves 0 out."""
        bounds = {
            "rank IC": (self.rank_ic.low, self.rank_ic.high),
            "Brier score": (-self.brier.high, -self.brier.low),
            "return": (self.annual_return.low, self.annual_return.high),
        }
        return {name: "better" if low > 0 else "worse" for name, (low, high) in bounds.items() if low > 0 or high < 0}


@dataclass
class Replayed:
    """The figures of a course, each over sessions whose outcome is known.

    Parameters
    ----------
    past : Past
    course : Course
    nights : range of sessions, first and last
    plan : Plan
        How signals are traded.
    confidence : float, optional
        Below it a classifier's signal is HOLD.
    """

    past: Past
    course: Course
    nights: tuple[int, int]
    plan: Plan
    confidence: float | None = None

    @cached_property
    def order(self) -> SessionSeries:
        """Rank IC of what was served, per session, at the label's horizon; neutralised for beta and volatility."""
        return self.past.ordered(self.course.scores)

    @cached_property
    def brier(self) -> SessionSeries:
        """Brier score of what was served, per session: 0 is perfect, 2 the worst; none for predicted values."""
        return self._brier(self._rows.probabilities)

    @cached_property
    def brier_no_skill(self) -> SessionSeries:
        """The same of somebody without skill: the shares of the classes at each training, or that a regime goes on."""
        return self._brier(self._rows.baseline)

    @property
    def rank_ic(self) -> Interval:
        """Mean rank IC."""
        return ewc_interval(self.order.value, horizon=self._horizon)

    @property
    def brier_mean(self) -> Interval:
        """Mean Brier score."""
        return ewc_interval(self.brier.value, horizon=self._horizon)

    @property
    def icir(self) -> float:
        """Mean rank IC over its standard deviation, per session."""
        value = self.order.value
        spread = float(value.std(ddof=1)) if len(value) > 1 else 0.0
        return float(value.mean()) / spread if spread > 0 else math.nan

    @cached_property
    def account(self) -> Backtest | None:
        """An account that followed the signals, costs paid; provisional versions say HOLD. None for regimes."""
        if self.past.spec.family.unit == "session" or not self.course.served:
            return None
        panel = self.past.panel
        first, last = (int(row) for row in panel.rows_of(np.array(self.nights, np.int32)))
        return run_backtest(grid_of(self.course.scores, panel), self._rule(), panel, self.plan, rows=(first, last))

    @property
    def with_signals(self) -> float:
        """Share of the served sessions in which a version that was not provisional served; NaN where none served."""
        served = self.course.served
        return float(np.mean([not by.provisional for _, by in served])) if served else math.nan

    @property
    def age(self) -> float:
        """Mean sessions since the training of what served."""
        served = self.course.served
        return float(np.mean([by.age(session) for session, by in served])) if served else math.nan

    @property
    def counts(self) -> Counter[str]:
        """Events by kind."""
        return Counter(event.kind for event in self.course.events)

    def less(self, other: Replayed) -> Gain:
        """Return by how much this policy was better than `other`, session by session; a lower Brier score is better."""
        own, its = self.account, other.account
        horizon = self._horizon
        return Gain(
            ewc_interval(self.order.minus(other.order).value, horizon=horizon),
            ewc_interval(self.brier.minus(other.brier).value, horizon=horizon),
            Bounds(math.nan, math.nan, math.nan)
            if own is None or its is None
            else excess_return(own.account.returns, its.account.returns),
        )

    @property
    def _horizon(self) -> int:
        return self.past.spec.label.horizon

    @cached_property
    def _rows(self) -> Matured:
        """What was served beside what happened, with the class shares of each version's training."""
        return matured(Stream("", scores=self.course.scores, blocks=self.course.blocks), self.past.matrix)

    def _brier(self, shares: Array | None) -> SessionSeries:
        rows = self._rows
        if shares is None or len(rows) == 0:
            return NONE
        wanted = np.eye(shares.shape[1])[rows.label.astype(np.intp)]
        session, value = per_session(rows.session, ((shares - wanted) ** 2).sum(axis=1))
        return SessionSeries(session.astype(np.int32), value)

    def _rule(self) -> Rule:
        """Return what was BUY and SELL in each session, as it was served."""
        panel = self.past.panel
        tenth = session_rule(grid_of(self.course.scores, panel))
        buy, sell = np.full(len(panel.close), np.nan), np.full(len(panel.close), np.nan)
        for session, by in self.course.served:
            row = session - panel.first
            if by.provisional:
                buy[row], sell[row] = np.inf, -np.inf
            elif by.rule is None:
                buy[row], sell[row] = tenth.buy_from[row], tenth.sell_to[row]
            else:
                buy[row], sell[row] = by.rule.buy_from, by.rule.sell_to
        return Rule(buy, sell, self._abstained())

    def _abstained(self) -> NDArray[np.bool_] | None:
        if self.confidence is None or not self.past.spec.family.classes:
            return None
        likeliest = self.course.scores.with_columns(likeliest=pl.col("probabilities").list.max())
        return grid_of(likeliest, self.past.panel, "likeliest") < self.confidence
