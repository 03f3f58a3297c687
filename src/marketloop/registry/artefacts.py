"""Artefact folders: immutable, hashed, the manifest written last; nothing is parsed before its hash is checked."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from marketloop.core.errors import FailedError, UsageError
from marketloop.registry.disk import digest, make_folder, put_in_place, read_verified, safe_name, write_synced
from marketloop.state import Slot
from marketloop.state.columns import encode

__all__ = [
    "FORMAT",
    "MANIFEST",
    "REQUIRED",
    "Artefact",
    "check_input",
    "describe",
    "folder_of",
    "library_versions",
    "partial_of",
    "read",
    "write",
]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
REQUIRED: Final = ("data_version", "features", "recipe", "seed", "threads")
"""What every caller has to say about a model: without it nobody could rebuild or check it."""

_OWN: Final = ("config_key", "created_at", "family", "files", "format", "libraries", "python", "version")
_LIBRARIES: Final = (
    "jax",
    "lightgbm",
    "marketloop",
    "numpy",
    "onnx",
    "optax",
    "polars",
    "polars-talib",
    "scikit-learn",
    "scipy",
    "skops",
    "xgboost",
    "xgboost-cpu",
)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A fitted model as it lies on disk, every hash checked.

    Parameters
    ----------
    manifest : dict
        ``family, config_key, version, created_at, files, libraries, python, data_version, features, recipe, seed,
        threads`` and whatever the trainer added (``params, git_commit, trained_through, stream_id``).
    parts : mapping of file name to content
        What ``Learner.parts`` returned.
    """

    manifest: dict[str, Any]
    parts: Mapping[str, bytes]


def folder_of(slot: Slot, version: int) -> Path:
    """Return the folder of a version, relative to the registry's root."""
    return Path(slot.family, slot.config_key, f"v{version}")


def partial_of(slot: Slot, version: int) -> Path:
    """Return the folder in which a version is written before it has its name."""
    return Path(slot.family, slot.config_key, f".v{version}.partial")


def library_versions() -> dict[str, str]:
    """Return the installed version of every library that a fitted model depends on."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def write(root: Path, slot: Slot, version: int, *, parts: Mapping[str, bytes], about: Mapping[str, Any]) -> str:
    """Write an artefact folder and return the SHA-256 of its manifest.

    The folder appears under its name in one step, complete and flushed. `about` must have been through `describe`.
    """
    beside, path = root / partial_of(slot, version), root / folder_of(slot, version)
    make_folder(beside)
    for name, content in sorted(parts.items()):
        write_synced(beside / name, content)
    files = {name: {"sha256": digest(content), "size": len(content)} for name, content in parts.items()}
    manifest = encode({**about, "files": files}).encode()
    write_synced(beside / MANIFEST, manifest)
    put_in_place(beside, path)
    return digest(manifest)


def check_input(parts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless the parts can be files and the manifest says what it must and no more than it may."""
    if not parts:
        raise UsageError("a model without parts cannot be kept: Learner.parts() returned no file")
    for name in parts:
        if safe_name(name) == MANIFEST:
            raise UsageError(f'a part may not be called "{MANIFEST}": the registry writes it')
    if missing := [key for key in REQUIRED if key not in manifest]:
        raise UsageError(f"the manifest lacks {', '.join(missing)}; expected {', '.join(REQUIRED)}")
    if taken := [key for key in _OWN if key in manifest]:
        raise UsageError(f"the manifest may not set {', '.join(taken)}: the registry writes it")


def describe(slot: Slot, version: int, manifest: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    """Return what the trainer says of a model together with what the registry knows of it."""
    return {
        **manifest,
        "format": FORMAT,
        "family": slot.family,
        "config_key": slot.config_key,
        "version": version,
        "created_at": at.isoformat(),
        "libraries": library_versions(),
        "python": platform.python_version(),
    }


def read(path: Path, sha256: str) -> Artefact:
    """Return the artefact in the folder `path` whose manifest has the hash `sha256`.

    Raises
    ------
    FailedError
        A file is missing or damaged, or a newer MarketLoop wrote the folder.
    """
    remedy = "go back to a good version with `marketloop rollback`, or train a new one"
    manifest = json.loads(read_verified(path / MANIFEST, sha256, remedy=remedy))
    if manifest["format"] > FORMAT:
        raise FailedError(f'"{path}" has format {manifest["format"]}, this MarketLoop reads up to {FORMAT}; upgrade it')
    parts = {
        safe_name(name): read_verified(path / name, about["sha256"], remedy=remedy)
        for name, about in manifest["files"].items()
    }
    return Artefact(manifest, parts)
