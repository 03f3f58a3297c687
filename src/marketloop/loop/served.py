"""How the served predictions of one version turned out: one figure per matured session, beside its examination."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, spearman_rows
from marketloop.loop.house import House
from marketloop.loop.maturing import default_label, label_of
from marketloop.monitoring import Finding, Judged, Performance, calibration_now, judge, regime_lag
from marketloop.monitoring.performance import MOST_LAG
from marketloop.state import outcomes, scoreboards, versions
from marketloop.state.champions import Champion
from marketloop.state.outcomes import Outcome
from marketloop.state.scoreboards import Word

__all__ = ["Served", "served_since"]

LATEST: Final = 63
"""Matured sessions that are looked at, the newest."""

_BEFORE: Final = dt.timedelta(days=10)
"""A version speaks of the newest session before it is promoted."""

Rows = list[tuple[Word, Outcome]]


@dataclass(frozen=True, slots=True)
class Served:
    """What a champion's own predictions say of it.

    Parameters
    ----------
    performance : Performance
    calibration : float or None
        1 less expected calibration error of the matured predictions; None without classes, or with too few sessions.
    calibration_reference : float or None
    findings : tuple of Finding
        On accuracy, calibration, and the lag of regimes.
    lag : int or None
        Sessions by which a classifier of regimes comes late.
    """

    performance: Performance
    calibration: float | None
    calibration_reference: float | None
    findings: tuple[Finding, ...]
    lag: int | None = None


def served_since(house: House, champion: Champion) -> Served:
    """Judge what `champion` has said since it began to, by the outcomes that are known."""
    family = house.catalog.family(champion.slot.family)
    label = default_label(house, champion.slot)
    with house.state.read() as db:
        row = versions.get(db, champion.slot, champion.version)
    figures: Mapping[str, float] = {} if row is None else row.metrics
    sessions = _matured(house, champion, label)[-LATEST:]
    horizon = label_of(house.catalog, label).horizon
    performance = judge(_judged(family, sessions, horizon), figures.get(_figure(family)))
    findings = [performance.finding]
    score, reference, lag = None, None, None
    if family.classes:
        reference = figures.get("calibration_score")
        score, finding = _calibration(sessions, reference, horizon)
        findings.append(finding)
        if family.unit == "session":
            lag = _lag(family, sessions)
            findings += [] if lag is None else [_late(lag)]
    return Served(performance, score, reference, tuple(findings), lag)


def _figure(family: Family) -> str:
    if family.classes:
        return "accuracy"
    return "rank_ic" if family.objective == "rank_ic" else "rmse"


def _matured(house: House, champion: Champion, label: str) -> list[Rows]:
    """Return the rows of each session that the version itself spoke of, in order of time, their outcomes beside."""
    first = champion.recorded_at.date() - _BEFORE
    with house.state.scores.read() as db:
        days = [s.as_of for s in scoreboards.said(db, champion.slot, since=first) if s.version == champion.version]
        known = outcomes.latest(db, label, since=days[0]) if days else {}
        heard = sorted({day for day, _ in known} & set(days))[-LATEST:]
        found = [(day, scoreboards.words(db, champion.slot, champion.version, day)) for day in heard]
    return [
        rows for day, said in found if (rows := [(w, known[day, w.ticker]) for w in said if (day, w.ticker) in known])
    ]


def _judged(family: Family, sessions: Sequence[Rows], horizon: int) -> Judged:
    figure = _figure(family)
    if figure == "rank_ic":
        values = [ic for rows in sessions for ic in _rank_ic(rows)]
    elif figure == "accuracy":
        values = [float(np.mean([w.class_name == o.class_name for w, o in rows])) for rows in sessions]
    else:
        values = [float(np.mean([(w.score - o.value) ** 2 for w, o in rows])) for rows in sessions]
    return Judged(figure, np.array(values, dtype=np.float64), horizon)


def _rank_ic(rows: Rows) -> list[float]:
    if len(rows) < SMALL_UNIVERSE:
        return []
    score, happened = (
        np.array([values], dtype=np.float64) for values in zip(*((w.score, o.value) for w, o in rows), strict=True)
    )
    return [float(value) for value in spearman_rows(score, happened, 0).value]


def _calibration(sessions: Sequence[Rows], reference: float | None, overlap: int) -> tuple[float | None, Finding]:
    rows = [(at, w, o) for at, said in enumerate(sessions) for w, o in said if w.probability is not None]
    hit: NDArray[np.bool_] = np.array([w.class_name == o.class_name for _, w, o in rows], dtype=bool)
    probability = np.array([w.probability for _, w, _ in rows], dtype=np.float64)
    number = np.array([at for at, _, _ in rows], dtype=np.intp)
    return calibration_now(hit, probability, number, reference=reference, overlap=overlap)


def _lag(family: Family, sessions: Sequence[Rows]) -> int | None:
    codes = {name: code for code, name in enumerate(family.classes)}
    pairs = [rows[0] for rows in sessions if rows[0][0].class_name in codes and rows[0][1].class_name in codes]
    said = np.array([codes[str(w.class_name)] for w, _ in pairs], dtype=np.intp)
    return regime_lag(said, np.array([codes[str(o.class_name)] for _, o in pairs], dtype=np.intp))


def _late(lag: int) -> Finding:
    late = lag > MOST_LAG
    said = f"regimes are called {lag} sessions late" + (f", more than {MOST_LAG}" if late else "")
    return Finding("regime", "plan" if late else "monitor", said)
