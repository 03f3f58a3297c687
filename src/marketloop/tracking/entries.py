"""What a run says of a version: parameters, metrics, tags, where it came from, and small files, as plain values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from marketloop.tracking.snapshot import Snapshot

__all__ = ["files_of", "lineage_of", "metrics_of", "note_of", "params_of", "read_manifest", "shown_of", "tags_of"]

LONGEST: Final = 500
TOP: Final = 10
"""Features whose importance is among the metrics, the greatest; all are in ``importance.csv``."""
_SIZES: Final = ("rows", "tickers", "sessions")
_IN_THE_LIST: Final = ("version", "verdict", "reason_code", "recipe", "data_version", "sha256")
_FROM_MANIFEST: Final = ("git_commit", "seed", "feature_set", "trained_through_date", "stream_id", "matrix", "python")


def read_manifest(models: Path, seen: Snapshot) -> dict[str, Any]:
    """Return the manifest of a version; empty where retention has deleted it or it cannot be read."""
    try:
        found = json.loads((models / seen.version.path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def params_of(seen: Snapshot) -> dict[str, str]:
    """Return the recipe and its hyperparameters under their own names."""
    params = {"recipe": seen.version.recipe, **dict(_flat(seen.version.params))}
    return {key: str(value)[:LONGEST] for key, value in params.items()}


def metrics_of(seen: Snapshot) -> dict[str, float]:
    """Return the figures under their own names.

    Those of no skill are ``baseline.NAME``, the importance of a feature is ``importance.NAME``; ``rows``, ``tickers``
    and ``sessions`` say how much the figures were measured on.
    """
    row = seen.version
    sizes = {name: row.scorecard.get(name) for name in _SIZES}
    told = {**sizes, **dict(_flat(row.metrics)), **dict(_flat({"baseline": row.baseline}))}
    gain = _importance(seen, "gain")
    told |= {f"importance.{name}": gain[name] for name in sorted(gain, key=lambda name: -gain[name])[:TOP]}
    return {name: float(value) for name, value in told.items() if isinstance(value, int | float)}


def tags_of(seen: Snapshot, models: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a version is found by: slot, number, verdict and reason, data, commit, hash."""
    row, decision = seen.version, seen.decision
    tags = {
        "family": row.slot.family,
        "config_key": row.slot.config_key,
        "version": str(row.version),
        "recipe": row.recipe,
        "data_version": row.data_version,
        "sha256": row.sha256,
        "manifest": str((models / row.path / "manifest.json").resolve()),
        "verdict": decision.verdict if decision else "",
    }
    tags |= {name: str(manifest[name])[:LONGEST] for name in _FROM_MANIFEST if manifest.get(name) is not None}
    if decision:
        tags |= {
            "reason_code": decision.reason_code,
            "reason": decision.reason[:LONGEST],
            **({"cycle_id": decision.cycle_id} if decision.cycle_id else {}),
        }
    return tags


def shown_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that stand in the list of a model's versions, where there is room for few."""
    return {name: tags[name] for name in _IN_THE_LIST if name in tags}


def note_of(seen: Snapshot) -> str:
    """Return the sentence that stands above a run and beside a version: what the gate said, and why."""
    decision = seen.decision
    return "not examined yet" if decision is None else f"{decision.verdict}: {decision.reason}"


def lineage_of(seen: Snapshot, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the data that a version learned from, as MLflow describes a dataset."""
    row = seen.version
    source = {"data_version": row.data_version, "tables": manifest.get("tables"), "matrix": manifest.get("matrix")}
    profile = {
        "num_rows": manifest.get("rows"),
        "tickers": manifest.get("tickers"),
        "trained_through": manifest.get("trained_through_date"),
    }
    return {
        "name": "bars",
        "digest": str(row.data_version)[:36],
        "source_type": "delta_table",
        "source": json.dumps(source),
        "profile": json.dumps({key: value for key, value in profile.items() if value is not None}),
    }


def files_of(seen: Snapshot, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the small files of a run by name; the model itself stays where it is and is not copied."""
    files = {}
    if manifest:
        files["manifest.json"] = json.dumps(manifest, indent=2, sort_keys=True)
    if seen.version.scorecard:
        files["scorecard.json"] = json.dumps(seen.version.scorecard, indent=2, sort_keys=True)
    if _importance(seen, "gain"):
        files["importance.csv"] = _importance_table(seen)
    return files


def _importance_table(seen: Snapshot) -> str:
    gain, kinds = _importance(seen, "gain"), ("gain", "contribution", "permutation")
    measures = [_importance(seen, kind) for kind in kinds]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("feature", *kinds))
    for name in sorted(gain, key=lambda name: -gain[name]):
        rows.writerow((name, *(measure.get(name, "") for measure in measures)))
    return text.getvalue()


def _importance(seen: Snapshot, kind: str) -> Mapping[str, float]:
    found = seen.version.scorecard.get("importance") or {}
    return {name: value for name, value in (found.get(kind) or {}).items() if value is not None}


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings under dotted names."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
