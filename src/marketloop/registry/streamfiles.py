"""Files of walk-forward scores: written once, flushed, verified when read."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from marketloop.core.errors import FailedError, RefusedError
from marketloop.registry.disk import digest, make_folder, put_in_place, read_verified, safe_name, write_synced
from marketloop.runtime.files import delete

__all__ = ["StreamFiles"]

_PARTIAL = ".partial"

REMEDY: Final = (
    "restore the file from a backup, or run `marketloop rebuild FAMILY --stream`, which computes exactly what is lost "
    "again and takes it only where it has the recorded sha256"
)


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """The folder of stream files.

    Parameters
    ----------
    root : Path
        E.g. ``models/streams``. Paths in the calls are relative to it, with ``/`` between the parts.
    """

    root: Path

    def put(self, path: str, content: bytes) -> str:
        """Write a file once and return its SHA-256; the same content again is fine.

        Raises
        ------
        RefusedError
            Other content lies there: a stored score is never recomputed.
        """
        target = self._path(path)
        sha256 = digest(content)
        if target.exists():
            if digest(target.read_bytes()) != sha256:
                raise RefusedError(f'"{target}" holds other scores; stored scores are never recomputed')
            return sha256
        make_folder(target.parent)
        beside = target.with_name(f".{target.name}{_PARTIAL}")
        write_synced(beside, content)
        put_in_place(beside, target)
        return sha256

    def get(self, path: str, sha256: str) -> bytes:
        """Return the content of a file; raise `FailedError` when it is missing or damaged."""
        return read_verified(self._path(path), sha256, remedy=REMEDY)

    def holds(self, path: str, sha256: str) -> bool:
        """Say whether a file is there and is what was written."""
        try:
            self.get(path, sha256)
        except FailedError:
            return False
        return True

    def restore(self, path: str, content: bytes, sha256: str) -> None:
        """Put a lost or damaged file back in its place, in one step.

        Raises
        ------
        RefusedError
            The content is not what was written once; what lies there is left as it is.
        """
        if (found := digest(content)) != sha256:
            raise RefusedError(
                f'"{self._path(path)}" is not the same when computed again: its sha256 is {found[:12]}..., '
                f"{sha256[:12]}... was written"
            )
        target = self._path(path)
        make_folder(target.parent)
        beside = target.with_name(f".{target.name}{_PARTIAL}")
        write_synced(beside, content)
        put_in_place(beside, target)

    def recover(self, known: Collection[str]) -> tuple[str, ...]:
        """Delete the files that a killed process left without a row, and return their paths.

        Call it only while holding the lease: a writer's file has no row yet either.

        Parameters
        ----------
        known : paths that rows name
            ``state.streams.paths``; a path keeps a file, or everything in a folder.
        """
        if not self.root.is_dir():
            return ()
        # Nothing is asked of a file but its name: years of nights leave thousands, and every cycle begins with them.
        found = (Path(folder, name) for folder, _, names in os.walk(self.root) for name in names)
        paths = sorted(file.relative_to(self.root).as_posix() for file in found)
        orphans = tuple(path for path in paths if not _is_known(PurePosixPath(path), known))
        for path in orphans:
            delete(self.root / path)
        return orphans

    def _path(self, path: str) -> Path:
        return self.root.joinpath(*(safe_name(part) for part in path.split("/")))


def _is_known(path: PurePosixPath, known: Collection[str]) -> bool:
    return str(path) in known or any(str(parent) in known for parent in path.parents)
