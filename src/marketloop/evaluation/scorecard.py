"""The evidence of one examination: every figure beside its baseline, the stream beside its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.conformal import Conformal, conformal
from marketloop.evaluation.intervals import Interval, ewc_interval, z_of
from marketloop.evaluation.matured import Matured, matured, per_session
from marketloop.evaluation.metrics import (
    Calibration,
    ClassMetrics,
    RegressionMetrics,
    calibration,
    classifier_metrics,
    regression_metrics,
)
from marketloop.evaluation.nomination import comparison
from marketloop.evaluation.positions import RULE_SESSIONS
from marketloop.evaluation.rank_ic import SessionSeries, spearman_rows
from marketloop.evaluation.skill_series import skill_series
from marketloop.evaluation.stream import Stream, StreamSpec, grid_of
from marketloop.labels import RETURN, Outcomes, Panel, forward_outcomes

__all__ = ["Scorecard", "SignalRule", "hit_rates", "regime_leads", "score_stream", "signal_rule"]

Array = NDArray[np.float64]
USUAL_MOVE = 0.02
"""Move whose direction counts for a classifier whose label has no threshold of its own."""
WINDOW_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class SignalRule:
    """BUY at or above `buy_from`, SELL at or below `sell_to`, else HOLD; both are values of the directional score."""

    buy_from: float
    sell_to: float

    def signal(self, score: float) -> str:
        """Return the signal for one score."""
        if score >= self.buy_from:
            return "BUY"
        return "SELL" if score <= self.sell_to else "HOLD"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What a slot's stream has shown through session `through`.

    `x` is the series that decides, by the family's `statistic`; its values reach over `overlap` sessions. `ic` and
    `ic_raw` are the reported rank ICs at the label's horizon (neutralised and plain) with their intervals. `metrics`,
    `baseline` and `calibration` are those of the classes on the same rows, `regression` those of values;
    `regime_edge` is the accuracy less that of the last known label; `conformal` the prediction intervals of a return.
    """

    through: int
    horizon: int
    sessions: int
    rows: int
    tickers: int
    statistic: str
    overlap: int
    x: SessionSeries
    x_interval: Interval
    z: float
    ic: Interval
    icir: float
    ic_raw: Interval
    hit_rate: Interval
    metrics: ClassMetrics | None
    baseline: ClassMetrics | None
    calibration: Calibration | None
    stability: float | None
    regime_edge: Interval | None
    regression: RegressionMetrics | None
    regression_baseline: RegressionMetrics | None
    conformal: Conformal | None
    nominees: dict[str, float]

    def figures(self) -> dict[str, float]:
        """Return the headline figures of the model: of its classes, or of its values."""
        known = self.metrics or self.regression
        return {} if known is None else known.figures()

    def baseline_figures(self) -> dict[str, float]:
        """Return the same figures of no skill on the same rows."""
        known = self.baseline or self.regression_baseline
        return {} if known is None else known.figures()

    def document(self) -> dict[str, Any]:
        """Return the scorecard as a JSON document; figures that could not be computed are null."""
        plain: dict[str, Any] = _plain(
            {
                "through_session": self.through,
                "horizon": self.horizon,
                "sessions": self.sessions,
                "rows": self.rows,
                "tickers": self.tickers,
                "skill": {
                    "statistic": "ic1" if self.statistic == "rank_ic" else "log loss gained on the last known label",
                    "z": self.z,
                    "terms": len(self.x),
                    "mean_ic1": self.x_interval.mean,
                    "overlap": self.overlap,
                },
                "rank_ic": {**_interval(self.ic), "icir": self.icir},
                "rank_ic_raw": _interval(self.ic_raw),
                "direction_hit_rate": {k: v for k, v in _interval(self.hit_rate).items() if k not in {"t", "p_value"}},
                "metrics": self.figures(),
                "baseline": self.baseline_figures(),
                "prediction_interval": None if self.conformal is None else self.conformal.document(),
                "lead_on_last_known_label": None if self.regime_edge is None else _interval(self.regime_edge),
                "per_class": {} if self.metrics is None else self.metrics.per_class,
                "confusion": [] if self.metrics is None else self.metrics.confusion,
                "calibration": None
                if self.calibration is None
                else {
                    "ece": self.calibration.ece,
                    "score": self.calibration.score,
                    "grade": self.calibration.grade,
                    "curve": self.calibration.curve,
                },
                "stability": self.stability,
                "inner_rank_ic": self.nominees,
            }
        )
        return plain


def score_stream(stream: Stream, matrix: Matrix, panel: Panel, spec: StreamSpec) -> Scorecard:
    """Examine `stream` on everything that `panel` and `matrix` know by now."""
    horizon = spec.label.horizon
    x = skill_series(stream, matrix, panel, spec)
    order = _order_part(stream, panel, spec)
    rows = matured(stream, matrix)
    classes = _class_part(rows, spec)
    return Scorecard(
        through=panel.last,
        horizon=horizon,
        sessions=int(stream.scores["session"].n_unique()),
        rows=len(stream.scores),
        tickers=int(stream.scores["ticker"].n_unique()),
        statistic=spec.family.statistic,
        overlap=spec.overlap,
        x=x,
        x_interval=ewc_interval(x.value, horizon=spec.overlap),
        z=z_of(x.value, spec.overlap),
        ic=order.ic,
        icir=order.icir,
        ic_raw=order.raw,
        hit_rate=order.hit_rate,
        metrics=classes.metrics,
        baseline=classes.baseline,
        calibration=classes.calibration,
        stability=classes.stability,
        regime_edge=classes.edge,
        regression=regression_metrics(rows.label, rows.score) if not spec.family.classes and len(rows) else None,
        regression_baseline=regression_metrics(rows.label, rows.expected)
        if not spec.family.classes and len(rows)
        else None,
        conformal=conformal(rows, panel, horizon=horizon, block=spec.block) if spec.label.label is RETURN else None,
        nominees=comparison(stream.folds),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    ic: Interval
    icir: float
    raw: Interval
    hit_rate: Interval


def _order_part(stream: Stream, panel: Panel, spec: StreamSpec) -> _Order:
    """Return how the scores order the tickers; nothing where a session is one row."""
    horizon = spec.label.horizon
    if spec.family.unit == "session":
        none = ewc_interval(np.zeros(0))
        return _Order(none, float("nan"), none, none)
    scores, outcomes = grid_of(stream.scores, panel), forward_outcomes(panel, horizon)
    ic = spearman_rows(scores, outcomes.neutral, panel.first)
    raw = spearman_rows(scores, outcomes.returns, panel.first)
    spread = float(ic.value.std(ddof=1)) if len(ic) > 1 else float("nan")
    interval = ewc_interval(ic.value, horizon=horizon)
    return _Order(
        interval,
        interval.mean / spread if spread > 0 else float("nan"),
        ewc_interval(raw.value, horizon=horizon),
        ewc_interval(hit_rates(scores, outcomes, spec, panel.first).value, horizon=horizon),
    )


def signal_rule(scores: pl.DataFrame, *, share: float = 0.1) -> SignalRule:
    """Return the rule that calls the outer `share` on each side of the stream's newest out-of-sample scores.

    Those are the newest blocks with at least `RULE_SESSIONS` sessions between them, whole blocks.
    """
    if len(scores) == 0:
        return SignalRule(np.inf, -np.inf)
    blocks = scores.group_by("block").agg(n=pl.col("session").n_unique()).sort("block", descending=True)
    newer = blocks["n"].cum_sum() - blocks["n"]
    newest = scores.filter(pl.col("block").is_in(blocks.filter(newer < RULE_SESSIONS)["block"].implode()))
    low, high = np.quantile(newest["score"].to_numpy(), [share, 1 - share])
    return SignalRule(float(high), float(low)) if high > low else SignalRule(np.inf, -np.inf)


def hit_rates(scores: Array, outcomes: Outcomes, spec: StreamSpec, first: int) -> SessionSeries:
    """Return, per session, the share of right directions among the names that moved by more than the threshold.

    Parameters
    ----------
    scores : float64 (T, N)
    first : int
        Session of row 0.
    """
    if not spec.family.classes:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    moved = np.isfinite(scores) & (np.abs(outcomes.returns) > (spec.label.threshold or USUAL_MOVE))
    right = moved & (np.sign(scores) == np.sign(outcomes.returns))
    count = moved.sum(axis=1)
    row = np.flatnonzero(count)
    return SessionSeries((row + first).astype(np.int32), right.sum(axis=1)[row] / count[row])


def regime_leads(rows: Matured) -> SessionSeries:
    """Return, per session, by how much the model's accuracy exceeds that of the last known label."""
    if rows.probabilities is None or rows.baseline is None:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    truth = rows.label.astype(np.intp)
    right = (rows.probabilities.argmax(axis=1) == truth).astype(np.float64)
    session, lead = per_session(rows.session, right - (rows.baseline.argmax(axis=1) == truth))
    return SessionSeries(session.astype(np.int32), lead)


@dataclass(frozen=True, slots=True)
class _Classes:
    metrics: ClassMetrics | None = None
    baseline: ClassMetrics | None = None
    calibration: Calibration | None = None
    stability: float | None = None
    edge: Interval | None = None


def _class_part(rows: Matured, spec: StreamSpec) -> _Classes:
    if rows.probabilities is None or rows.baseline is None or len(rows) == 0:
        return _Classes()
    truth = rows.label.astype(np.intp)
    right = (rows.probabilities.argmax(axis=1) == truth).astype(np.float64)
    windows = _whole_windows(rows, right, spec.block)
    edge = None
    if spec.family.statistic == "log_loss":
        edge = ewc_interval(regime_leads(rows).value, horizon=spec.label.horizon)
    return _Classes(
        classifier_metrics(truth, rows.probabilities, spec.family.classes),
        classifier_metrics(truth, rows.baseline, spec.family.classes),
        calibration(truth, rows.probabilities),
        float(windows.std(ddof=1)) if len(windows) > 2 else None,
        edge,
    )


def _whole_windows(rows: Matured, right: Array, block: int) -> Array:
    """Return the accuracy of each window of three blocks that holds at least half of its sessions.

    A window cut down to a few sessions has the spread of a few sessions, whatever the model.
    """
    number, accuracy = per_session(rows.block // WINDOW_BLOCKS, right)
    _, first = np.unique(rows.session, return_index=True)
    count = np.bincount(rows.block[first] // WINDOW_BLOCKS - number[0], minlength=number[-1] - number[0] + 1)
    whole: Array = accuracy[2 * count[number - number[0]] >= WINDOW_BLOCKS * block]
    return whole


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "mean": interval.mean,
        "interval": [interval.low, interval.high] if interval.known else None,
        "note": None if interval.known else "too few sessions",
        "t": interval.t,
        "p_value": interval.p,
        "sessions": interval.n,
    }


def _plain(value: Any) -> Any:
    """Replace NaN and infinities by None, so that the document is JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
