"""Streams: the append-only walk-forward scores of a recipe, block by block, never written twice."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from marketloop.core.errors import RefusedError, UsageError
from marketloop.state.columns import Slot, encode
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import blocks, streams

__all__ = [
    "HARM",
    "LOST",
    "Block",
    "Stream",
    "add_block",
    "blocks_of",
    "close",
    "find",
    "get",
    "harmed",
    "history",
    "open_stream",
    "paths",
]

HARM = "harm alarm"
"""Why the harm alarm closes a stream."""
LOST = "its scores are lost"
"""How it begins to be said why somebody gave a stream up whose files are gone."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The out-of-sample scores of one recipe in one slot.

    Parameters
    ----------
    id : str
        E.g. ``stream_20260102T030405_ab12``.
    slot : Slot
    fingerprint : str
        Hash of everything the user declared about the recipe; another fingerprint is another stream.
    opened_session : int
    opened_at : datetime
    closed_session, closed_because : int, str, optional
        Set once, when a new recipe or the harm alarm ends it.
    """

    id: str
    slot: Slot
    fingerprint: str
    opened_session: int
    opened_at: datetime
    closed_session: int | None = None
    closed_because: str | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether somebody closed it because its scores are lost."""
        return (self.closed_because or "").startswith(LOST)


@dataclass(frozen=True, slots=True)
class Block:
    """Stored scores of consecutive sessions, made by one model.

    Parameters
    ----------
    stream_id : str
    first_session, last_session : int
        Session numbers, both included; a calendar block that is not over yet is stored in several pieces.
    block : int
        Calendar block, ``session // 21``.
    nominee : str
        Recipe that inner validation chose.
    train_through : int
        Last session whose labels the model has seen; before `first_session`.
    rows : int
    path, sha256 : str
        File of scores below the streams folder, and its hash.
    written_at : datetime
    params : dict
    model_path : str
        Where the block's model lies below the streams folder; empty when it is not kept.
    """

    stream_id: str
    first_session: int
    last_session: int
    block: int
    nominee: str
    train_through: int
    rows: int
    path: str
    sha256: str
    written_at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    model_path: str = ""

    def __post_init__(self) -> None:
        if not self.train_through < self.first_session <= self.last_session:
            raise UsageError(
                f"block {self.block}: trained through session {self.train_through}, scores {self.first_session}.."
                f"{self.last_session}; expected train_through < first <= last"
            )


def open_stream(db: Connection, slot: Slot, *, fingerprint: str, session: int, at: datetime) -> Stream:
    """Open a stream; the slot's open one must be closed first."""
    if (held := find(db, slot)) is not None:
        raise UsageError(f"{slot} has the open stream {held.id}; close it before another recipe opens one")
    key = f"stream_{at.astimezone(UTC):%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"
    stream = Stream(key, slot, fingerprint, session, at)
    db.execute(streams.insert().values(to_row(stream)))
    return stream


def find(db: Connection, slot: Slot) -> Stream | None:
    """Return the open stream of a slot."""
    query = select(streams).where(in_slot(streams, slot), streams.c.closed_session.is_(None))
    row = db.execute(query).mappings().first()
    return None if row is None else from_row(Stream, row)


def get(db: Connection, stream_id: str) -> Stream | None:
    """Return a stream by its id."""
    row = db.execute(select(streams).where(streams.c.id == stream_id)).mappings().first()
    return None if row is None else from_row(Stream, row)


def history(db: Connection, slot: Slot) -> tuple[Stream, ...]:
    """Return all streams of a slot, oldest first."""
    query = select(streams).where(in_slot(streams, slot)).order_by(streams.c.opened_at, streams.c.id)
    return tuple(from_row(Stream, row) for row in db.execute(query).mappings())


def harmed(db: Connection, slot: Slot, fingerprint: str) -> tuple[Stream, ...]:
    """Return the streams of a recipe that the harm alarm closed, oldest first.

    Whatever stream the recipe has afterwards begins after the last of them: old evidence was refuted, and declaring
    another recipe in between does not bring it back.
    """
    found = (stream for stream in history(db, slot) if stream.fingerprint == fingerprint)
    closed = (stream for stream in found if stream.closed_because == HARM and stream.closed_session is not None)
    return tuple(sorted(closed, key=lambda stream: stream.closed_session or 0))


def close(db: Connection, stream_id: str, *, session: int, because: str) -> None:
    """Close an open stream; its blocks stay."""
    condition = (streams.c.id == stream_id) & streams.c.closed_session.is_(None)
    changed = db.execute(streams.update().where(condition).values(closed_session=session, closed_because=because))
    if changed.rowcount != 1:
        raise UsageError(f'stream "{stream_id}" is not open')


def add_block(db: Connection, block: Block) -> bool:
    """Append scores to a stream; return False when exactly these are stored already.

    Raises
    ------
    RefusedError
        The sessions are scored already, by something else: a stored score is never recomputed.
    UsageError
        The stream is not open.
    """
    stream = get(db, block.stream_id)
    if stream is None or stream.closed_session is not None:
        raise UsageError(f'stream "{block.stream_id}" is not open')
    end = db.scalar(select(func.max(blocks.c.last_session)).where(blocks.c.stream_id == block.stream_id))
    if end is None or block.first_session > end:
        db.execute(blocks.insert().values(to_row(block)))
        return True
    query = select(blocks).where(blocks.c.stream_id == block.stream_id, blocks.c.first_session == block.first_session)
    row = db.execute(query).mappings().first()
    if row is not None and _same(from_row(Block, row), block):
        return False
    raise RefusedError(
        f"stream {block.stream_id} has scores through session {end}; sessions {block.first_session}.."
        f"{block.last_session} are not scored again: stored scores are never recomputed"
    )


def blocks_of(db: Connection, stream_id: str) -> tuple[Block, ...]:
    """Return the blocks of a stream in order of their sessions."""
    query = select(blocks).where(blocks.c.stream_id == stream_id).order_by(blocks.c.first_session)
    return tuple(from_row(Block, row) for row in db.execute(query).mappings())


def paths(db: Connection) -> frozenset[str]:
    """Return every file that a stored block names, of all streams."""
    rows = db.execute(select(blocks.c.path, blocks.c.model_path))
    return frozenset(path for row in rows for path in row if path)


def _same(stored: Block, new: Block) -> bool:
    def plain(block: Block) -> tuple[Block, str]:
        return replace(block, params={}, written_at=new.written_at), encode(block.params)

    return plain(stored) == plain(new)
