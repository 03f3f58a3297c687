"""The gate's decision as a document that a statistician can check: what was seen, what was needed, what would pass."""

from __future__ import annotations

import math
from typing import Any

from marketloop.core.catalog import Check
from marketloop.evaluation.facts import Evidence, Slot, Year
from marketloop.evaluation.intervals import ewc_interval, mean_for_z

__all__ = ["record_of", "shown"]

Z_BY = {True: "sum(x) / sqrt(sum(x^2))", False: "normal quantile of 1 - p, p of the EWC t statistic"}


def record_of(slot: Slot, evidence: Evidence, skill: Check) -> dict[str, Any]:
    """Return the numbers of GATE.md, section 4, as JSON values; what is not known is null.

    Parameters
    ----------
    slot : Slot
        The ledger after tonight's look.
    skill : Check
        What the look found.
    """
    interval, n = ewc_interval(evidence.x.value, horizon=evidence.overlap), len(evidence.x)
    year, name = slot.year, f"mean_{evidence.statistic}"
    return {
        "session": evidence.session,
        "statistic": evidence.statistic,
        "overlap": evidence.overlap,
        "z_by": Z_BY[evidence.overlap == 1],
        "n": n,
        "z": skill.value,
        name: interval.mean if n else None,
        f"{name}_interval": [interval.low, interval.high] if interval.known else None,
        "sessions_dropped": evidence.x.dropped,
        "year": None
        if year is None
        else {"start": year.start, "n0": year.n0, "alpha": year.alpha, "k": year.k, "z_star": year.z_star},
        "reign": slot.reign,
        "skill_proven": slot.proven,
        "skill_text": skill.detail,
        "to_pass": "passed" if skill.passed or slot.proven else _to_pass(evidence, year),
        "continuity": evidence.continuity,
    }


def shown(value: float | None) -> str:
    """Return a statistic with two digits, or that it is not known."""
    return "not known" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _to_pass(evidence: Evidence, year: Year | None) -> str:
    if year is None:
        return "no failed hard check; then the first look opens the year"
    n = max(len(evidence.x), year.n0)
    needed = mean_for_z(evidence.x.value, year.z_star, n=n, overlap=evidence.overlap)
    if not math.isfinite(needed):
        return f"at least {year.n0} sessions of out-of-sample scores that differ from each other"
    what = "a mean ic1" if evidence.statistic == "ic1" else "a mean gain"
    return f"{what} of {needed:.4f} over {n} sessions"
