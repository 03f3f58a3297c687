"""The past as it was known at each of its closes: what a night may ask, and nothing later.

A stream is append-only and a label knows its day, so a night of long ago is a prefix of what there is today. Whoever
asks through `Past` sees that prefix; extending the data changes no answer about an earlier night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Check
from marketloop.core.values import Matrix
from marketloop.evaluation.continuity import CONTINUITY_SESSIONS, continuity
from marketloop.evaluation.intervals import Interval, ewc_interval
from marketloop.evaluation.matured import matured
from marketloop.evaluation.persistence import persistence_baseline
from marketloop.evaluation.plausibility import plausibility
from marketloop.evaluation.rank_ic import (
    SMALL_UNIVERSE,
    SessionSeries,
    neutral_one_session,
    sequential_ic,
    spearman_rows,
)
from marketloop.evaluation.scorecard import SignalRule, hit_rates, regime_leads, signal_rule
from marketloop.evaluation.skill_series import frozen_stream, log_loss_gain, log_probability
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import (
    SCORE_SCHEMA,
    Block,
    Fitted,
    Stream,
    StreamSpec,
    grid_of,
    scale_of,
    score_rows,
)
from marketloop.labels import Outcomes, Panel, forward_outcomes

__all__ = ["Past", "Voice"]

Array = NDArray[np.float64]
NONE = SessionSeries(np.zeros(0, np.int32), np.zeros(0))


@dataclass
class Voice:
    """A model that is asked session by session; what it has said is kept.

    Parameters
    ----------
    past : Past
    fitted : Fitted
    """

    past: Past
    fitted: Fitted
    _said: list[pl.DataFrame] = field(default_factory=list, init=False)
    _until: int = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.fitted.block.train_through - 1

    def said(self, session: int) -> pl.DataFrame:
        """Return its scores of the newest session that it was trained at the close of, and of all until `session`."""
        if session > self._until:
            self._said.append(self._score(self._until + 1, session))
            self._until = session
        frame = pl.concat(self._said) if self._said else pl.DataFrame(schema=dict(SCORE_SCHEMA))
        self._said = [frame]
        return frame if session >= self._until else frame.filter(pl.col("session") <= session)

    def unseen(self, session: int) -> pl.DataFrame:
        """Return its scores of the sessions after its training."""
        return self.said(session).filter(pl.col("session") > self.fitted.block.train_through)

    def _score(self, first: int, last: int) -> pl.DataFrame:
        past = self.past
        rows = past.matrix.take((past.matrix.session >= first) & (past.matrix.session <= last))
        baseline = None
        if past.spec.family.statistic == "log_loss" and len(rows):
            horizon = past.spec.label.horizon
            baseline = persistence_baseline(self._train, rows, past.matrix, past.panel, horizon)
        return score_rows(self.fitted, rows, past.spec, scale=self._scale, baseline=baseline)

    @property
    def _train(self) -> Matrix:
        labelled = self.past.labelled
        return labelled.take(known_before(labelled, self.fitted.block.train_through + 1))

    @cached_property
    def _scale(self) -> tuple[float, float] | None:
        past = self.past
        if past.spec.family.unit == "session" or len(past.panel.tickers) >= SMALL_UNIVERSE:
            return None
        return scale_of(self.fitted, self._train, past.spec)


@dataclass
class Past:
    """A history whose stream was walked to its end, asked as of its closes.

    Parameters
    ----------
    matrix : Matrix
        With ranks where a recipe reads them.
    panel : Panel
    spec : StreamSpec
    stream : Stream
        Of `spec`, over all of `matrix`.
    plausible_ic : float, optional
        ``gate.plausibility_ic``.
    """

    matrix: Matrix
    panel: Panel
    spec: StreamSpec
    stream: Stream
    plausible_ic: float | None = None

    @cached_property
    def labelled(self) -> Matrix:
        """The rows whose labels are known by today; who learns takes those known before."""
        return self.matrix.take(np.isfinite(self.matrix.label))

    @cached_property
    def first_scored(self) -> int | None:
        """First session that the stream has spoken of."""
        return None if self.stream.scores.is_empty() else int(self.stream.scores["session"][0])

    def stream_of(self, session: int, after: int | None) -> Stream:
        """Return the stream as of the close of `session`, without what was said through `after`."""
        seen = pl.col("session") <= session
        if after is not None:
            seen &= pl.col("session") > after
        return replace(self.stream, scores=self.stream.scores.filter(seen))

    def deciding(self, session: int, after: int | None) -> SessionSeries:
        """Return the series that decides about skill (ic1, or gains in log loss) as of the close of `session`."""
        if after not in self._deciding:
            self._deciding[after] = self._series(self._said_after(after))
        return self._known(self._deciding[after], session)

    def compared(self, session: int, after: int | None) -> SessionSeries:
        """Return what the stream has in a comparison with a model: ic1, or log probabilities."""
        if self.spec.family.statistic != "log_loss":
            return self.deciding(session, after)
        if after not in self._compared:
            self._compared[after] = log_probability(self._said_after(after), self.matrix)
        return self._known(self._compared[after], session)

    def lead(self, voice: Voice, session: int, after: int | None) -> SessionSeries:
        """Return what the stream has over a model on sessions that neither has seen, as of the close of `session`."""
        through = voice.fitted.block.train_through
        theirs = self.measured(voice.unseen(session), session)
        own = self.compared(session, after)
        if self.spec.small:  # a position counts less its own past mean: both sides must have the same past
            own = self.measured(self.stream_of(session, after).scores.filter(pl.col("session") > through), session)
        return own.minus(theirs).between(through + self.spec.label.horizon + 1, session)

    def measured(self, scores: pl.DataFrame, session: int) -> SessionSeries:
        """Return what differences between two models are taken of, as of the close of `session`."""
        if scores.is_empty():
            return NONE
        if self.spec.family.statistic == "log_loss":
            return self._known(log_probability(scores, self.matrix), session)
        return self._known(self._series(scores), session)

    def live(self, pieces: Sequence[pl.DataFrame], session: int) -> SessionSeries:
        """Return the deciding series of what was served, piece by piece, as of the close of `session`."""
        scores = pl.concat(pieces).sort("session", maintain_order=True)
        return NONE if scores.is_empty() else self._known(self._series(scores), session)

    def checks(self, session: int, after: int | None) -> tuple[Check, ...]:
        """Return whether the figures of the stream were plausible at the close of `session`."""
        figures = _Figures(
            self.spec.family.statistic,
            self.spec.label.horizon,
            self._interval("ic", session, after),
            self._interval("hit", session, after),
            self._interval("edge", session, after),
        )
        return plausibility(figures, threshold_ic=self.plausible_ic)

    def continuity(self, fitted: Fitted, session: int, after: int | None) -> float | None:
        """Return how much a candidate of `session` orders the tickers as its stream does."""
        near = pl.col("session") > session - CONTINUITY_SESSIONS
        scores = self.stream_of(session, after).scores.filter(near)
        return continuity(fitted, scores, self.matrix, self.panel, spec=self.spec, session=session)

    def rule(self, session: int, after: int | None) -> SignalRule | None:
        """Return what a version of `session` calls BUY and SELL; None where each session's own scores say it."""
        if len(self.panel.tickers) >= SMALL_UNIVERSE:
            return None
        return signal_rule(self.stream_of(session, after).scores)

    def ordered(self, scores: pl.DataFrame) -> SessionSeries:
        """Return the reported rank IC of `scores`; no session where a session is one row."""
        if self.spec.family.unit == "session":
            return NONE
        return spearman_rows(grid_of(scores, self.panel), self._outcomes.neutral, self.panel.first)

    @cached_property
    def _outcomes(self) -> Outcomes:
        return forward_outcomes(self.panel, self.spec.label.horizon)

    @cached_property
    def _neutral(self) -> Array:
        return neutral_one_session(self.panel)

    @cached_property
    def _deciding(self) -> dict[int | None, SessionSeries]:
        return {}

    @cached_property
    def _compared(self) -> dict[int | None, SessionSeries]:
        return {}

    @cached_property
    def _figures(self) -> dict[int | None, dict[str, SessionSeries]]:
        return {}

    def _said_after(self, after: int | None) -> pl.DataFrame:
        return self.stream_of(self.panel.last, after).scores

    def _series(self, scores: pl.DataFrame) -> SessionSeries:
        """Return x of GATE.md, section 2, of any scores."""
        if self.spec.family.statistic == "log_loss":
            return log_loss_gain(frozen_stream(scores, _unnamed(scores)), self.matrix)
        grid, tilt = grid_of(scores, self.panel), grid_of(scores, self.panel, "tilt")
        return sequential_ic(grid, self.panel, self._neutral, self.spec.label.horizon, tilt=tilt)

    def _known(self, x: SessionSeries, session: int) -> SessionSeries:
        """Return the part of `x` that was known at the close of `session`: a log loss waits for its label."""
        reach = self.spec.label.horizon if self.spec.family.statistic == "log_loss" else 0
        return x.between(self.panel.first, session - reach)

    def _interval(self, name: str, session: int, after: int | None) -> Interval:
        if after not in self._figures:
            stream = replace(self.stream, scores=self._said_after(after))
            grid = grid_of(stream.scores, self.panel)
            by_order = self.spec.family.unit != "session"
            regimes = self.spec.family.statistic == "log_loss"
            self._figures[after] = {
                "ic": self.ordered(stream.scores),
                "hit": hit_rates(grid, self._outcomes, self.spec, self.panel.first) if by_order else NONE,
                "edge": regime_leads(matured(stream, self.matrix)) if regimes else NONE,
            }
        reach = self.spec.label.horizon
        series = self._figures[after][name].between(self.panel.first, session - reach)
        return ewc_interval(series.value, horizon=reach)


@dataclass(frozen=True, slots=True)
class _Figures:
    statistic: str
    horizon: int
    ic: Interval
    hit_rate: Interval
    regime_edge: Interval | None


def _unnamed(scores: pl.DataFrame) -> tuple[Block, ...]:
    """Return a block for each number that occurs: what is measured here reads their numbers only."""
    return tuple(Block(int(number), "", 0, 0, (), (), ()) for number in scores["block"].unique().to_list())
