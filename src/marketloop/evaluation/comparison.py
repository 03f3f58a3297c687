"""Two sets of scores on the same sessions and tickers: what each shows, and how sure the difference is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.intervals import Interval, ewc_interval
from marketloop.evaluation.matured import per_session
from marketloop.evaluation.overfitting import long_short_returns
from marketloop.evaluation.performance import YEAR, drawdowns
from marketloop.evaluation.rank_ic import (
    SMALL_UNIVERSE,
    SessionSeries,
    neutral_one_session,
    sequential_ic,
    spearman_rows,
)
from marketloop.evaluation.stream import StreamSpec, grid_of
from marketloop.labels import RETURN, Panel, forward_outcomes

__all__ = ["Difference", "SharedRows", "compare_scores", "main_difference", "shared_rows", "undecided"]

LEAST_PROBABILITY = 1e-15
LOWER_IS_BETTER = frozenset({"log_loss", "rmse"})
MAIN = ("rank_ic", "ic1", "log_loss")
"""The figure that sums a comparison up: the first of these that there is."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both sides on the same rows.

    Parameters
    ----------
    metric : str
        ``accuracy, log_loss, rank_ic, ic1, rmse, sharpe_ratio, max_drawdown``.
    a, b : float
        Means over sessions, or figures of the whole series; NaN where they cannot be computed.
    interval : Interval, optional
        Of ``b - a``; None for a figure of a single event (a drawdown), which has none.
    """

    metric: str
    a: float
    b: float
    interval: Interval | None

    @property
    def difference(self) -> float:
        """B less A."""
        return self.b - self.a

    @property
    def better(self) -> str | None:
        """``a`` or ``b`` where the 95 % interval leaves zero out, else None."""
        if self.interval is None or not self.interval.known or self.interval.low <= 0 <= self.interval.high:
            return None
        return "b" if (self.interval.low > 0) != (self.metric in LOWER_IS_BETTER) else "a"

    @property
    def sentence(self) -> str:
        """Both figures and what sets them apart, in words."""
        text = f"{self.metric} {self.a:.4f} against {self.b:.4f}, difference {self.difference:+.4f}"
        if self.interval is None or not self.interval.known:
            return text
        return f"{text}, 95 % interval {self.interval.low:+.4f} to {self.interval.high:+.4f}"

    def document(self) -> dict[str, Any]:
        """Return the difference as JSON values; what is not known is null."""
        known = self.interval is not None and self.interval.known
        return {
            "metric": self.metric,
            "a": _finite(self.a),
            "b": _finite(self.b),
            "difference": _finite(self.difference),
            "interval": [self.interval.low, self.interval.high] if known and self.interval is not None else None,
            "sessions": None if self.interval is None else self.interval.n,
        }


@dataclass(frozen=True, slots=True)
class SharedRows:
    """The rows that both sides have scored; both frames have the same sessions and tickers, in order."""

    a: pl.DataFrame
    b: pl.DataFrame

    @property
    def sessions(self) -> NDArray[np.int32]:
        """Sessions, ascending."""
        return np.unique(self.a["session"].to_numpy()).astype(np.int32)

    @property
    def tickers(self) -> int:
        """How many tickers occur."""
        return int(self.a["ticker"].n_unique())


def shared_rows(a: pl.DataFrame, b: pl.DataFrame) -> SharedRows:
    """Return the rows of two frames ``session, ticker, score, ...`` whose session and ticker the other has too."""
    keys = ["session", "ticker"]
    common = a.select(keys).join(b.select(keys), on=keys, how="inner").sort(keys)
    return SharedRows(
        *(common.join(side, on=keys, how="left", maintain_order="left", validate="1:1") for side in (a, b))
    )


def main_difference(differences: Sequence[Difference]) -> Difference | None:
    """Return the difference that sums a comparison up."""
    found = {difference.metric: difference for difference in differences}
    return next((found[name] for name in MAIN if name in found), None)


def undecided(main: Difference | None, differences: Sequence[Difference] = ()) -> str:
    """Say why a comparison tells nothing, and which of the other `differences` leave zero out all the same."""
    if main is None:
        return "there is no figure by which the two can be told apart"
    if main.interval is None or not main.interval.known:
        return f"too few sessions to tell the two apart ({main.sentence})"
    apart = [found.metric for found in differences if found.metric != main.metric and found.better is not None]
    if apart:
        return (
            f"{main.metric}, which sums it up, does not tell which is better ({main.sentence}); {' and '.join(apart)} "
            f"would, but one figure of {len(differences)} may well do so by luck"
        )
    return f"nothing shows that either is better ({main.sentence})"


def compare_scores(
    rows: SharedRows, matrix: Matrix, panel: Panel, spec: StreamSpec, *, same_label: bool = True
) -> tuple[Difference, ...]:
    """Compare two sides that spoke of the same rows before the outcomes were known.

    Means that reach over the label's horizon get the overlap-corrected interval (`ewc_interval`), on differences
    taken session by session.

    Parameters
    ----------
    rows : SharedRows
    matrix : Matrix
        Holds the labels that are known by now.
    spec : StreamSpec
        Its family and label; its contenders are not looked at.
    same_label : bool
        False when the two predict different outcomes: then only what both can be held to is compared, the order of the
        one-session returns and what following it would have earned.
    """
    found: list[Difference] = []
    if same_label:
        found += _labelled(rows, matrix, spec)
    if spec.family.unit == "ticker" and len(panel.tickers) >= SMALL_UNIVERSE:
        found += _order(rows, panel, spec.label.horizon, same_label=same_label)
    return (*found, *_money(rows, panel, spec))


def _labelled(rows: SharedRows, matrix: Matrix, spec: StreamSpec) -> list[Difference]:
    """Compare what was said of the label itself: classes, or a return."""
    known = np.isfinite(matrix.label)
    labels = pl.DataFrame(
        {
            "session": matrix.session[known],
            "ticker": pl.Series(matrix.tickers).gather(matrix.ticker[known]),
            "label": matrix.label[known].astype(np.float64),
        }
    )
    a, b = (side.join(labels, on=["session", "ticker"], maintain_order="left") for side in (rows.a, rows.b))
    if a.is_empty():
        return []
    session, truth = a["session"].to_numpy(), a["label"].to_numpy()
    horizon = spec.label.horizon
    if spec.family.classes:
        return [
            _mean_difference(name, session, figure(a, truth), figure(b, truth), horizon)
            for name, figure in (("accuracy", _right), ("log_loss", _surprise))
        ]
    if spec.label.label is not RETURN:
        return []
    one, other = (np.square(side["score"].to_numpy() - truth) for side in (a, b))
    return [_rmse(session, one, other, horizon)]


def _shares(side: pl.DataFrame) -> Array:
    values: Array = np.array(side["probabilities"].to_list(), dtype=np.float64)
    return values


def _right(side: pl.DataFrame, truth: Array) -> Array:
    right: Array = (_shares(side).argmax(axis=1) == truth).astype(np.float64)
    return right


def _surprise(side: pl.DataFrame, truth: Array) -> Array:
    chosen = _shares(side)[np.arange(len(truth)), truth.astype(np.intp)]
    loss: Array = -np.log(np.maximum(chosen, LEAST_PROBABILITY))
    return loss


def _mean_difference(metric: str, session: NDArray[np.int32], a: Array, b: Array, horizon: int) -> Difference:
    (_, one), (_, other) = per_session(session, a), per_session(session, b)
    return Difference(metric, float(one.mean()), float(other.mean()), ewc_interval(other - one, horizon=horizon))


def _rmse(session: NDArray[np.int32], a: Array, b: Array, horizon: int) -> Difference:
    """Turn the difference of mean squares into one of roots: ``sqrt(q) - sqrt(p) = (q - p) / (sqrt(q) + sqrt(p))``."""
    square = _mean_difference("rmse", session, a, b, horizon)
    one, other = math.sqrt(square.a), math.sqrt(square.b)
    return Difference("rmse", one, other, _scaled(square.interval, 1 / (one + other)) if one + other > 0 else None)


def _order(rows: SharedRows, panel: Panel, horizon: int, *, same_label: bool) -> list[Difference]:
    neutral = neutral_one_session(panel)
    a, b = grid_of(rows.a, panel), grid_of(rows.b, panel)
    found = []
    if same_label:
        outcome = forward_outcomes(panel, horizon).neutral
        one, other = spearman_rows(a, outcome, panel.first), spearman_rows(b, outcome, panel.first)
        found.append(_series_difference("rank_ic", one, other, horizon))
    one, other = sequential_ic(a, panel, neutral, horizon), sequential_ic(b, panel, neutral, horizon)
    return [*found, _series_difference("ic1", one, other, 1)]


def _series_difference(metric: str, a: SessionSeries, b: SessionSeries, horizon: int) -> Difference:
    _, mine, theirs = np.intersect1d(a.session, b.session, return_indices=True)
    one, other = a.value[mine], b.value[theirs]
    if len(one) == 0:
        return Difference(metric, math.nan, math.nan, ewc_interval(one))
    return Difference(metric, float(one.mean()), float(other.mean()), ewc_interval(other - one, horizon=horizon))


def _money(rows: SharedRows, panel: Panel, spec: StreamSpec) -> list[Difference]:
    """Compare the books that follow the scores: long the high ones and short the low ones, before costs."""
    returns = panel.returns if len(panel.tickers) == 1 else neutral_one_session(panel)
    books = [
        long_short_returns(grid_of(side, panel), returns, spec.label.horizon, first=panel.first)
        for side in (rows.a, rows.b)
    ]
    _, mine, theirs = np.intersect1d(books[0].session, books[1].session, return_indices=True)
    one, other = books[0].value[mine], books[1].value[theirs]
    return [_sharpe(one, other), Difference("max_drawdown", _worst(one), _worst(other), None)]


def _sharpe(a: Array, b: Array) -> Difference:
    """Compare two Sharpe ratios by their influence functions (Lo 2002; Ledoit and Wolf 2008), per year."""
    (one, of_one), (other, of_other) = _influence(a), _influence(b)
    scale = math.sqrt(YEAR)
    interval = _scaled(ewc_interval(of_other - of_one), scale)
    return Difference("sharpe_ratio", one * scale, other * scale, interval)


def _influence(returns: Array) -> tuple[float, Array]:
    """Return the ratio per session and what each session adds to it; the mean of the latter is the former."""
    if len(returns) < 2 or float(np.ptp(returns)) == 0:
        return math.nan, np.full(len(returns), math.nan)
    deviation = float(returns.std(ddof=1))
    ratio = float(returns.mean()) / deviation
    z = (returns - returns.mean()) / deviation
    influence = z - ratio / 2 * (z**2 - 1)
    return ratio, ratio + influence - influence.mean()


def _worst(returns: Array) -> float:
    return float(drawdowns(returns).min()) if len(returns) else math.nan


def _scaled(interval: Interval | None, scale: float) -> Interval | None:
    if interval is None:
        return None
    bounds = {name: getattr(interval, name) * scale for name in ("mean", "low", "high", "lower")}
    return replace(interval, **bounds)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
