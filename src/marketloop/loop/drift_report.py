"""From scans to what others hear of: the ledger, an event, an alarm, and a request where one is asked for."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any, Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.accuracy import accuracy_of
from marketloop.loop.alarms import Alarm, deliver, raise_alarm
from marketloop.loop.conditions import why_not_now
from marketloop.loop.drifting import history_document, scan_champion, scanned_families
from marketloop.loop.events import Event, EventType, publish
from marketloop.loop.house import House
from marketloop.loop.ringing import WEEK
from marketloop.loop.settling import settle_carefully
from marketloop.runtime.logging import get_logger
from marketloop.state import drift_scans, requests, this_process
from marketloop.state.drift_scans import DriftScan
from marketloop.state.requests import Wish

__all__ = ["SOURCE", "announce", "scan_all"]

SOURCE: Final = "drift"
"""Who publishes DRIFT_DETECTED: not the loop itself, whose own events cause no retraining."""
WORST: Final = 10
_WINDOWS: Final = ("7d", "30d")


def scan_all(
    house: House, family: str | None = None, *, ask: bool = False, only_new: bool = False, history: bool = False
) -> dict[str, Any]:
    """Scan every champion, or that of `family`; record, announce, and return the `drift` document.

    A family that cannot be scanned says why under ``errors``, and the others go on.

    Parameters
    ----------
    ask : bool
        Request a cycle for the families whose action is not ``monitor``, under the conditions of a drift trigger.
    only_new : bool
        Pass over a champion that was scanned on these very sessions before.
    history : bool
        Add the last scans of each family, for a heat map.

    Raises
    ------
    UsageError
        The family is unknown or has no champion.
    """
    settle_carefully(house)
    scans, errors = [], {}
    for name in scanned_families(house, family):
        try:
            scan = scan_champion(house, name)
            before = _last(house, scan)
            if only_new and before is not None and (before.version, before.as_of) == (scan.version, scan.as_of):
                continue
            scans.append(announce(house, scan))
        except MarketLoopError as error:
            get_logger("loop").warning("a scan failed", family=name, reason=str(error))
            errors[name] = str(error)
        except Exception as error:  # noqa: BLE001 -- a plugin's feature may raise anything; the others go on
            get_logger("loop").error("a scan failed", family=name, traceback=traceback.format_exc())
            errors[name] = f"{type(error).__name__}: {error}"
    deliver(house)
    document: dict[str, Any] = {"families": [dict(scan.document) for scan in scans], "errors": errors}
    if history:
        for one in document["families"]:
            one["history"] = history_document(house, one["family"])
    if ask:
        document["request"] = _ask(house, scans)
    return document


def _last(house: House, scan: DriftScan) -> DriftScan | None:
    with house.state.read() as db:
        return drift_scans.latest(db, scan.slot)


def announce(house: House, scan: DriftScan) -> DriftScan:
    """Record a scan, then tell of it; what is not told is in the ledger."""
    with house.state.write() as db:
        recorded = drift_scans.record(db, scan)
    if scan.action == "retrain":
        _publish(house, scan)
    if scan.action != "monitor":
        raise_alarm(house, _alarm(house, scan))
    return recorded


def _publish(house: House, scan: DriftScan) -> None:
    document = scan.document
    data = {
        "families": [scan.slot.family],
        "action": scan.action,
        "severity": str(document["feature_drift"]).lower(),
        "points_lost": document["points_lost"],
        "features": [f["name"] for f in document["features"] if f["state"] in {"drifted", "missing"}],
        "note": _reason(scan)[:2000],
    }
    key = f"drift:{scan.slot.family}:{scan.slot.config_key}:{scan.version}:{scan.as_of}"
    publish(Event(EventType.DRIFT_DETECTED, data), house, key, source=SOURCE)


def _alarm(house: House, scan: DriftScan) -> Alarm:
    """Return the alarm of a scan: the same version and the same action is the same alarm for a week."""
    document, slot = scan.document, scan.slot
    figures = accuracy_of(house, slot, _WINDOWS)
    worst = [f for f in document["features"] if f["state"] in {"drifted", "missing"}][:WORST]
    asks = {"retrain": "retrain now", "plan": f"plan a retraining by {document['retrain_by']}"}
    about = {
        "action": asks[scan.action],
        "reason": _reason(scan),
        "metrics": {"reference": document["reference"], "current": document["current"]},
        "points_lost": document["points_lost"],
        **{f"accuracy_{window}": figures[window]["value"] for window in _WINDOWS},
        "calibration": document["calibration"],
        "feature_drift": document["feature_drift"],
        "worst_features": [f"{f['name']} (p {_p(f)}, moved {f['shift'] or 0.0:+.2f} sd)" for f in worst],
        "as_of": scan.as_of.isoformat(),
    }
    key = f"drift:{slot.family}:{slot.config_key}:{scan.version}:{scan.action}"
    return Alarm("drift", key, f"{slot.family}: version {scan.version}: {asks[scan.action]}", about, WEEK)


def _reason(scan: DriftScan) -> str:
    asking = [f["reason"] for f in scan.document["findings"] if f["action"] == scan.action]
    return "; ".join(asking)


def _p(feature: dict[str, Any]) -> str:
    return "missing" if feature["p_adjusted"] is None else f"{feature['p_adjusted']:.2g}"


def _ask(house: House, scans: Sequence[DriftScan]) -> dict[str, Any] | None:
    """Request a cycle for what asks for one; None where nothing does."""
    wanting = [scan for scan in scans if scan.action != "monitor"]
    if not wanting:
        return None
    at = house.clock.now()
    reasons = {scan.slot.family: why_not_now(house, scan.slot.family, trigger="drift", at=at) for scan in wanting}
    free = tuple(family for family, reason in reasons.items() if reason is None)
    why = None if free else "; ".join(dict.fromkeys(str(reason) for reason in reasons.values()))
    wish = Wish("drift", _reason(wanting[0])[:2000], free or tuple(reasons), requested_by="marketloop drift")
    with house.state.write() as db:
        request, _ = requests.ask(db, wish, process=this_process(), at=at, why_not=why)
    return {
        "id": request.id,
        "state": request.state,
        "families": list(request.families),
        "why_not": request.why_not or None,
    }
