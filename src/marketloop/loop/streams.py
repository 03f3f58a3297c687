"""Keep a slot's stream between nights: scores in write-once files, its course in the ledger."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from marketloop.core.errors import FailedError
from marketloop.evaluation.gate import YEAR_SESSIONS
from marketloop.evaluation.gate import Slot as GateSlot
from marketloop.evaluation.gate import Year as GateYear
from marketloop.evaluation.nomination import FoldRecord
from marketloop.evaluation.stream import Block, Fitted, Stream, StreamSpec
from marketloop.loop.house import House
from marketloop.state import Slot, champions, skill, streams
from marketloop.state.skill import Finding, Year
from marketloop.state.streams import Stream as StreamRow

__all__ = [
    "StoredStream",
    "append_stream",
    "gate_slot",
    "keep_look",
    "open_stored",
    "scores_file",
    "since",
    "stored_scores",
]


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream with its name in the ledger; `row` is None for one that was not opened yet.

    `model` holds the files of the open block's model with their hashes. `after` is the session at which the harm alarm
    ended the recipe's last stream: scores through it are there to be walked on from, and are no evidence any more.
    """

    row: StreamRow | None
    stream: Stream
    model: Mapping[str, str] = field(default_factory=dict)
    after: int | None = None


def open_stored(house: House, slot: Slot, spec: StreamSpec) -> StoredStream:
    """Return the slot's stream of this recipe, or an empty one that is not in the ledger yet.

    Nothing is written: a recipe that fails before its first score must not cost the slot the stream that it has.
    """
    with house.state.read() as db:
        row = streams.find(db, slot)
        row = row if row is not None and row.fingerprint == spec.fingerprint else None
        ended = streams.harmed(db, slot, spec.fingerprint)
        old = [piece for stream in ended for piece in streams.blocks_of(db, stream.id)]
        own = list(streams.blocks_of(db, row.id)) if row is not None else []
    after = ended[-1].closed_session if ended else None
    pieces = old + own
    if not pieces:
        return StoredStream(row, Stream(spec.fingerprint), after=after)
    blocks: dict[int, Block] = {}
    folds: list[FoldRecord] = []
    for piece in pieces:
        blocks.setdefault(piece.block, _block(piece))
        folds += [FoldRecord(**record) for record in piece.params.get("folds", ())]
    stream = Stream(
        fingerprint=spec.fingerprint,
        scores=pl.concat([Stream("").scores, *(_scores(house, piece) for piece in pieces)]),
        blocks=tuple(blocks.values()),
        folds=tuple(folds),
        open_model=_open_model(house, pieces[-1], spec),
    )
    model = dict(own[-1].params.get("model") or {}) if own else {}
    return StoredStream(row, stream, model, after)


def since(stream: Stream, after: int | None) -> Stream:
    """Return `stream` with the scores of sessions later than `after` only; all of them where it is None."""
    return stream if after is None else replace(stream, scores=stream.scores.filter(pl.col("session") > after))


def stored_scores(house: House, stream_id: str) -> pl.DataFrame:
    """Return all scores of a stream, open or closed, in order of time."""
    with house.state.read() as db:
        pieces = streams.blocks_of(db, stream_id)
    return pl.concat([Stream("").scores, *(_scores(house, piece) for piece in pieces)])


def append_stream(
    house: House,
    slot: Slot,
    before: StoredStream,
    after: Stream,
    *,
    session: int,
    made: Mapping[str, Any] | None = None,
) -> StreamRow:
    """Write what `after` holds beyond ``before`` and return the stream's row in the ledger.

    One file and one row for each piece of a block, the newest block's model once. The stream of another recipe is
    closed only now that this one has spoken; it keeps its scores, and the new one pays with less alpha (GATE.md, 4).
    Of a recipe that did harm, sessions through the alarm are not written again.

    Parameters
    ----------
    made : mapping, optional
        Of what the new scores were made: data version, tables, threads. With it they can be made again.
    """
    row = before.row or _opened(house, slot, after.fingerprint, session)
    last = before.stream.last_session
    fresh = after.scores if last is None else after.scores.filter(pl.col("session") > last)
    fresh = fresh if before.after is None else fresh.filter(pl.col("session") > before.after)
    new_folds = [_fold(record) for record in after.folds[len(before.stream.folds) :]]
    for (number,), piece in fresh.group_by("block", maintain_order=True):
        block = next(b for b in after.blocks if b.number == number)
        model = _kept_model(house, row.id, block, before, after)
        first, end = int(piece["session"][0]), int(piece["session"][-1])
        path = f"{row.id}/scores_{first:06d}_{end:06d}.parquet"
        stored = streams.Block(
            stream_id=row.id,
            first_session=first,
            last_session=end,
            block=block.number,
            nominee=block.nominee,
            train_through=block.train_through,
            rows=block.rows,
            path=path,
            sha256=house.stream_files.put(path, scores_file(piece)),
            written_at=house.clock.now(),
            params={**_block_params(block), "folds": new_folds, "model": model, "made": dict(made or {})},
            model_path=f"{row.id}/model_{block.number:05d}" if model else "",
        )
        with house.state.write() as db:
            streams.add_block(db, stored)
        new_folds = []
    return row


def _opened(house: House, slot: Slot, recipe: str, session: int) -> StreamRow:
    with house.state.write() as db:
        other = streams.find(db, slot)
        if other is not None:
            streams.close(db, other.id, session=session, because="another recipe was declared")
        return streams.open_stream(db, slot, fingerprint=recipe, session=session, at=house.clock.now())


def gate_slot(house: House, slot: Slot, row: StreamRow, *, session: int) -> GateSlot:
    """Return what the ledger knows of the slot before tonight's look."""
    with house.state.read() as db:
        year = skill.find_year(db, row.id, session=session)
        finding = skill.current(db, row.id)
        open_years = [y for y in skill.years(db, slot) if session - y.start_session < YEAR_SESSIONS]
        # The slot's year is that of its first stream: declaring another recipe makes no promotion forgotten.
        start = min((y.start_session for y in open_years), default=session)
        reign = champions.reign(db, slot, since_session=start)
    return GateSlot(
        year=None if year is None else GateYear(year.start_session, year.n0, year.alpha, year.k, year.z_star),
        proven=finding is not None and finding.state == "proven",
        further=len({y.stream_id for y in open_years} - {row.id}),
        reign=reign,
    )


def keep_look(house: House, slot: Slot, row: StreamRow, looked: GateSlot, record: Mapping[str, Any]) -> None:
    """Record the year that a look opened and the skill that it found; the same look twice is one look."""
    at, session = house.clock.now(), int(record["session"])
    with house.state.write() as db:
        year = looked.year
        if year is not None:
            skill.open_year(db, Year(row.id, slot, year.start, year.n0, year.k, year.alpha, year.z_star, at))
        if looked.proven:
            z = record["z"] if record["z"] is not None else 0.0
            skill.record(db, Finding(row.id, slot, session, "proven", float(z), int(record["n"]), at))


def scores_file(scores: pl.DataFrame) -> bytes:
    """Return scores as the bytes of their file."""
    content = io.BytesIO()
    scores.write_parquet(content)
    return content.getvalue()


def _scores(house: House, piece: streams.Block) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(house.stream_files.get(piece.path, piece.sha256)))


def _block(piece: streams.Block) -> Block:
    params = piece.params
    return Block(
        number=piece.block,
        nominee=piece.nominee,
        train_through=piece.train_through,
        rows=piece.rows,
        prior=tuple(params["prior"]),
        features=tuple(params["features"]),
        dropped=tuple(params["dropped"]),
    )


def _block_params(block: Block) -> dict[str, Any]:
    return {"prior": list(block.prior), "features": list(block.features), "dropped": list(block.dropped)}


def _fold(record: FoldRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "contender": record.contender,
        "known_on": record.known_on,
        "total": record.total,
        "sessions": record.sessions,
    }


def _kept_model(house: House, stream_id: str, block: Block, before: StoredStream, after: Stream) -> dict[str, str]:
    """Keep the model of the newest block, which still has sessions to score; older ones have said all they will."""
    if before.model and before.stream.blocks[-1].number == block.number:
        return dict(before.model)
    fitted = after.open_model
    if fitted is None or fitted.block.number != block.number:
        return {}
    folder = f"{stream_id}/model_{block.number:05d}"
    return {
        name: house.stream_files.put(f"{folder}/{name}", content) for name, content in fitted.learner.parts().items()
    }


def _open_model(house: House, piece: streams.Block, spec: StreamSpec) -> Fitted | None:
    files = piece.params.get("model") or {}
    if not files:
        return None
    contender = next((c for c in spec.contenders if c.key == piece.nominee), None)
    if contender is None:
        raise FailedError(
            f'the stream\'s block {piece.block} was scored by "{piece.nominee}", which is no recipe any more'
        )
    parts = {name: house.stream_files.get(f"{piece.model_path}/{name}", sha) for name, sha in files.items()}
    return Fitted(contender, contender.recipe.from_parts(parts), _block(piece))
