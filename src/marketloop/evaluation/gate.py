"""The gate: whether a candidate may be served, and as what.

Reading order: hard checks, then skill of the recipe's stream, then the champion it would replace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from marketloop.core.catalog import Check
from marketloop.evaluation.boundary import constant_boundary, robbins_siegmund_constant
from marketloop.evaluation.intervals import LEAST_TERMS, ewc_interval, sequential_z
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["YEAR_SESSIONS", "ChampionFacts", "Evidence", "GatePolicy", "Slot", "Verdict", "Year", "examine"]

VerdictName = Literal["promoted", "provisional", "refused"]
YEAR_SESSIONS = 250
LEAST_CONTINUITY = 0.3
HARD_CODES = {"plausibility": "implausible", "plausibility_direction": "implausible", "leak": "leak"}
"""Reason code of a hard check that fails; any other is ``hard_check``."""


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """The numbers of ``[gate]``.

    Parameters
    ----------
    alpha_skill : float
        Probability per slot and year of calling a worthless recipe skilled.
    alpha_better : float
        Probability of calling an equal challenger better, over a champion's whole reign.
    min_skill_sessions, min_pair_sessions : int
        Fewest terms before the skill test and the comparison with a champion may speak.
    refresh_age : int
        Sessions after which a champion may be replaced by an equal.
    z_refresh : float
        The comparison must not be worse than this for a refresh.
    """

    alpha_skill: float = 0.025
    alpha_better: float = 0.025
    min_skill_sessions: int = 250
    min_pair_sessions: int = 40
    refresh_age: int = 63
    z_refresh: float = -1.28


@dataclass(frozen=True, slots=True)
class Year:
    """One year's entry in the slot's ledger of looks: fixed when it is opened, whatever happens later."""

    start: int
    n0: int
    alpha: float
    k: int
    z_star: float

    @classmethod
    def opened(cls, session: int, n: int, policy: GatePolicy, k: int) -> Year:
        """Open a year at `session` with `n` terms seen; the `k`-th further stream of the year gets less alpha."""
        n0 = max(n, policy.min_skill_sessions)
        alpha = policy.alpha_skill if k == 0 else policy.alpha_skill / 2 ** (k + 1)
        return cls(session, n0, alpha, k, constant_boundary(alpha, (n0 + YEAR_SESSIONS) / n0))

    def covers(self, session: int) -> bool:
        """Say whether `session` still belongs to this year."""
        return session - self.start < YEAR_SESSIONS


@dataclass(frozen=True, slots=True)
class Slot:
    """What the ledger knows of a (family, configuration key) before tonight's look.

    `further` counts the streams opened before this one in the current year, `reign` the superiority promotions.
    """

    year: Year | None = None
    proven: bool = False
    further: int = 0
    reign: int = 0


@dataclass(frozen=True, slots=True)
class ChampionFacts:
    """The champion as the gate sees it; `trained_through` is the last session whose close it knew."""

    version: int
    provisional: bool
    trained_through: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Tonight's figures.

    Parameters
    ----------
    session : int
        The session at whose close the gate decides.
    x : SessionSeries
        ic1 of the slot's stream.
    hard : sequence of Check
        G1, already computed.
    continuity : float, optional
        Median over the last 20 sessions of the Spearman correlation between the candidate's scores and those of the
        stream's current model; None while there is nothing to compare.
    d : SessionSeries, optional
        ic1 of the stream minus ic1 of the frozen champion, on sessions that neither has seen.
    """

    session: int
    x: SessionSeries
    hard: Sequence[Check] = ()
    continuity: float | None = None
    d: SessionSeries | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's word, its reason in one sentence, and the ledger entries that follow from it."""

    verdict: VerdictName
    reason_code: str
    reason: str
    checks: tuple[Check, ...]
    slot: Slot
    record: dict[str, Any] = field(default_factory=dict)


def examine(slot: Slot, champion: ChampionFacts | None, evidence: Evidence, policy: GatePolicy) -> Verdict:
    """Decide about a candidate.

    Extending the data changes no earlier decision: the only inputs are what was known at the close of
    ``evidence.session``, and the year's bar was fixed when the year was opened.
    """
    failed = next((check for check in evidence.hard if check.hard and not check.passed), None)
    if failed is not None:
        # No look at all: what a leak has shown must neither open a year nor count as skill.
        skill = _unseen(slot, evidence)
        reason = f"hard check {failed.name} failed: {failed.detail}"
        checks = (*evidence.hard, skill, *_continuity(evidence))
        return Verdict("refused", _hard_code(failed), reason, checks, slot, _record(slot, evidence, skill))
    slot, skill = _look(slot, evidence, policy)
    checks = (*evidence.hard, skill, *_continuity(evidence))
    record = _record(slot, evidence, skill)
    verdict, code, reason = _decide(slot, champion, evidence, policy, record)
    return Verdict(verdict, code, reason, checks, slot, record)


def _decide(
    slot: Slot, champion: ChampionFacts | None, evidence: Evidence, policy: GatePolicy, record: dict[str, Any]
) -> tuple[VerdictName, str, str]:
    if evidence.continuity is not None and evidence.continuity < LEAST_CONTINUITY:
        text = f"the candidate orders the tickers unlike its own recipe's stream (continuity {evidence.continuity:.2f})"
        return "refused", "discontinuity", f"{text}; expected at least {LEAST_CONTINUITY}"
    if champion is None:
        return _first(slot, record)
    if champion.provisional:
        return _against_provisional(slot, champion, evidence, policy, record)
    return _against_proven(slot, champion, evidence, policy, record)


def _look(slot: Slot, evidence: Evidence, policy: GatePolicy) -> tuple[Slot, Check]:
    n, z = len(evidence.x), sequential_z(evidence.x.value)
    year = slot.year
    if year is None or not year.covers(evidence.session):
        further = slot.further if year is None else 0
        year = Year.opened(evidence.session, n, policy, further)
        slot = replace(slot, year=year, further=further, reign=0)
    passed = n >= year.n0 and math.isfinite(z) and z >= year.z_star
    detail = f"z {_show(z)} over {n} sessions; needs {year.z_star:.2f} over at least {year.n0}"
    if slot.proven and not passed:
        detail += "; proven earlier"
    return replace(slot, proven=slot.proven or passed), Check("skill", _none(z), year.z_star, passed, detail=detail)


def _unseen(slot: Slot, evidence: Evidence) -> Check:
    bar = None if slot.year is None else slot.year.z_star
    detail = "not looked at tonight: a hard check failed"
    return Check("skill", _none(sequential_z(evidence.x.value)), bar, passed=False, detail=detail)


def _continuity(evidence: Evidence) -> tuple[Check, ...]:
    value = evidence.continuity
    if value is None:
        return ()
    return (Check("continuity", value, LEAST_CONTINUITY, value >= LEAST_CONTINUITY),)


def _hard_code(check: Check) -> str:
    return HARD_CODES.get(check.name, "hard_check")


def _first(slot: Slot, record: dict[str, Any]) -> tuple[VerdictName, str, str]:
    if slot.proven:
        return "promoted", "first", f"skill shown ({record['skill_text']}) and no champion before"
    return (
        "provisional",
        "first",
        f"no skill shown yet ({record['skill_text']}); published as provisional because nothing is served yet",
    )


def _against_provisional(
    slot: Slot, champion: ChampionFacts, evidence: Evidence, policy: GatePolicy, record: dict[str, Any]
) -> tuple[VerdictName, str, str]:
    age = evidence.session - champion.trained_through
    if slot.proven:
        text = f"skill shown ({record['skill_text']}); replaces provisional version {champion.version}"
        return "promoted", "superior", text
    text = f"no skill shown yet ({record['skill_text']}); provisional version {champion.version} is {age} sessions old"
    if age >= policy.refresh_age:
        return "provisional", "refresh", text
    return "refused", "no_skill", f"{text}, replaced from {policy.refresh_age}"


def _against_proven(
    slot: Slot, champion: ChampionFacts, evidence: Evidence, policy: GatePolicy, record: dict[str, Any]
) -> tuple[VerdictName, str, str]:
    age = evidence.session - champion.trained_through
    pair = _pair(evidence.d, slot, policy)
    record["pair"] = pair
    z, bar, n = pair["z"], pair["boundary"], pair["n"]
    if slot.proven and n >= policy.min_pair_sessions and z is not None and bar is not None and z >= bar:
        text = f"better than version {champion.version} on {n} sessions neither had seen (z {z:.2f}, needs {bar:.2f})"
        return "promoted", "superior", text
    not_worse = z is None or z > policy.z_refresh
    if slot.proven and age >= policy.refresh_age and not_worse and n >= policy.min_pair_sessions:
        text = f"version {champion.version} is {age} sessions old and the challenger is not worse (z {_show(z)})"
        return "promoted", "refresh", text
    figures = f"z {_show(z)}, needs {_show(bar)}"
    text = f"not better than version {champion.version} on {n} sessions neither had seen ({figures})"
    if not slot.proven:
        return "refused", "no_skill", f"the slot's skill is not proven ({record['skill_text']}); {text}"
    return "refused", "not_better", f"{text}; a refresh is due from {policy.refresh_age} sessions, it is {age} old"


def _pair(d: SessionSeries | None, slot: Slot, policy: GatePolicy) -> dict[str, Any]:
    """Compare in variance time: what two models differ by grows as they part, so sessions are the wrong clock."""
    value = np.zeros(0) if d is None else d.value
    n = len(value)
    spread = np.cumsum(value * value)
    interval = ewc_interval(value)
    alpha = policy.alpha_better / 2 ** (slot.reign + 1)
    document = {
        "n": n,
        "mean": interval.mean if n else None,
        "interval": [interval.low, interval.high] if interval.known else None,
        "alpha": alpha,
        "variance_share_first_40": None,
        "z": None,
        "boundary": None,
    }
    first = min(policy.min_pair_sessions, LEAST_TERMS)
    if n >= policy.min_pair_sessions and spread[-1] > 0:
        a = robbins_siegmund_constant(alpha)
        early = max(float(spread[first - 1]), 1e-12)
        document["z"] = _none(sequential_z(value))
        document["boundary"] = math.sqrt(a * a + math.log(max(float(spread[-1]) / early, 1.0)))
        document["variance_share_first_40"] = float(spread[first - 1] / spread[-1])
    return document


def _record(slot: Slot, evidence: Evidence, skill: Check) -> dict[str, Any]:
    year = slot.year
    interval = ewc_interval(evidence.x.value)
    n = len(evidence.x)
    return {
        "session": evidence.session,
        "n": n,
        "z": skill.value,
        "mean_ic1": interval.mean if n else None,
        "mean_ic1_interval": [interval.low, interval.high] if interval.known else None,
        "sessions_dropped": evidence.x.dropped,
        "year": None
        if year is None
        else {"start": year.start, "n0": year.n0, "alpha": year.alpha, "k": year.k, "z_star": year.z_star},
        "skill_proven": slot.proven,
        "skill_text": skill.detail,
        "to_pass": _to_pass(skill, evidence, year),
        "continuity": evidence.continuity,
    }


def _to_pass(skill: Check, evidence: Evidence, year: Year | None) -> str:
    if skill.passed:
        return "passed"
    if year is None:
        return "no failed hard check; then the first look opens the year"
    n = max(len(evidence.x), year.n0)
    typical = float(np.sqrt(np.mean(evidence.x.value**2))) if len(evidence.x) else math.nan
    if not math.isfinite(typical) or typical == 0:
        return f"at least {year.n0} sessions of out-of-sample scores that differ between tickers"
    return f"a mean ic1 of {year.z_star * typical / math.sqrt(n):.4f} over {n} sessions"


def _show(value: float | None) -> str:
    return "not known" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _none(value: float) -> float | None:
    return value if math.isfinite(value) else None
