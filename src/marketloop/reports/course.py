"""The course of a version as numbers: what the dashboard draws, from the same evidence as the report's figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.backtest import Backtest
from marketloop.evaluation.performance import drawdowns
from marketloop.evaluation.timeline import rolling_mean, z_path
from marketloop.reports.evidence import VersionEvidence
from marketloop.reports.page import json_values
from marketloop.reports.version_figures import dates_of

__all__ = ["AccountCourse", "course_document"]

MOST_POINTS: Final = 400
"""Points of one line; more cannot be told apart on a screen."""
SHOWN: Final = 15
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AccountCourse:
    """A backtest of what was said out of sample, with the date of each of its rows; `why` says why there is none."""

    dates: tuple[dt.date, ...] = ()
    backtest: Backtest | None = None
    why: str = ""


def course_document(evidence: VersionEvidence, account: AccountCourse) -> dict[str, Any]:
    """Return the document of a version's charts; a chart that cannot be drawn is null.

    Keys: ``family, config_key, version, classes``; ``decision`` (``dates, z, z_star, year_start``); ``cumulative`` and
    ``rolling`` (``what, dates, ...``; the rolling mean with its 95 % interval); ``windows`` (``first, last, accuracy,
    no_skill, rank_ic``); ``importance`` (the 15 largest: ``name, share, contribution, permutation``); ``account``
    (``dates``, the value of 1 in ``account`` and in each benchmark, ``drawdown``, ``figures``), or ``account_why``.
    """
    document: dict[str, Any] = {
        "family": evidence.family,
        "config_key": evidence.config_key,
        "version": evidence.version,
        "classes": list(evidence.classes),
        "decision": _decision(evidence),
        "cumulative": _cumulative(evidence),
        "rolling": _rolling(evidence),
        "windows": _windows(evidence),
        "importance": [dict(row) for row in evidence.importance[:SHOWN]],
        "account": _account(account),
        "account_why": account.why,
    }
    plain: dict[str, Any] = json_values(document)
    return plain


def _decision(evidence: VersionEvidence) -> dict[str, Any] | None:
    if evidence.timeline is None or evidence.sessions is None:
        return None
    path = z_path(evidence.timeline.x, evidence.overlap)
    if len(path) == 0:
        return None
    kept = _kept(len(path))
    year: Mapping[str, Any] = evidence.record.get("year") or {}
    start = dates_of(evidence.sessions, np.array([int(year["start"])]))[0] if year else None
    return {
        "dates": dates_of(evidence.sessions, path.session[kept]),
        "z": path.value[kept],
        "z_star": year.get("z_star"),
        "year_start": start,
    }


def _cumulative(evidence: VersionEvidence) -> dict[str, Any] | None:
    if evidence.timeline is None or evidence.sessions is None or len(evidence.timeline.x) == 0:
        return None
    x = evidence.timeline.x
    kept = _kept(len(x))
    what = "ic1" if evidence.by_order else "gain in log loss, nats"
    return {
        "what": what,
        "dates": dates_of(evidence.sessions, x.session[kept]),
        "value": np.cumsum(x.value)[kept],
    }


def _rolling(evidence: VersionEvidence) -> dict[str, Any] | None:
    if evidence.timeline is None or evidence.sessions is None:
        return None
    ic = evidence.timeline.rank_ic
    series, horizon = (ic, evidence.horizon) if ic is not None else (evidence.timeline.x, evidence.overlap)
    rolling = rolling_mean(series, horizon=horizon, length=max(126, 12 * horizon))
    if len(rolling.session) == 0:
        return None
    kept = _kept(len(rolling.session))
    return {
        "what": "rank IC" if ic is not None else "gain in log loss",
        "sessions": rolling.length,
        "dates": dates_of(evidence.sessions, rolling.session[kept]),
        "mean": rolling.mean[kept],
        "low": rolling.low[kept],
        "high": rolling.high[kept],
    }


def _windows(evidence: VersionEvidence) -> list[dict[str, Any]]:
    if evidence.timeline is None or evidence.sessions is None:
        return []
    found = []
    for window in evidence.timeline.windows:
        first, last = dates_of(evidence.sessions, np.array([window.first, window.last]))
        figures = {"accuracy": window.accuracy, "no_skill": window.no_skill, "rank_ic": window.rank_ic}
        found.append({"first": first, "last": last, "rows": window.rows, **figures})
    return found


def _account(course: AccountCourse) -> dict[str, Any] | None:
    test = course.backtest
    if test is None:
        return None
    kept = _kept(len(course.dates))
    own = np.asarray(test.account.equity, dtype=np.float64) / test.plan.capital
    return {
        "dates": [course.dates[row].isoformat() for row in kept.tolist()],
        "account": own[kept],
        "benchmarks": {benchmark.name: _level(benchmark.returns)[kept] for benchmark in test.benchmarks},
        "drawdown": np.concatenate([[0.0], drawdowns(test.account.returns)])[kept],
        "figures": test.figures(),
        "sharpe_interval": [test.sharpe.low, test.sharpe.high],
    }


def _level(returns: Sequence[float] | Array) -> Array:
    return np.concatenate([[1.0], np.cumprod(1 + np.asarray(returns, dtype=np.float64))])


def _kept(count: int) -> NDArray[np.intp]:
    """Return evenly spaced positions of `count` points, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(np.intp))
