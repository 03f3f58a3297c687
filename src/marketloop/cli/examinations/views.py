"""What lies beside the registry: views that somebody edited, and folders that nothing names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from marketloop.cli.examinations.finding import Finding, Patient, ok, warning
from marketloop.registry.disk import digest
from marketloop.registry.recovery import orphans
from marketloop.registry.views import INDEX

__all__ = ["EXAMINATIONS"]

_AGAIN: Final = "marketloop export --views"
_HALF: Final = "*.marketloop-partial"


def views(patient: Patient) -> Iterator[Finding]:
    """Say which files under ``models/`` are no longer what the ledger says."""
    folder = patient.project.models
    index = folder / INDEX
    if not index.exists():
        yield ok("views", "none written yet")
        return
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
        changed = [why for name, about in known.items() if (why := _changed(folder / name, about))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield warning("views", f"{INDEX} cannot be read ({error})", _AGAIN)
        return
    if changed:
        value = f"changed by hand: {', '.join(changed[:4])}{' ...' if len(changed) > 4 else ''}"
        yield warning("views", value, f"{_AGAIN} (to change who serves: marketloop promote, marketloop rollback)")
    else:
        yield ok("views", f"{len(known)} files, as the ledger says")


def leftovers(patient: Patient) -> Iterable[Finding]:
    """Say what killed processes have left: folders of versions that the ledger does not name, half-written files."""
    root = patient.project.models / "registry"
    found = [f"models/registry/{path.as_posix()}" for path in orphans(root, patient.ledger)] if root.is_dir() else []
    places = (patient.project.models, patient.project.data, patient.project.reports, patient.project.logs)
    found += [path.name for place in places if place.is_dir() for path in place.glob(_HALF)]
    if not found:
        return [ok("orphans", "none")]
    value = f"{len(found)} that nothing names, e.g. {found[0]}"
    return [warning("orphans", value, "marketloop retrain (a cycle deletes them when it begins)")]


def _changed(path: Path, about: dict[str, Any]) -> str:
    """Say how a view differs from what was written; a file whose size and time are as they were left is believed."""
    if not path.is_file() or path.is_symlink():
        return f"{path.name} (deleted)" if not path.exists() else f"{path.name} (no file)"
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) == (about["size"], about["ns"]):
        return ""
    return "" if digest(path.read_bytes()) == about["sha256"] else path.name


EXAMINATIONS: Final = (("views", views), ("orphans", leftovers))
