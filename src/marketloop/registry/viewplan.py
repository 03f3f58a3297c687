"""Which views there should be: names and what stands behind each, from the ledger alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from marketloop.state import Connection, Slot, champions, versions
from marketloop.state.champions import Champion
from marketloop.state.versions import Version

__all__ = ["METRICS", "VERSIONS", "Planned", "plan"]

METRICS: Final = "training_metrics.json"
VERSIONS: Final = "model_versions.json"

_NICK: Final = {"verdict_classifier": "verdict_model", "price_regressor": "price_model"}
_SHELF: Final = {"verdict_classifier": "verdict_models", "price_regressor": "price_models"}
_FIGURES: Final = ("f1_score", "accuracy", "precision", "recall", "roc_auc")
_BEGINS: Final = frozenset({"promote", "refresh", "provisional", "forced", "rollback"})
"""Actions of the ledger by which a version comes to serve."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One view.

    Parameters
    ----------
    name : str
        Below ``models/``; that of a model lacks its ending, which the artefact knows.
    path, sha256 : str
        Artefact folder and hash of its manifest; `path` is None for a document.
    content : bytes
        Of a document.
    """

    name: str
    path: str | None = None
    sha256: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class _Reign:
    """A version while it served: `until` is None for the one that serves now."""

    entry: Champion
    row: Version
    until: datetime | None


Endings = Callable[[Version], Sequence[str]]
"""Says under which endings a version's model files lie; none where its artefact is damaged."""


def plan(db: Connection, endings: Endings, *, config_key: str, primary: str, keep: int) -> tuple[Planned, ...]:
    """Return every view that there should be; the same ledger gives the same bytes."""
    reigns = {slot: _reigns(db, slot) for slot in champions.slots(db)}
    found: dict[str, Planned] = {}
    for slot, served in reigns.items():
        own = slot.config_key == config_key
        for planned in _of_slot(slot, served, keep=keep, own=own):
            found.setdefault(planned.name, planned)
        if own and slot.family == primary:
            for planned in _of_primary(db, slot, served, keep=keep):
                found.setdefault(planned.name, planned)
    if reigns:
        document = _versions(reigns, keep, there=frozenset(found), endings=endings)
        found[VERSIONS] = Planned(VERSIONS, content=_json(document))
    return tuple(found.values())


def _reigns(db: Connection, slot: Slot) -> tuple[_Reign, ...]:
    """Return who served when, newest first; pins and alarms of a version are part of its reign."""
    rows = {row.version: row for row in versions.listing(db, slot)}
    reigns: list[_Reign] = []
    until: datetime | None = None
    for entry in champions.history(db, slot):
        if entry.action in _BEGINS:
            reigns.append(_Reign(entry, rows[entry.version], until))
            until = entry.recorded_at
    return tuple(reigns)


def _of_slot(slot: Slot, served: tuple[_Reign, ...], *, keep: int, own: bool) -> Iterator[Planned]:
    if own:
        yield from _models((slot.family, reign) for reign in served[:1])
        dated = ((f"{slot.family}_{_utc(reign.entry.promoted_at):%Y-%m-%d}", reign) for reign in served)
        yield from _newest(dated, keep)
    yield from _newest(((_numbered(reign.row), reign) for reign in served), keep)
    suffix = "" if own else f"_{slot.config_key}"
    replaced = ((_backup(slot.family + suffix, reign), reign) for reign in served if reign.until is not None)
    yield from _newest(replaced, keep)


def _of_primary(db: Connection, slot: Slot, served: tuple[_Reign, ...], *, keep: int) -> Iterator[Planned]:
    yield from _models(("prod_model", reign) for reign in served[:1])
    before = champions.previous(db, slot)
    earlier = (reign for reign in served if before is not None and reign.row.version == before.version)
    yield from _models(("backup_model", reign) for reign in list(earlier)[:1])
    stamped = ((f"prod_model_{_stamp(reign.entry.promoted_at)}", reign) for reign in served)
    yield from _newest(stamped, keep)
    if served:
        yield Planned(METRICS, content=_json(_metrics(served, keep)))


def _newest(named: Iterator[tuple[str, _Reign]], keep: int) -> Iterator[Planned]:
    """Yield the first `keep` names of what still has its artefact."""
    first: dict[str, _Reign] = {}
    for name, reign in named:
        if reign.row.state == "complete":
            first.setdefault(name, reign)
    yield from _models(iter(list(first.items())[:keep]))


def _models(named: Iterator[tuple[str, _Reign]]) -> Iterator[Planned]:
    for name, reign in named:
        if reign.row.state == "complete":
            yield Planned(name, reign.row.path, reign.row.sha256)


def _backup(name: str, reign: _Reign) -> str:
    return f"backups/{name}_{_stamp(reign.until or reign.entry.recorded_at)}"


def _metrics(served: tuple[_Reign, ...], keep: int) -> dict[str, Any]:
    return {**_trained(served[0]), "history": [_trained(reign) for reign in served[1 : keep + 1]]}


def _trained(reign: _Reign) -> dict[str, Any]:
    row = reign.row
    stability = row.scorecard.get("stability")
    return {
        **{name: row.metrics.get(name) for name in _FIGURES},
        "cv_mean": row.metrics.get("accuracy"),
        "cv_std": stability if isinstance(stability, int | float) else None,
        "family": row.slot.family,
        "version": row.version,
        "status": reign.entry.status,
        "trained_date": row.trained_at.isoformat(),
        "promoted_date": reign.entry.promoted_at.isoformat(),
        "baseline": {name: row.baseline.get(name) for name in _FIGURES},
    }


def _versions(
    reigns: dict[Slot, tuple[_Reign, ...]], keep: int, *, there: frozenset[str], endings: Endings
) -> dict[str, Any]:
    def about(reign: _Reign) -> dict[str, Any]:
        row = reign.row
        return {
            "version": row.version,
            "path": _path(row, endings(row)) if _numbered(row) in there else None,
            "config": _config(row.slot.config_key),
            "trained_date": row.trained_at.isoformat(),
            "performance": dict(row.metrics),
        }

    document: dict[str, dict[str, Any]] = {"verdict_models": {}, "price_models": {}}
    for slot, served in reigns.items():
        shelf = document.setdefault(_SHELF.get(slot.family, f"{slot.family}s"), {})
        if served:
            shelf[slot.config_key] = {**about(served[0]), "history": [about(reign) for reign in served[1 : keep + 1]]}
    return document


def _numbered(row: Version) -> str:
    return f"{_NICK.get(row.slot.family, row.slot.family)}_{row.slot.config_key}_v{row.version}"


def _path(row: Version, endings: Sequence[str]) -> str | None:
    """Return the numbered view of a version from the project's folder; the artefact of one that has several files."""
    if not endings:
        return None
    return f"models/{_numbered(row)}{endings[0]}" if len(endings) == 1 else f"models/registry/{row.path}"


def _config(key: str) -> dict[str, int]:
    """Return the periods that a configuration key stands for.

    >>> _config("rsi14_vol30_support50")["volume_exhaustion_lookback_daily"]
    30
    """
    found = re.fullmatch(r"rsi(\d+)_vol(\d+)_support(\d+)", key)
    names = ("rsi_period", "volume_exhaustion_lookback_daily", "support_resistance_lookback_daily")
    return {} if found is None else dict(zip(names, map(int, found.groups()), strict=True))


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return f"{_utc(moment):%Y%m%d_%H%M%S}"
