"""The data: calendar, source, bars and how new they are, quarantine, and market series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import polars as pl

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.core.errors import UsageError
from marketloop.data.builtin import BUILTIN_SOURCES, build_source
from marketloop.data.calendar import load_sessions
from marketloop.data.collection import Collection
from marketloop.data.store import DeltaBarStore

__all__ = ["EXAMINATIONS"]

_COLLECT: Final = "marketloop collect"
_ENDLESS: Final = ("sample", "synthetic")
"""Sources that never have anything newer: old bars of theirs are no finding."""
_LAG: Final = 5
"""Sessions behind which a source counts as ended, as the scheduler has it."""
_LEFT: Final = dt.timedelta(days=14)
_MOST_LEFT, _MOST_QUARANTINED = 0.2, 0.01
_LEAST_SESSIONS: Final = 750
"""Look-back, a first block and 250 sessions of evidence: with fewer there is hardly anything to examine."""


def calendar(patient: Patient) -> Iterable[Finding]:
    """Say whether the calendar is known."""
    name, today = patient.settings.project.calendar, patient.now.date()
    sessions = load_sessions(name, today - dt.timedelta(days=30), today)
    return [ok("calendar", f"{name}, last session {sessions.dates[-1]}")]


def source(patient: Patient) -> Iterable[Finding]:
    """Say whether what was collected from, or will be, is there."""
    wanted = patient.settings.data
    kept = Collection.load(patient.project.data)
    name = wanted.source if kept is None else kept.source
    path = wanted.path if kept is None else None if kept.path is None else Path(kept.path)
    if name not in BUILTIN_SOURCES and patient.settings.plugins:
        detail = f"{name} is not built in; one of the plugins must add it"
        return [ok("source", detail, remedy="marketloop collect says so if none does")]
    if name == "folder" and path is not None:
        return [_folder(path if path.is_absolute() else patient.project.root / path)]
    if name in _ENDLESS and DeltaBarStore(patient.project.data).version is not None:
        return [ok("source", f"{name}, collected from before")]  # to simulate a market only to count it takes seconds
    built = build_source(name, path=path, options=wanted.options if kept is None else kept.options)
    return [ok("source", f"{name}, {len(built.tickers())} tickers")]


def _folder(path: Path) -> Finding:
    """Say whether a path holds something; its files are not read, for that takes as long as collecting."""
    if not path.exists():
        raise UsageError(f'the path "{path}" of the source folder does not exist: name it with collect --path')
    return ok("source", f"folder, {path}")


def bars(patient: Patient) -> Iterable[Finding]:
    """Say how many bars there are, how new they are, and how many were set aside."""
    store = DeltaBarStore(patient.project.data)
    if store.version is None:
        yield warning("data", "no bars yet", _COLLECT)
        return
    coverage = store.coverage()
    first, last = coverage["first"].min(), coverage["last"].max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        yield warning("data", "the table of bars is empty", _COLLECT)
        return
    yield ok("data", f"{coverage.height} tickers, {first} to {last}, version {store.version}")
    yield _length(coverage)
    yield _tail(patient, coverage, last)
    yield _quarantine(store, int(coverage["rows"].sum()))
    yield _strays(store)


def _length(coverage: pl.DataFrame) -> Finding:
    longest = coverage["rows"].max()
    sessions = longest if isinstance(longest, int) else 0
    if sessions >= _LEAST_SESSIONS:
        return ok("history", f"{sessions} sessions")
    remedy = "marketloop collect --timeframe 10y, or another source with a longer history"
    return warning(
        "history", f"{sessions} sessions: too few to show skill", remedy, expected=f"{_LEAST_SESSIONS} or more"
    )


def _tail(patient: Patient, coverage: pl.DataFrame, last: dt.date) -> Finding:
    kept = Collection.load(patient.project.data)
    name = patient.settings.data.source if kept is None else kept.source
    end = patient.settings.data.end
    if name in _ENDLESS or (end is not None and end <= last):
        return ok("tail", f"ends on {last}: nothing newer is to come")
    sessions = load_sessions(patient.settings.project.calendar, last, max(patient.now.date(), last))
    behind = len(sessions.dates) - 1 - int(bool(len(sessions.dates)) and sessions.dates[-1] == patient.now.date())
    if behind > _LAG:
        value = f"the newest bars are of {last}, {behind} sessions ago: no new label becomes known"
        return warning(
            "tail", value, f"bring newer bars to the source, then run {_COLLECT}", expected=f"at most {_LAG}"
        )
    gone = coverage.filter(pl.col("last") < last - _LEFT).height
    if gone > _MOST_LEFT * coverage.height:
        value = f"{gone} of {coverage.height} tickers end 14 days or more before {last}"
        return warning("tail", value, "marketloop quality", expected=f"at most {_MOST_LEFT:.0%}")
    return ok("tail", f"{max(behind, 0)} sessions behind, {gone} tickers have ended")


def _quarantine(store: DeltaBarStore, accepted: int) -> Finding:
    aside = store.quarantine()
    share = len(aside) / max(accepted + len(aside), 1)
    value = f"{len(aside):,} rows in quarantine, {share:.1%}"
    if share <= _MOST_QUARANTINED:
        return ok("quarantine", value)
    most = aside.group_by("rule").len().sort("len", descending=True)["rule"][0]
    remedy = "marketloop quality --quarantine"
    return warning(
        "quarantine", f"{value}, most by the rule {most}", remedy, expected=f"at most {_MOST_QUARANTINED:.0%}"
    )


def _strays(store: DeltaBarStore) -> Finding:
    strays = store.strays()
    if not strays:
        return ok("orphans data", "none")
    value = f"{len(strays)} files that no version names, e.g. {strays[0].name}: left by a process that was killed"
    return warning("orphans data", value, f"{_COLLECT} (the next write deletes them)")


def context(patient: Patient) -> Iterable[Finding]:
    """Say which market series are missing, and what that costs."""
    asked = patient.settings.context.model_dump()
    lost = [
        f'[context] {name} = "{value}"'
        for name, value in asked.items()
        if value is not None and _is_file(value) and not (patient.project.root / value.partition("#")[0]).exists()
    ]
    if lost:
        remedy = "correct [context] in marketloop.toml, or take the line out"
        yield failed("context", f"{', '.join(lost)}: no such file", remedy)
        return
    store = DeltaBarStore(patient.project.data)
    if store.version is None:
        return
    there = set(store.series()) | {name for name, value in asked.items() if value is not None}
    missing = [name for name in ("spx", "vix", "us10y", "usd") if name not in there]
    enabled = patient.settings.family_section("regime_classifier").enabled
    if "spx" in missing and enabled is not False:
        value = f"no series for {', '.join(missing)}: regime_classifier is skipped, features that read them are null"
        remedy = 'name files under [context], e.g. spx = "spx.csv", or set [family.regime_classifier] enabled = false'
        yield warning("context", value, remedy, expected="an S&P 500 series")
    elif missing:
        yield ok("context", f"without {', '.join(missing)}: features that read them are null", remedy="")
    else:
        yield ok("context", "spx, vix, us10y, usd")


def _is_file(value: str) -> bool:
    return value.partition("#")[0].lower().endswith((".csv", ".parquet"))


EXAMINATIONS: Final = (("calendar", calendar), ("source", source), ("data", bars), ("context", context))
