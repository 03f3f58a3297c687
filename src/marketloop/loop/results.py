"""What came of a cycle, as values and as the JSON document of `retrain`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketloop.core.catalog import Check

__all__ = ["CycleResult", "FamilyResult", "best_outcome"]

ORDER = ("promoted", "provisional", "refused", "skipped", "failed")


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """What came of one family; `verdict` is one of promoted, provisional, refused, skipped, failed.

    `report` is the HTML report of the version, None where there is no version or no report.
    """

    family: str
    verdict: str
    reason_code: str
    reason: str
    version: int | None = None
    rows: int | None = None
    tickers: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None

    def document(self) -> dict[str, Any]:
        """Return the family's part of the `retrain` document."""
        return {
            "family": self.family,
            "version": self.version,
            "verdict": self.verdict,
            "reason_code": self.reason_code,
            "reason": self.reason,
            "rows": self.rows,
            "tickers": self.tickers,
            "metrics": dict(self.metrics),
            "baseline": dict(self.baseline),
            "checks": [check_document(check) for check in self.checks],
            "error": self.error,
            "warnings": list(self.warnings),
            "record": dict(self.record),
            "report": None if self.report is None else str(self.report),
        }


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What came of a cycle; `outcome` is the best of its families, `cycle_id` None for one that never started."""

    cycle_id: str | None
    outcome: str
    duration: dt.timedelta
    families: tuple[FamilyResult, ...]

    @property
    def exit_code(self) -> int:
        """0 promoted, provisional or skipped; 1 refused; 3 failed."""
        return {"refused": 1, "failed": 3}.get(self.outcome, 0)

    def document(self) -> dict[str, Any]:
        """Return the `retrain` document."""
        return {
            "cycle_id": self.cycle_id,
            "outcome": self.outcome,
            "duration_s": round(self.duration.total_seconds(), 3),
            "families": [family.document() for family in self.families],
        }


def best_outcome(results: Sequence[FamilyResult]) -> str:
    """Return the best verdict among `results`; a cycle without families was skipped."""
    return min((result.verdict for result in results), key=ORDER.index, default="skipped")


def check_document(check: Check) -> dict[str, Any]:
    """Return a check as SPEC "P" writes it, with its detail."""
    return {
        "name": check.name,
        "value": check.value,
        "threshold": check.threshold,
        "passed": check.passed,
        "hard": check.hard,
        "detail": check.detail,
    }
