"""The evidence of one examination: every figure beside its baseline, the stream beside its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.intervals import Interval, ewc_interval, sequential_z
from marketloop.evaluation.metrics import Calibration, ClassMetrics, calibration, classifier_metrics
from marketloop.evaluation.nomination import comparison
from marketloop.evaluation.rank_ic import SessionSeries, neutral_one_session, sequential_ic, spearman_rows
from marketloop.evaluation.stream import Stream, StreamSpec, grid_of
from marketloop.labels import Outcomes, Panel, forward_outcomes

__all__ = ["Scorecard", "SignalRule", "score_stream", "signal_rule"]

Array = NDArray[np.float64]


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

    `ic1` is the sequence that decides, `ic` and `ic_raw` the reported rank ICs at the label's horizon (neutralised
    and plain) with their intervals, `metrics`, `baseline` and `calibration` those of the classes on the same rows.
    """

    through: int
    horizon: int
    sessions: int
    rows: int
    tickers: int
    ic1: SessionSeries
    ic1_interval: Interval
    z: float
    ic: Interval
    icir: float
    ic_raw: Interval
    hit_rate: Interval
    metrics: ClassMetrics | None
    baseline: ClassMetrics | None
    calibration: Calibration | None
    stability: float | None
    nominees: dict[str, float]

    def document(self) -> dict[str, Any]:
        """Return the scorecard as a JSON document; figures that could not be computed are null."""
        plain: dict[str, Any] = _plain(
            {
                "through_session": self.through,
                "horizon": self.horizon,
                "sessions": self.sessions,
                "rows": self.rows,
                "tickers": self.tickers,
                "skill": {"z": self.z, "terms": len(self.ic1), "mean_ic1": self.ic1_interval.mean},
                "rank_ic": {**_interval(self.ic), "icir": self.icir},
                "rank_ic_raw": _interval(self.ic_raw),
                "direction_hit_rate": {k: v for k, v in _interval(self.hit_rate).items() if k not in {"t", "p_value"}},
                "metrics": {} if self.metrics is None else self.metrics.figures(),
                "baseline": {} if self.baseline is None else self.baseline.figures(),
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
    """Examine `stream` on everything that `panel` knows by now."""
    scores, tilt = grid_of(stream.scores, panel), grid_of(stream.scores, panel, "tilt")
    outcomes = forward_outcomes(panel, spec.label.horizon)
    horizon = spec.label.horizon
    ic1 = sequential_ic(scores, panel, neutral_one_session(panel), horizon, tilt=tilt)
    ic = spearman_rows(scores, outcomes.neutral, panel.first)
    raw = spearman_rows(scores, outcomes.returns, panel.first)
    interval = ewc_interval(ic.value, horizon=horizon)
    spread = float(ic.value.std(ddof=1)) if len(ic) > 1 else float("nan")
    classes = _class_part(stream, matrix, spec)
    return Scorecard(
        through=panel.last,
        horizon=horizon,
        sessions=int(stream.scores["session"].n_unique()),
        rows=len(stream.scores),
        tickers=int(stream.scores["ticker"].n_unique()),
        ic1=ic1,
        ic1_interval=ewc_interval(ic1.value),
        z=sequential_z(ic1.value),
        ic=interval,
        icir=interval.mean / spread if spread > 0 else float("nan"),
        ic_raw=ewc_interval(raw.value, horizon=horizon),
        hit_rate=ewc_interval(_hit_rate(scores, outcomes, spec), horizon=horizon),
        metrics=classes[0],
        baseline=classes[1],
        calibration=classes[2],
        stability=classes[3],
        nominees=comparison(stream.folds),
    )


def signal_rule(scores: pl.DataFrame, *, share: float = 0.1) -> SignalRule:
    """Return the rule that calls the outer `share` on each side of the stream's out-of-sample scores."""
    values = scores["score"].to_numpy()
    if len(values) == 0:
        return SignalRule(np.inf, -np.inf)
    low, high = np.quantile(values, [share, 1 - share])
    return SignalRule(float(high), float(low)) if high > low else SignalRule(np.inf, -np.inf)


def _hit_rate(scores: Array, outcomes: Outcomes, spec: StreamSpec) -> Array:
    """Share of right directions per session among the names that moved by more than the threshold."""
    if spec.label.threshold is None:
        return np.zeros(0)
    moved = np.isfinite(scores) & (np.abs(outcomes.returns) > spec.label.threshold)
    right = moved & (np.sign(scores) == np.sign(outcomes.returns))
    count = moved.sum(axis=1)
    rate: Array = right.sum(axis=1)[count > 0] / count[count > 0]
    return rate


def _class_part(
    stream: Stream, matrix: Matrix, spec: StreamSpec
) -> tuple[ClassMetrics | None, ClassMetrics | None, Calibration | None, float | None]:
    if spec.label.threshold is None or not spec.family.classes:
        return None, None, None, None
    labels = pl.DataFrame(
        {
            "session": matrix.session,
            "ticker": pl.Series(matrix.tickers).gather(matrix.ticker),
            "label": matrix.label,
        }
    ).filter(pl.col("label").is_not_nan())
    joined = stream.scores.join(labels, on=["session", "ticker"], how="inner", maintain_order="left")
    if joined.is_empty():
        return None, None, None, None
    truth = joined["label"].to_numpy().astype(np.intp)
    columns = [f"p{code}" for code in range(len(spec.family.classes))]
    probabilities = joined.select(columns).cast(pl.Float64).to_numpy()
    priors = {block.number: block.prior for block in stream.blocks}
    baseline = np.array([priors[number] for number in joined["block"].to_list()])
    right = joined.select(block="block", right=pl.Series(probabilities.argmax(axis=1) == truth).cast(pl.Float64))
    windows = right.group_by(pl.col("block") // 3, maintain_order=True).agg(pl.col("right").mean())["right"].to_numpy()
    return (
        classifier_metrics(truth, probabilities, spec.family.classes),
        classifier_metrics(truth, baseline, spec.family.classes),
        calibration(truth, probabilities),
        float(windows.std(ddof=1)) if len(windows) > 2 else None,
    )


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
