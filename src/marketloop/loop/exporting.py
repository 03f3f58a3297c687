"""Files for elsewhere: a version copied out of the registry, and the views under ``models/`` written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop.helm import Helm
from marketloop.registry.disk import safe_name
from marketloop.runtime.files import disk_errors, ensure_folder, write_atomic
from marketloop.state import versions

__all__ = ["export_version", "export_views"]


def export_version(
    helm: Helm, family: str, version: int | None, *, to: Path, config_key: str | None = None
) -> dict[str, Any]:
    """Copy all files of a version, its manifest last, to a new or empty folder; return the `export` document.

    ``Model.load(FOLDER)`` reads it.

    Raises
    ------
    UsageError
        The family, the version or the folder is not as expected.
    RefusedError
        There is no champion to copy.
    FailedError
        The artefact is damaged, or the disk refuses.
    """
    slot = helm.slot(family, config_key)
    if version is None:
        champion = helm.registry.champion(slot)
        if champion is None:
            raise RefusedError(f"{slot} has no champion: name a version with --version N (see `marketloop models`)")
        version = champion.version
    artefact = helm.registry.load(slot, version)
    folder = to.expanduser().absolute()
    with disk_errors(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f'--to "{folder}" is not empty: name a new or empty folder')
    ensure_folder(folder)
    for name, content in sorted(artefact.parts.items()):
        write_atomic(folder / safe_name(name), content)
    # The bytes of the registry, so that the hash in the ledger is that of the copy.
    with helm.state.read() as db:
        row = versions.require(db, slot, version)
    write_atomic(folder / "manifest.json", (helm.registry.root / row.path / "manifest.json").read_bytes())
    return {
        "family": slot.family,
        "config_key": slot.config_key,
        "version": version,
        "folder": str(folder),
        "files": [*sorted(artefact.parts), "manifest.json"],
        "sha256": row.sha256,
    }


def export_views(helm: Helm) -> dict[str, Any]:
    """Read every view again, write what is not as the registry says, and return the `export --views` document."""
    done = helm.views.sync(thorough=True)
    return {
        "folder": str(helm.views.folder),
        "files": list(helm.views.names()),
        "written": list(done.written),
        "removed": list(done.removed),
        "repaired": list(done.repaired),
        "troubles": list(done.troubles),
    }
