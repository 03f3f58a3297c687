"""Who serves: is there a champion, is it complete, and does it read the features that are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.core.errors import MarketLoopError
from marketloop.features import builtin_features, regime_features, regime_lookback
from marketloop.registry import artefacts
from marketloop.state import Connection, Slot, champions, decisions, versions
from marketloop.state.champions import Champion

__all__ = ["EXAMINATIONS", "reigning"]

_ATTEMPTED: Final = frozenset({"refused", "failed"})
_LIBRARIES: Final = ("polars", "polars-talib", "xgboost-cpu", "xgboost", "lightgbm", "scikit-learn", "skops")


def reigning(db: Connection, patient: Patient) -> dict[str, Champion]:
    """Return the champions of the project's configuration, by family."""
    key = patient.settings.strategy.config.key
    found = {slot.family: champions.current(db, slot) for slot in champions.slots(db) if slot.config_key == key}
    return {family: champion for family, champion in found.items() if champion is not None}


def presence(patient: Patient) -> Iterator[Finding]:
    """Say of each family that was ever trained, and of the primary one, whether it has a champion."""
    key, primary = patient.settings.strategy.config.key, patient.settings.serve.primary
    with patient.ledger.read() as db:
        there = reigning(db, patient)
        elsewhere = {slot.family: slot.config_key for slot in champions.slots(db) if slot.config_key != key}
        tried = {
            row.slot.family: decisions.latest(db, row.slot)
            for row in versions.listing(db)
            if row.slot.config_key == key
        }
    for family in dict.fromkeys((primary, *there, *tried)):
        name = f"champion {family}"
        if family in there:
            now = there[family]
            pin = f"marketloop pin {family} --off" if now.pinned else ""
            yield ok(name, f"version {now.version}, {now.status}{', pinned' if now.pinned else ''}", remedy=pin)
            continue
        if family in elsewhere:
            value = f"model not found for the configuration {key}; there is one for {elsewhere[family]}"
            yield warning(name, value, f"marketloop retrain {family}", expected="a champion, or [strategy] as it was")
            continue
        last = tried.get(family)
        why = f": {last.reason}" if last is not None and last.verdict in _ATTEMPTED else ""
        yield warning(
            name, f"model not found, no champion yet{why}", f"marketloop retrain {family}", expected="a champion"
        )


def files(patient: Patient) -> Iterator[Finding]:
    """Say whether the files of each champion, and of the version before it, are what was written."""
    root = patient.project.models / "registry"
    with patient.ledger.read() as db:
        slots = champions.slots(db)
        served = [(slot, champions.current(db, slot), champions.previous(db, slot)) for slot in slots]
        rows = {(row.slot, row.version): row for row in versions.listing(db)}
    for slot, now, before in served:
        for champion, role in ((now, "champion"), (before, "version that a rollback leads to")):
            row = None if champion is None else rows.get((slot, champion.version))
            if champion is None or row is None or (row.state != "complete" and role != "champion"):
                continue
            try:
                artefacts.read(root / row.path, row.sha256)
            except (MarketLoopError, OSError, ValueError, KeyError) as error:
                yield _damaged(slot, champion, role, str(error), before)
    whole = sum(now is not None for _, now, _ in served)
    yield ok("artefacts", f"checked those of {whole} champions and of the versions before them")


def _damaged(slot: Slot, champion: Champion, role: str, why: str, before: Champion | None) -> Finding:
    back = f'marketloop rollback {slot.family} --reason "damaged files"'
    remedy = f"restore models/registry from a backup, or {back}"
    if role != "champion" or before is None:
        again = f'marketloop retrain {slot.family} --force --reason "damaged files"'
        remedy = f"restore models/registry from a backup, or {again}"
    name = f"artefact {slot.family} v{champion.version}"
    return failed(name, f"the {role} is incomplete: {why}", remedy, expected="every file as its manifest says")


def features(patient: Patient) -> Iterator[Finding]:
    """Say whether each champion reads features that are still computed, under the settings that hold."""
    known = {feature.name for feature in builtin_features(patient.settings.strategy.config)}
    root = patient.project.models / "registry"
    with patient.ledger.read() as db:
        there = reigning(db, patient)
        rows = {family: versions.get(db, now.slot, now.version) for family, now in there.items()}
    for family, row in rows.items():
        if row is None:
            continue
        try:
            manifest = artefacts.read(root / row.path, row.sha256).manifest
        except (MarketLoopError, OSError, ValueError, KeyError):
            continue  # said above
        yield _match(family, manifest, known | _regime_names(str(manifest.get("feature_set"))), patient)


def _match(family: str, manifest: Mapping[str, Any], known: set[str], patient: Patient) -> Finding:
    name, settings = f"features {family}", patient.settings
    strange = [feature for feature in manifest["features"] if feature not in known]
    again = f"marketloop retrain {family}"
    if strange and not settings.plugins:
        value = f"feature mismatch: the champion reads {', '.join(strange[:5])}, which nothing here computes"
        return failed(
            name, value, f"name the plugin again in plugins = [...], or {again}", expected="features of this catalog"
        )
    if strange and (lost := _undefined(strange, patient)):
        value = f"feature mismatch: the champion reads {', '.join(lost[:5])}, which no plugin's text names"
        return failed(
            name, value, f"put the feature back into the plugin, or {again}", expected="features of this catalog"
        )
    wanted = settings.features.set
    count = f"{len(manifest['features'])} features, all known"
    if manifest.get("feature_set") not in {None, wanted} and not _regime_names(str(manifest.get("feature_set"))):
        value = f"{count}; of the set {manifest['feature_set']}, while [features] set = {wanted} for the next training"
        return ok(name, value, remedy=f"marketloop retrain {family} --feature-set {manifest['feature_set']} keeps it")
    return ok(name, count)


def _undefined(strange: list[str], patient: Patient) -> list[str]:
    """Return the features that the text of no plugin mentions; plugins that are installed modules are believed."""
    texts = []
    for plugin in patient.settings.plugins:
        path = patient.project.root / plugin
        if not plugin.endswith(".py"):
            return []
        texts.append(path.read_text(encoding="utf-8") if path.is_file() else "")
    return [feature for feature in strange if not any(feature in text for text in texts)]


def _regime_names(feature_set: str) -> set[str]:
    """Return the market features that a set such as ``market_30`` holds; none for the sets of tickers."""
    if not feature_set.startswith("market_"):
        return set()
    return {feature.name for feature in regime_features(regime_lookback(feature_set))}


EXAMINATIONS: Final = (("champion", presence), ("artefacts", files), ("features", features))
