"""A scan for drift: what a champion learned from beside the recent sessions, and how its predictions turned out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from marketloop.core.errors import MarketLoopError, RefusedError, UsageError
from marketloop.core.values import Matrix
from marketloop.evaluation.splits import known_before
from marketloop.loop.house import House
from marketloop.loop.importance import measured_importance
from marketloop.loop.lookup import recorded_spec
from marketloop.loop.preparing import Prepared, prepare
from marketloop.loop.rebuilding import house_then
from marketloop.loop.served import Served, served_since
from marketloop.monitoring import PLAN_DAYS, FeatureScan, Finding, by_features, most_severe, scan_features
from marketloop.state import drift_scans, versions
from marketloop.state.champions import Champion
from marketloop.state.drift_scans import DriftScan

__all__ = ["history_document", "scan_champion", "scanned_families"]

WORST: Final = 3
HISTORY: Final = 30
"""Scans that a heat map shows."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that the champion learned from and rows of now, of the features that it reads."""

    reference: Matrix
    recent: Matrix
    now: Prepared
    notes: tuple[str, ...]


def scanned_families(house: House, family: str | None = None) -> tuple[str, ...]:
    """Return the families whose champion can be scanned, or the one that is named.

    Raises
    ------
    UsageError
        The family is unknown or has no champion.
    """
    if family is not None:
        if house.registry.champion(house.slot(family)) is None:
            raise UsageError(f"{family} has no champion yet: run `marketloop retrain {family}`")
        return (family,)
    return tuple(name for name in house.catalog.families if house.registry.champion(house.slot(name)) is not None)


def scan_champion(house: House, family: str, *, cycle_id: str | None = None) -> DriftScan:
    """Scan the champion of `family`; nothing is recorded.

    Raises
    ------
    MarketLoopError
        Its files are damaged, its features are gone, or there are too few sessions.
    """
    slot = house.slot(family)
    champion = house.registry.champion(slot)
    if champion is None:
        raise UsageError(f"{family} has no champion yet: run `marketloop retrain {family}`")
    manifest = house.registry.load(slot, champion.version).manifest
    rows = _rows(house, champion, manifest)
    importance = _importance(house, champion)
    scan = scan_features(rows.reference, rows.recent, importance=importance, alpha=house.settings.monitoring.alpha)
    served = served_since(house, champion)
    findings = (*served.findings, _on_features(scan))
    action = most_severe(findings)
    as_of = rows.now.sessions.date(scan.recent_sessions[1])
    at = house.clock.now()
    document = {
        "family": family,
        "config_key": slot.config_key,
        "version": champion.version,
        "as_of": as_of.isoformat(),
        "scanned_at": at.isoformat(),
        **_on_served(served),
        "feature_drift": scan.level,
        "features": [feature.document() for feature in scan.features],
        "correlation": None if scan.correlation is None else scan.correlation.document(),
        "reference_sessions": _span(rows.now, scan.reference_sessions),
        "recent_sessions": _span(rows.now, scan.recent_sessions),
        "alpha": house.settings.monitoring.alpha,
        "findings": [finding.document() for finding in findings],
        "action": action,
        "retrain_by": (as_of + dt.timedelta(days=PLAN_DAYS)).isoformat() if action == "plan" else None,
        "notes": list(rows.notes),
    }
    return DriftScan(slot, champion.version, as_of, at, action, document, cycle_id)


def history_document(house: House, family: str, *, limit: int = HISTORY) -> dict[str, Any]:
    """Return the last scans of the champion's slot for a heat map: features x scans, oldest scan first.

    A cell is the adjusted p-value, 0 for a feature that went missing, and None where it could not be told.
    """
    with house.state.read() as db:
        scans = drift_scans.recent(db, house.slot(family), limit=limit)[::-1]
    names = list(dict.fromkeys(str(f["name"]) for scan in scans[::-1] for f in scan.document["features"]))
    cells = [{f["name"]: _cell(f) for f in scan.document["features"]} for scan in scans]
    return {
        "as_of": [scan.as_of.isoformat() for scan in scans],
        "version": [scan.version for scan in scans],
        "action": [scan.action for scan in scans],
        "feature_drift": [scan.document["feature_drift"] for scan in scans],
        "features": names,
        "p_adjusted": [[cell.get(name) for cell in cells] for name in names],
    }


def _cell(feature: Mapping[str, Any]) -> float | None:
    if feature["state"] == "missing":
        return 0.0
    value = feature["p_adjusted"]
    return None if value is None else float(value)


def _rows(house: House, champion: Champion, manifest: Mapping[str, Any]) -> _Rows:
    """Return reference and recent rows: no session is in both, because what is in both tells of no difference."""
    spec = recorded_spec(house, champion.slot.family, manifest)
    now = prepare(house, spec)
    then, notes = _prepared_then(house, champion, manifest, now)
    names = tuple(manifest["features"])
    sessions = np.unique(now.matrix.session)[-house.settings.monitoring.window :]
    recent = now.matrix.take(now.matrix.session >= sessions[0])
    learned = known_before(then.matrix, int(manifest["trained_through"]) + 1) & (then.matrix.session < sessions[0])
    return _Rows(then.matrix.take(learned).select(names), recent.select(names), now, notes)


def _prepared_then(
    house: House, champion: Champion, manifest: Mapping[str, Any], now: Prepared
) -> tuple[Prepared, tuple[str, ...]]:
    """Return the rows as they were when the champion learned from them; those of now where they cannot be read."""
    share = float(manifest.get("sample_size", 1.0))
    if str(manifest["data_version"]) == now.data_version and share == 1.0:
        return now, ()
    try:
        past = house_then(house, manifest, f"{champion.slot} v{champion.version}")
        return prepare(past, recorded_spec(past, champion.slot.family, manifest), sample_size=share), ()
    except (RefusedError, UsageError) as error:
        return now, (f"the rows of the training cannot be read any more, those of now stand for them: {error}",)


def _importance(house: House, champion: Champion) -> Mapping[str, float]:
    with house.state.read() as db:
        row = versions.get(db, champion.slot, champion.version)
    try:
        return {} if row is None else measured_importance(house, row)["gain"]
    except MarketLoopError:
        return {}


def _on_features(scan: FeatureScan) -> Finding:
    untold = sum(feature.state == "cannot be told" for feature in scan.features)
    said = f"{len(scan.drifted)} of {len(scan.features)} features have drifted"
    if scan.drifted:
        said += f" ({', '.join(feature.name for feature in scan.drifted[:WORST])})"
    if untold:
        said += f"; of {untold} it cannot be told"
    broken = scan.correlation
    if scan.level != "Low" and not scan.drifted and broken is not None:
        said += f"; features move together otherwise than before ({' and '.join(broken.pair)} most)"
    return Finding("features", by_features(scan.level), said)


def _on_served(served: Served) -> dict[str, Any]:
    performance = served.performance
    points = performance.lost if performance.figure == "accuracy" else None
    return {
        "metric": performance.figure,
        "reference": performance.reference,
        "current": performance.current,
        "points_lost": None if points is None else round(points, 3),
        "performance": performance.document(),
        "calibration": served.calibration,
        "calibration_reference": served.calibration_reference,
        "regime_lag": served.lag,
    }


def _span(prepared: Prepared, sessions: tuple[int, int, int]) -> dict[str, Any]:
    first, last, count = sessions
    date = prepared.sessions.date
    return {"first": date(first).isoformat(), "last": date(last).isoformat(), "count": count}
