"""Recovery: deletes what a killed process left half-done; what is committed is never touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketloop.registry.artefacts import folder_of, partial_of
from marketloop.runtime.files import delete
from marketloop.state import State, this_process, versions
from marketloop.state.versions import Version

__all__ = ["Recovered", "orphans", "recover"]

_FOLDER: Final = re.compile(r"v\d+|\.v\d+\.partial")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery removed.

    Parameters
    ----------
    abandoned : tuple of str
        Versions whose writer died, as ``family (config_key) v3``.
    deleted : tuple of Path
        Folders, relative to the registry's root.
    """

    abandoned: tuple[str, ...] = ()
    deleted: tuple[Path, ...] = ()


def recover(root: Path, state: State) -> Recovered:
    """Delete folders without a complete version and mark versions whose writer died; live writers are left alone.

    The folders go first: a crash in between finds the same rows again.
    """
    found, dead = _look(root, state)
    for path in found:
        delete(root / path)
    if dead:
        with state.write() as db:
            for row in dead:
                versions.mark(db, row.slot, row.version, "abandoned")
    return Recovered(tuple(f"{row.slot} v{row.version}" for row in dead), found)


def orphans(root: Path, state: State) -> tuple[Path, ...]:
    """Return the folders that `recover` would delete, relative to `root`; nothing is changed."""
    return _look(root, state)[0]


def _look(root: Path, state: State) -> tuple[tuple[Path, ...], list[Version]]:
    """Return the folders without a version that keeps them, and the versions whose writer died."""
    here = this_process()
    # Folders before rows: a number is reserved before its folder exists, so every folder seen here has its row below.
    folders = tuple(_folders(root))
    with state.read() as db:
        rows = versions.listing(db)
    dead = [row for row in rows if row.state == "writing" and row.process.is_dead(here)]
    kept = _kept(rows, dead)
    return tuple(path for path in folders if path not in kept), dead


def _kept(rows: tuple[Version, ...], dead: list[Version]) -> set[Path]:
    kept = {folder_of(row.slot, row.version) for row in rows if row.state == "complete"}
    for row in rows:
        if row.state == "writing" and row not in dead:
            kept |= {folder_of(row.slot, row.version), partial_of(row.slot, row.version)}
    return kept


def _folders(root: Path) -> Iterator[Path]:
    """Yield every version folder, finished or partial, relative to `root`; other things there are not ours."""
    for path in sorted(root.glob("*/*/*")):
        if path.is_dir() and _FOLDER.fullmatch(path.name):
            yield path.relative_to(root)
