"""The gate: whether a candidate may be served, and as what.

Reading order: hard checks, then skill of the recipe's stream, then the champion it would replace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from marketloop.core.catalog import Check
from marketloop.evaluation.facts import (
    YEAR_SESSIONS,
    ChampionFacts,
    Evidence,
    GatePolicy,
    Slot,
    Verdict,
    VerdictName,
    Year,
)
from marketloop.evaluation.intervals import z_of
from marketloop.evaluation.pairs import Pair, pair_of
from marketloop.evaluation.records import record_of, shown

__all__ = ["YEAR_SESSIONS", "ChampionFacts", "Evidence", "GatePolicy", "Slot", "Verdict", "Year", "examine"]

LEAST_CONTINUITY = 0.3
HARD_CODES = {"plausibility": "implausible", "leak": "leak"}
"""Reason code of a hard check that fails, by the first part of its name; any other is ``hard_check``."""


@dataclass(frozen=True, slots=True)
class _Word:
    verdict: VerdictName
    code: str
    reason: str


def examine(slot: Slot, champion: ChampionFacts | None, evidence: Evidence, policy: GatePolicy) -> Verdict:
    """Decide about a candidate.

    Extending the data changes no earlier decision: the only inputs are what was known at the close of
    ``evidence.session``, and the year's bar was fixed when the year was opened.
    """
    failed = next((check for check in evidence.hard if check.hard and not check.passed), None)
    if failed is not None:
        # No look at all: what a leak has shown must neither open a year nor count as skill.
        skill = _unseen(slot, evidence)
        word = _Word("refused", _hard_code(failed), f"hard check {failed.name} failed: {failed.detail}")
        return _verdict(word, slot, evidence, skill)
    slot, skill = _look(slot, evidence, policy)
    if evidence.continuity is not None and evidence.continuity < LEAST_CONTINUITY:
        return _verdict(_discontinuous(evidence.continuity), slot, evidence, skill)
    if champion is None:
        return _verdict(_first(slot, skill), slot, evidence, skill)
    if champion.provisional:
        return _verdict(_against_provisional(slot, champion, evidence, policy, skill), slot, evidence, skill)
    pair = pair_of(evidence.d, policy, reign=slot.reign, overlap=evidence.overlap)
    word = _against_proven(slot, champion, evidence, policy, pair=pair, skill=skill)
    return _verdict(word, slot, evidence, skill, pair)


def _verdict(word: _Word, slot: Slot, evidence: Evidence, skill: Check, pair: Pair | None = None) -> Verdict:
    record: dict[str, Any] = record_of(slot, evidence, skill)
    if pair is not None:
        record["pair"] = pair.document()
    checks = (*evidence.hard, skill, *_continuity(evidence))
    return Verdict(word.verdict, word.code, word.reason, checks, slot, record)


def _look(slot: Slot, evidence: Evidence, policy: GatePolicy) -> tuple[Slot, Check]:
    n, z = len(evidence.x), z_of(evidence.x.value, evidence.overlap)
    year = slot.year
    if year is None:  # a stream's first look: it belongs to the slot's year, and pays as a further stream of it
        year = Year.opened(evidence.session, n, policy, slot.further, overlap=evidence.overlap)
        slot = replace(slot, year=year)
    elif not year.covers(evidence.session):  # the slot's only open stream begins a new year of the slot
        year = Year.opened(evidence.session, n, policy, 0, overlap=evidence.overlap)
        slot = replace(slot, year=year, further=0, reign=0)
    passed = n >= year.n0 and math.isfinite(z) and z >= year.z_star
    detail = f"z {shown(z)} over {n} sessions; needs {year.z_star:.2f} over at least {year.n0}"
    if slot.proven and not passed:
        detail += "; proven earlier"
    return replace(slot, proven=slot.proven or passed), Check("skill", _none(z), year.z_star, passed, detail=detail)


def _unseen(slot: Slot, evidence: Evidence) -> Check:
    bar = None if slot.year is None else slot.year.z_star
    z = z_of(evidence.x.value, evidence.overlap)
    return Check("skill", _none(z), bar, passed=False, detail="not looked at tonight: a hard check failed")


def _continuity(evidence: Evidence) -> tuple[Check, ...]:
    value = evidence.continuity
    if value is None:
        return ()
    return (Check("continuity", value, LEAST_CONTINUITY, value >= LEAST_CONTINUITY),)


def _hard_code(check: Check) -> str:
    return HARD_CODES.get(check.name.split("_")[0], "hard_check")


def _discontinuous(continuity: float) -> _Word:
    text = f"the candidate orders the tickers unlike its own recipe's stream (continuity {continuity:.2f})"
    return _Word("refused", "discontinuity", f"{text}; expected at least {LEAST_CONTINUITY}")


def _first(slot: Slot, skill: Check) -> _Word:
    if slot.proven:
        return _Word("promoted", "first", f"skill shown ({skill.detail}) and no champion before")
    text = f"no skill shown yet ({skill.detail}); published as provisional because nothing is served yet"
    return _Word("provisional", "first", text)


def _against_provisional(
    slot: Slot, champion: ChampionFacts, evidence: Evidence, policy: GatePolicy, skill: Check
) -> _Word:
    age = champion.age(evidence.session)
    if slot.proven and champion.returned is not None and age < policy.min_pair_sessions:
        text = f"version {champion.version} came back by a rollback {age} sessions ago"
        return _Word("refused", "not_better", f"{text}; it is replaced from {policy.min_pair_sessions}")
    if slot.proven:
        text = f"skill shown ({skill.detail}); replaces provisional version {champion.version}"
        return _Word("promoted", "superior", text)
    text = f"no skill shown yet ({skill.detail}); provisional version {champion.version} is {age} sessions old"
    if age >= policy.refresh_age:
        return _Word("provisional", "refresh", text)
    return _Word("refused", "no_skill", f"{text}, replaced from {policy.refresh_age}")


def _against_proven(
    slot: Slot, champion: ChampionFacts, evidence: Evidence, policy: GatePolicy, *, pair: Pair, skill: Check
) -> _Word:
    age = champion.age(evidence.session)
    served = f"version {champion.version}"
    figures = _compared(pair, policy)
    if slot.proven and pair.better:
        return _Word("promoted", "superior", f"better than {served} on {pair.n} sessions neither had seen ({figures})")
    # Too short a series for a z, or two models that say the same, is no sign of being worse.
    not_worse = math.isnan(pair.z) or pair.z > policy.z_refresh
    if slot.proven and age >= policy.refresh_age and not_worse and pair.n >= policy.min_pair_sessions:
        text = f"{served} is {age} sessions old and the challenger is not worse (z {shown(pair.z)})"
        return _Word("promoted", "refresh", text)
    text = f"not better than {served} on {pair.n} sessions neither had seen ({figures})"
    if evidence.d is None:
        text = f'{served} cannot be asked any more, so nothing can be compared with it (--force --reason "..." can)'
    if not slot.proven:
        return _Word("refused", "no_skill", f"the slot's skill is not proven ({skill.detail}); {text}")
    return _Word("refused", "not_better", f"{text}; {_no_refresh(age, policy, not_worse=not_worse)}")


def _compared(pair: Pair, policy: GatePolicy) -> str:
    """Return the figures of a comparison, or why there are none yet."""
    least = max(policy.min_pair_sessions, pair.first_look)
    if pair.n < least:
        return f"too few to compare, it takes {least}"
    return f"z {shown(pair.z)}, needs {shown(pair.boundary)}" if math.isfinite(pair.boundary) else "both say the same"


def _no_refresh(age: int, policy: GatePolicy, *, not_worse: bool) -> str:
    """Say why a proven champion is not refreshed either."""
    due = f"a refresh is due from {policy.refresh_age} sessions, it is {age} old"
    if age < policy.refresh_age:
        return due
    if not not_worse:
        return f"{due}, but the challenger is worse: a refresh needs a z above {policy.z_refresh:g}"
    return f"{due}, but it takes {policy.min_pair_sessions} sessions that neither had seen"


def _none(value: float) -> float | None:
    return value if math.isfinite(value) else None
