"""Retention: which artefacts may be deleted, and which never."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from marketloop.core.errors import UsageError
from marketloop.registry.streamfiles import StreamFiles
from marketloop.runtime.files import delete
from marketloop.state import Connection, Slot, State, champions, rollouts, streams, versions

__all__ = ["GUARDED", "protected", "prune", "prune_streams"]

GUARDED: Final = 3
"""Versions that served last, the champion among them: guard and harm alarm compare the champion with these."""


def protected(db: Connection, slot: Slot) -> frozenset[int]:
    """Return the versions that are never deleted.

    The champion (a pinned one is one), the previous one to which a rollback leads, the version of a rollout that is
    not off, and the last `GUARDED` versions that served.
    """
    ledger = champions.history(db, slot)
    served = tuple(dict.fromkeys(entry.version for entry in ledger))
    before, rollout = champions.previous(db, slot), rollouts.current(db, slot)
    others = {before.version if before else None, rollout.version if rollout else None}
    return frozenset(served[:GUARDED]) | frozenset(number for number in others if number is not None)


def prune(root: Path, state: State, slot: Slot, *, keep: int) -> tuple[int, ...]:
    """Delete the artefacts of all but the newest `keep` versions and of those that are protected.

    The rows are marked before the folders go: a crash in between leaves folders without a complete row, which the next
    start removes. Return the deleted version numbers.
    """
    if keep < 1:
        raise UsageError(f"keep {keep}: expected at least 1 version")
    with state.write() as db:
        never = protected(db, slot)
        complete = [row for row in versions.listing(db, slot) if row.state == "complete"]
        old = [row for row in complete[: max(0, len(complete) - keep)] if row.version not in never]
        for row in old:
            versions.mark(db, slot, row.version, "deleted")
    for row in old:
        delete(root / row.path)
    return tuple(row.version for row in old)


def prune_streams(files: StreamFiles, state: State, slot: Slot) -> tuple[str, ...]:
    """Delete the models of blocks that have said all they will, and return their folders; scores are never deleted.

    The model of a stream's newest block scores the sessions that are still to come in it; those before it are read by
    nobody.
    """
    with state.read() as db:
        pieces = [streams.blocks_of(db, stream.id) for stream in streams.history(db, slot)]
    newest = {blocks[-1].model_path for blocks in pieces if blocks}
    older = {block.model_path for blocks in pieces for block in blocks if block.model_path} - newest
    gone = tuple(path for path in sorted(older) if (files.root / path).exists())
    for path in gone:
        delete(files.root / path)
    return gone
