"""Policy replay for a project: the same history lived through again under several retraining policies (C8)."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Sessions
from marketloop.dataset import with_ranks
from marketloop.evaluation.backtest import Plan
from marketloop.evaluation.guard import GuardPolicy
from marketloop.evaluation.hindsight import Past
from marketloop.evaluation.intervals import Interval
from marketloop.evaluation.performance import Bounds
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.replay import Policy, replay
from marketloop.evaluation.replayed import Replayed
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec, advance, fit_at
from marketloop.loop.examining import side_by_side
from marketloop.loop.house import House, enabled_families
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.loop.replay_drift import DriftRule, Key
from marketloop.loop.replay_rules import NAMES, Rule, check_name, rule_named
from marketloop.loop.schedules import project_zone
from marketloop.loop.training import check_enough
from marketloop.loop.tuned import with_tuned
from marketloop.monitoring.features import Reference
from marketloop.reports.replay import Line, ReplaySheet, replay_sheet
from marketloop.runtime.files import ensure_folder, write_atomic
from marketloop.runtime.parallel import threaded_map

__all__ = ["ReplayRequest", "ReplayResult", "replay_family", "write_replay_sheet"]

YEAR: Final = 250
"""Sessions that are replayed when nothing else is said."""
LEAST_NIGHTS: Final = 2
Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is to be replayed.

    Parameters
    ----------
    policies : names, as `replay_rules.rule_named` reads them
    gated : bool, optional
        With the gate only, or without it only; None replays both.
    start : date, optional
        First night; the newest `sessions` when left out.
    sessions : int, optional
    plan : Plan
        How signals are traded.
    """

    policies: tuple[str, ...] = NAMES
    gated: bool | None = None
    start: dt.date | None = None
    sessions: int | None = None
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        if not self.policies:
            raise UsageError(f"no retraining policy was named: expected some of {', '.join(NAMES)}")
        for name in self.policies:
            check_name(name)
        twice = {name for name in self.policies if self.policies.count(name) > 1}
        if twice:
            raise UsageError(f"the policy {min(twice)} was named twice: name each once")
        if self.start is not None and self.sessions is not None:
            raise UsageError("give the first night or the number of sessions, not both: they say the same")
        if self.sessions is not None and self.sessions < LEAST_NIGHTS:
            raise UsageError(f"{self.sessions} session(s): a replay needs at least {LEAST_NIGHTS} nights")


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Replayed policies, in the order in which they were asked for, the gated ones first.

    `fit_seconds` are wall-clock seconds by session of each candidate; every policy that wanted it pays for it.
    """

    family: str
    config_key: str
    prepared: Prepared
    nights: tuple[int, ...]
    replayed: tuple[Replayed, ...]
    fit_seconds: dict[int, float]
    walk_seconds: float
    scans: int
    warnings: tuple[str, ...]

    @property
    def sessions(self) -> Sessions:
        """The calendar."""
        return self.prepared.sessions

    def seconds(self, replayed: Replayed) -> float:
        """Return what the candidates of a policy cost."""
        return sum(self.fit_seconds[session] for session in replayed.course.trained)

    def document(self, report: Path | None = None) -> dict[str, Any]:
        """Return the `replay` document; a figure that cannot be computed is null."""
        first = self.replayed[0]
        return {
            "family": self.family,
            "config_key": self.config_key,
            "data_version": self.prepared.data_version,
            "first": self.sessions.date(self.nights[0]).isoformat(),
            "last": self.sessions.date(self.nights[-1]).isoformat(),
            "sessions": len(self.nights),
            "tickers": len(self.prepared.panel.tickers),
            "beside": _name(first),
            "walk_seconds": round(self.walk_seconds, 4),
            "benchmarks": self._benchmarks(),
            "policies": [self._policy(one, first) for one in self.replayed],
            "warnings": list(self.warnings),
            "report": None if report is None else str(report),
        }

    def _benchmarks(self) -> dict[str, Any]:
        """Return what needed no model on the same nights; empty where nothing is traded."""
        account = next((one.account for one in self.replayed if one.account is not None), None)
        return {
            benchmark.name: {
                "sharpe": _number(benchmark.sharpe.value),
                "interval": _bounds(benchmark.sharpe),
                "total_return": _number(benchmark.performance.total_return),
            }
            for benchmark in (account.benchmarks if account is not None else ())
        }

    def _policy(self, one: Replayed, first: Replayed) -> dict[str, Any]:
        course, counts, account = one.course, one.counts, one.account
        ic, brier = one.rank_ic, one.brier_mean
        gain = None if one is first else one.less(first)
        sharpe = Bounds(math.nan, math.nan, math.nan) if account is None else account.sharpe
        return {
            "name": course.policy.name,
            "gated": course.policy.gated,
            "rank_ic": _number(ic.mean),
            "icir": _number(one.icir),
            "brier": _number(brier.mean),
            "brier_no_skill": _number(
                float(np.mean(one.brier_no_skill.value)) if len(one.brier_no_skill) else math.nan
            ),
            "sharpe": _number(sharpe.value),
            "total_return": None if account is None else _number(account.figures()["total_return"]),
            "turnover": None if account is None else _number(account.figures()["turnover"]),
            "with_signals": _number(one.with_signals),
            "trainings": len(course.trained),
            "promotions": counts["promoted"],
            "provisional": counts["provisional"],
            "refusals": counts["refused"],
            "rollbacks": counts["rollback"],
            "harm_alarms": counts["harm"],
            "mean_age": _number(one.age),
            "fit_seconds": round(self.seconds(one), 4),
            "intervals": {"rank_ic": _ends(ic), "brier": _ends(brier), "sharpe": _bounds(sharpe)},
            "better_by": None
            if gain is None
            else {
                "rank_ic": _gain(gain.rank_ic),
                "brier": _gain(gain.brier),
                "annual_return": {"value": _number(gain.annual_return.value), "interval": _bounds(gain.annual_return)},
            },
            "events": [
                {
                    "date": self.sessions.date(event.session).isoformat(),
                    "kind": event.kind,
                    "code": event.code,
                    "version": event.version,
                    "reason": event.reason,
                }
                for event in course.events
                if event.kind != "refused" and event.code != "newest"
            ],
        }


def replay_family(
    house: House, family: str, request: ReplayRequest | None = None, *, tell: Telling | None = None
) -> ReplayResult:
    """Live a stretch of the stored history again under each policy; nothing is recorded and nothing is promoted.

    What is left out of a night: floors and checks of plugins, and the checks of files and smoke predictions, which can
    only refuse; the leak question, which is asked of the features as they are (`features --check`); conditions of time.

    Raises
    ------
    UsageError
        A policy is unknown, or the stream has spoken of none of the nights.
    """
    request = request or ReplayRequest()
    tell = tell or _silent
    spec = choose(house, family)
    prepared = prepare(house, spec)
    check_enough(prepared.matrix, spec)
    spec = with_tuned(house, replace(spec, small=len(prepared.panel.tickers) < SMALL_UNIVERSE), Choices())
    workers = side_by_side(house.threads, prepared.matrix)
    spec = replace(spec, threads=max(1, house.threads // workers))
    begun = time.perf_counter()
    past = _walked(prepared, spec, workers, limit=house.settings.gate_for(family).plausibility_ic, tell=tell)
    walk_seconds = time.perf_counter() - begun
    nights = _nights(past, prepared, request)
    rules = [
        rule_named(name, nights, prepared.sessions, zone=project_zone(house.settings)) for name in request.policies
    ]
    policies, drifts = _policies(house, rules, request, past, prepared)
    fits = _Fits(past, rules, nights, workers)
    guard = house.settings.guard
    courses = replay(
        past,
        policies,
        nights,
        candidate=fits.candidate,
        gate=gate_policy(house.settings, family, families=len(enabled_families(house))),
        guarding=GuardPolicy(guard.window, guard.alpha) if guard.enabled else None,
        on_night=lambda night: tell("living through the nights", night - nights[0] + 1, nights[-1] - nights[0] + 1),
    )
    confidence = house.settings.family_section(family).confidence
    return ReplayResult(
        family=family,
        config_key=spec.config_key,
        prepared=prepared,
        nights=nights,
        replayed=tuple(Replayed(past, c, (nights[0], nights[-1]), request.plan, confidence) for c in courses),
        fit_seconds=fits.seconds,
        walk_seconds=walk_seconds,
        scans=sum(rule.scans for rule in drifts),
        warnings=(*_warnings(house, family, nights, request.sessions), *prepared.warnings),
    )


def write_replay_sheet(house: House, result: ReplayResult, path: Path | None = None) -> Path:
    """Write the page to `path`, by default ``reports/replay_FAMILY.html``; return the path."""
    if path is None:
        house.project.check_writable()
        path = house.project.reports / f"replay_{result.family}.html"
    ensure_folder(path.absolute().parent)
    sheet = ReplaySheet(
        title=f"{result.family} ({result.config_key})",
        lines=[Line(one.course.policy.name, one, result.seconds(one)) for one in result.replayed],
        date=result.sessions.date,
        nights=(result.nights[0], result.nights[-1]),
        tickers=len(result.prepared.panel.tickers),
        warnings=result.warnings,
    )
    write_atomic(path, replay_sheet(sheet).encode())
    return path


def _walked(prepared: Prepared, spec: StreamSpec, workers: int, *, limit: float | None, tell: Telling) -> Past:
    matrix = prepared.matrix
    if any(contender.recipe.needs_ranks for contender in spec.contenders):
        matrix = with_ranks(matrix)
    stream = advance(
        Stream(spec.fingerprint),
        matrix,
        prepared.panel,
        spec,
        pmap=partial(threaded_map, workers=workers),
        on_progress=lambda done, total: tell("walking forward", done, total),
    )
    return Past(matrix, prepared.panel, spec, stream, limit)


def _nights(past: Past, prepared: Prepared, request: ReplayRequest) -> tuple[int, ...]:
    """Return the nights: sessions that the stream has spoken of, from the first one that is wanted."""
    scored = past.first_scored
    if scored is None:
        raise UsageError(
            f"nothing of {past.spec.family.name} can be replayed: a walk-forward starts after 250 labelled sessions "
            "with 10,000 rows, or after 500 sessions; collect a longer history"
        )
    every = np.unique(past.matrix.session)
    every = every[every >= scored]
    low, high = (prepared.sessions.date(int(session)) for session in every[[0, -1]])
    if request.start is not None:
        if not low <= request.start < high:
            raise UsageError(f"no replay from {request.start}: expected a date from {low} to the day before {high}")
        nights = [int(night) for night in every if prepared.sessions.date(int(night)) >= request.start]
    else:
        nights = [int(night) for night in every[-(request.sessions or YEAR) :]]
    if len(nights) < LEAST_NIGHTS:
        raise UsageError(f"{len(nights)} night(s) from {low} to {high}: a replay needs at least {LEAST_NIGHTS}")
    return tuple(nights)


def _policies(
    house: House, rules: Sequence[Rule], request: ReplayRequest, past: Past, prepared: Prepared
) -> tuple[list[Policy], list[DriftRule]]:
    """Return each rule with the gate, without it, or both; a scan remembers, so every course has its own."""
    found, drifts = [], []
    references: dict[Key, Reference] = {}
    section = house.settings.monitoring
    for gated in (True, False) if request.gated is None else (request.gated,):
        for rule in rules:
            due = rule.due()
            if rule.sessions is None:
                drifts.append(DriftRule(past, prepared.sessions, section.window, section.alpha, references))
                due = drifts[-1].due
            found.append(Policy(rule.name, due, gated))
    return found, drifts


class _Fits:
    """Candidates by night: those that a schedule wants are made ahead on threads, others when they are asked for."""

    def __init__(self, past: Past, rules: Sequence[Rule], nights: Sequence[int], workers: int) -> None:
        self.past = past
        self.seconds: dict[int, float] = {}
        planned = {nights[0]}.union(*(rule.sessions for rule in rules if rule.sessions is not None))
        self._planned = planned & set(nights)
        self._ahead: Iterator[tuple[int, Fitted]] = threaded_map(self._fit, sorted(self._planned), workers=workers)

    def candidate(self, session: int) -> Fitted:
        """Return the candidate of `session`; sessions are asked for in order of time."""
        if session not in self._planned:
            return self._fit(session)[1]
        for made, fitted in self._ahead:
            if made == session:
                return fitted
        raise FailedError(f"the candidate of session {session} was asked for twice")

    def _fit(self, session: int) -> tuple[int, Fitted]:
        begun = time.perf_counter()
        fitted = fit_at(self.past.labelled, self.past.spec, self.past.stream.folds, session)
        self.seconds[session] = time.perf_counter() - begun
        return session, fitted


def _warnings(house: House, family: str, nights: Sequence[int], asked: int | None) -> tuple[str, ...]:
    found = []
    if asked is not None and asked > len(nights):
        found.append(
            f"{asked} nights were asked for; the walk-forward has spoken of {len(nights)}, and these are replayed"
        )
    if len(nights) < 60:
        found.append(f"{len(nights)} nights: too few for an interval, which needs 60 sessions with known outcomes")
    if house.settings.gate_for(family).profile != "none" or house.settings.gate_for(family).floors:
        found.append("the floors of the project are not replayed: the gate here is the one without them")
    return tuple(found)


def _name(one: Replayed) -> str:
    policy = one.course.policy
    return policy.name if policy.gated else f"{policy.name}, no gate"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ends(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.known else None


def _bounds(bounds: Bounds) -> list[float] | None:
    return [bounds.low, bounds.high] if math.isfinite(bounds.low) else None


def _gain(interval: Interval) -> dict[str, Any]:
    return {"value": _number(interval.mean), "interval": _ends(interval)}


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
