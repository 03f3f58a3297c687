"""Carry the gate's word out: journal the predictions, then one transaction; or record the refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketloop.core.catalog import Check
from marketloop.dataset import newest_rows
from marketloop.evaluation.gate import Verdict
from marketloop.evaluation.scorecard import Scorecard
from marketloop.loop.examining import Examined, Made
from marketloop.loop.flight import Flight
from marketloop.loop.floors import floor_checks
from marketloop.loop.house import House
from marketloop.loop.results import FamilyResult, check_document
from marketloop.loop.scoring import about, board, interval_reach, output_of
from marketloop.loop.shares import left_out, no_cross_section
from marketloop.registry import Ruling
from marketloop.runtime.redact import redact_text

__all__ = ["promote", "record_failure", "refuse_leak"]


def promote(house: House, examined: Examined, flight: Flight, *, force: bool, reason: str) -> FamilyResult:
    """Promote, publish as provisional, or refuse, as the gate says; `force` overrides all but the hard checks."""
    made, verdict = examined.made, examined.verdict
    checks = (*verdict.checks, *floor_checks(house, examined), *examined.extra_checks)
    word, code, sentence = _overruled(verdict, checks, examined.extra_checks, force=force, reason=reason)
    record = {
        **verdict.record,
        "checks": [check_document(check) for check in checks],
        "data_version": made.prepared.data_version,
        "stream_id": made.row.id,
        "nominee": made.fitted.contender.key,
        "inner_rank_ic": examined.scorecard.nominees,
        "rank_ic": examined.scorecard.document()["rank_ic"],
        "forced_reason": reason if force else None,
        "trials": dict(examined.trials),
    }
    ruling = Ruling(
        verdict=word,
        reason_code=code,
        reason=sentence,
        record=record,
        skill_proven=verdict.slot.proven,
        session=made.prepared.panel.last,
        cycle_id=flight.id,
    )
    at = house.clock.now()
    if ruling.is_served:
        _journal(house, made, provisional=ruling.status == "provisional")
        expected = examined.champion.entry if examined.champion is not None else 0
        house.registry.promote(made.slot, made.candidate.version, ruling, expected=expected, held=flight.held, at=at)
    else:
        house.registry.refuse(made.slot, made.candidate.version, ruling, at=at)
    return _result(examined, ruling, checks)


def record_failure(house: House, family: str, flight: Flight, error: str) -> FamilyResult:
    """Record that a family's turn failed; its champion stays."""
    error = redact_text(error)  # what a feed says of its failure may hold its address and key
    ruling = Ruling("failed", "error", error, cycle_id=flight.id)
    house.registry.refuse(house.slot(family), None, ruling, at=house.clock.now())
    return FamilyResult(family, "failed", "error", error, error=error)


def refuse_leak(house: House, family: str, flight: Flight, leak: Check, *, what: str = "features") -> FamilyResult:
    """Record that features or recipes see the future: no candidate, no change of the stream, the champion stays."""
    where = " (`marketloop features --check`)" if what == "features" else ""
    reason = f"leaking {what}: {leak.detail}; mend or remove them{where}"
    ruling = Ruling("refused", "leak", reason, record={"checks": [check_document(leak)]}, cycle_id=flight.id)
    house.registry.refuse(house.slot(family), None, ruling, at=house.clock.now())
    return FamilyResult(family, "refused", "leak", reason, checks=(leak,), record=ruling.record)


def _overruled(
    verdict: Verdict, checks: tuple[Check, ...], added: tuple[Check, ...], *, force: bool, reason: str
) -> tuple[str, str, str]:
    """Apply the user's floors and added checks, then ``--force``; a hard check is never overruled."""
    if any(check.hard and not check.passed for check in checks):
        failed = next(check for check in checks if check.hard and not check.passed)
        code = verdict.reason_code if failed in verdict.checks else "hard_check"
        return "refused", code, f"hard check {failed.name} failed: {failed.detail}"
    if force:
        return "promoted", "forced", f"forced: {reason}; the gate said: {verdict.reason}"
    below = [c for c in checks if c.name.startswith("floor:") and not c.passed]
    if below and verdict.verdict != "refused":
        return "refused", "floor", f"below the floor of the project: {below[0].detail}"
    vetoed = [check for check in added if not check.passed]
    if vetoed and verdict.verdict != "refused":
        return "refused", "hard_check", f"check {vetoed[0].name} failed: {vetoed[0].detail}"
    return verdict.verdict, verdict.reason_code, verdict.reason


def _journal(house: House, made: Made, *, provisional: bool) -> None:
    """Write what the version says of every ticker before it is served."""
    rows = newest_rows(made.prepared.matrix)
    predictions = board(
        output_of(made.fitted.learner, made.fitted.contender.recipe, made.fitted.block.features, rows),
        tickers=[made.prepared.panel.tickers[i] for i in rows.ticker],
        as_of=made.prepared.sessions.date(int(rows.session[-1])),
        family=made.spec.family,
        rule=made.rule,
        provisional=provisional,
        confidence=house.settings.family_section(made.spec.family.name).confidence,
        reach=interval_reach(made.manifest, rows, made.prepared.panel),
    )
    predictions = about(predictions, made.spec.label)
    house.registry.write_scoreboard(made.slot, made.candidate.version, predictions, at=house.clock.now())


def _what_counted(made: Made, card: Scorecard) -> tuple[str, ...]:
    """Say of which rows the series that decides was made, where a reader would not guess it."""
    if made.spec.family.unit == "session":
        return ()
    return (*no_cross_section(len(made.prepared.panel.tickers)), *left_out(card.x.dropped, len(card.x)))


def _result(examined: Examined, ruling: Ruling, checks: tuple[Check, ...]) -> FamilyResult:
    made, card = examined.made, examined.scorecard
    metrics: Mapping[str, Any] = card.figures()
    return FamilyResult(
        family=made.spec.family.name,
        verdict=ruling.verdict,
        reason_code=ruling.reason_code,
        reason=ruling.reason,
        version=made.candidate.version,
        rows=made.fitted.block.rows,
        tickers=len(made.prepared.panel.tickers),
        metrics={**metrics, "rank_ic": card.ic.mean, "icir": card.icir, "z": card.z},
        baseline=card.baseline_figures(),
        checks=checks,
        warnings=(*made.prepared.warnings, *_what_counted(made, card)),
        record=ruling.record,
    )
