"""What a version leans on: the learner's own shares, contributions to the score, and what a shuffle costs (F15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.loop.house import House
from marketloop.loop.lookup import find_version
from marketloop.state.versions import Version

__all__ = ["TOP", "feature_warnings", "importance", "measured_importance", "top_features"]

TOP = 5
WEAK, DOMINANT = 0.5, 0.3
UNITS: Mapping[str, str] = {
    "share": "share of the gain of all splits, or of the size of all weights; 0..1",
    "contribution": "share of the mean absolute contribution to the score (SHAP), out of sample; 0..1",
    "permutation": "mean rank IC lost when the feature is shuffled within each session, out of sample",
}


def importance(house: House, family: str | None = None, version: int | None = None, *, top: int = 20) -> dict[str, Any]:
    """Return the `importance` document: what a version leans on, seen three ways (F15).

    Raises
    ------
    UsageError
        The family or the version is unknown, or `top` is not positive.
    FailedError
        The artefact is damaged.
    """
    if top < 1:
        raise UsageError(f"top {top}: expected at least 1 feature")
    row = find_version(house, family, version)
    measured = measured_importance(house, row)
    gain = measured["gain"]
    return {
        "family": row.slot.family,
        "config_key": row.slot.config_key,
        "version": row.version,
        "recipe": row.recipe,
        "sessions": measured.get("sessions"),
        "total": measured.get("total", len(gain)),
        "top_share": sum(sorted(gain.values(), reverse=True)[:TOP]) if gain else None,
        "features": top_features(gain, measured, top),
        "units": dict(UNITS),
        "warnings": list(feature_warnings(gain)),
    }


def measured_importance(house: House, row: Version) -> Mapping[str, Any]:
    """Return importance as it was measured, or the learner's own shares where nothing was: the largest are kept.

    `total` is then there and counts all features of the version.
    """
    measured: Mapping[str, Any] = row.scorecard.get("importance") or {}
    gain = dict(measured.get("gain", {}))
    if gain or row.state != "complete":
        return {**measured, "gain": gain}
    manifest = house.registry.load(row.slot, row.version).manifest
    kept = dict(manifest.get("importance", {}))
    return {**measured, "gain": kept, "total": len(manifest["features"]) if kept else 0}


def top_features(shares: Mapping[str, float], measured: Mapping[str, Any], count: int = TOP) -> list[dict[str, Any]]:
    """Return the `count` features with the largest shares, each with its three measures."""
    contribution, permutation = measured.get("contribution", {}), measured.get("permutation", {})
    names = sorted(shares, key=lambda name: -shares[name])[:count]
    return [
        {
            "name": name,
            "share": shares[name],
            "contribution": contribution.get(name),
            "permutation": permutation.get(name),
        }
        for name in names
    ]


def feature_warnings(held: Mapping[str, float]) -> tuple[str, ...]:
    """Warn when importance is spread thinly (top five below half) or one feature holds more than 30 %."""
    if not held:
        return ()
    shares = sorted(held.items(), key=lambda item: -item[1])
    top = sum(share for _, share in shares[:TOP])
    warnings = []
    if len(shares) > TOP and top < WEAK:
        warnings.append(f"weak: the top five features hold {top:.0%} of the importance, less than half")
    name, most = shares[0]
    if most > DOMINANT:
        warnings.append(f"dominant: {name} holds {most:.0%} of the importance; look whether it sees the future")
    return tuple(warnings)
