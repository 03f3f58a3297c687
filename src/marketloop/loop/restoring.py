"""Stream files that are lost: computed again and taken only where they are the same, or given up in the open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from marketloop.core.errors import MarketLoopError, RefusedError, UsageError
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.stream import Block, Fitted, StreamSpec, fit_again, score_again
from marketloop.loop.alarms import Alarm, raise_alarm
from marketloop.loop.by_hand import holding_cycle
from marketloop.loop.examining import side_by_side
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared, choose
from marketloop.loop.rebuilding import house_then, prepared_then
from marketloop.loop.streams import scores_file
from marketloop.loop.tuned import with_tuned
from marketloop.models import checked_parameters
from marketloop.state import Slot, lease, streams, versions
from marketloop.state.streams import Block as Piece
from marketloop.state.streams import Stream as StreamRow

__all__ = ["Restored", "give_up", "restore_stream"]


@dataclass(frozen=True, slots=True)
class Lost:
    """A file of a stream that is missing or damaged, and what came of computing it again.

    Parameters
    ----------
    path : str
        Below ``models/streams``.
    piece : Piece
        The scores it held or, for a file of a model, those that the model scored last.
    sha256 : str
        What was written once.
    trouble : str
        Why it is not back; empty when it is.
    """

    path: str
    piece: Piece
    sha256: str
    trouble: str = ""

    def document(self) -> dict[str, Any]:
        """Return the file as JSON."""
        return {
            "path": self.path,
            "first_session": self.piece.first_session,
            "last_session": self.piece.last_session,
            "restored": not self.trouble,
            "trouble": self.trouble,
        }


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of restoring a slot's streams."""

    slot: Slot
    files: tuple[Lost, ...] = ()
    given_up: tuple[str, ...] = field(default=())

    @property
    def whole(self) -> bool:
        """Whether nothing is lost any more."""
        return not any(file.trouble for file in self.files)

    def document(self) -> dict[str, Any]:
        """Return the `rebuild --stream` document."""
        return {
            "family": self.slot.family,
            "config_key": self.slot.config_key,
            "whole": self.whole,
            "lost": len(self.files),
            "restored": sum(not file.trouble for file in self.files),
            "files": [file.document() for file in self.files],
            "given_up": list(self.given_up),
        }


def restore_stream(house: House, family: str) -> Restored:
    """Compute the lost files of the family's streams again, from the recorded data, recipe, seed and threads.

    A file is put back only where it has the recorded sha256: what was said once is never said differently. Whatever
    else is there stays as it is. A stream that was given up is left alone.

    Raises
    ------
    UsageError
        The family is unknown, or it has no stream.
    BusyError
        A cycle is running.
    """
    slot = house.slot(family)
    with holding_cycle(house) as held, house.state.fenced(held):
        found = [_restored(house, chain, lost) for chain in _chains(house, slot) for lost in _lost_of(house, chain)]
        with house.state.write() as db:
            lease.check(db, held)
    return Restored(slot, tuple(found))


def give_up(house: House, family: str, *, reason: str) -> Restored:
    """Close the family's open stream because files of it are lost for good; the next cycle opens another one.

    That one begins its evidence anew and pays for its looks as a further stream of the year (GATE.md, 4). An alarm
    says so; whoever serves goes on serving.

    Raises
    ------
    UsageError
        There is no reason, no open stream, or nothing of it is lost.
    BusyError
        A cycle is running.
    """
    if not reason.strip():
        raise UsageError('giving a stream up costs its evidence and is audited: add --reason "why"')
    slot = house.slot(family)
    with holding_cycle(house) as held:
        with house.state.read() as db:
            row = streams.find(db, slot)
        chain = next((chain for chain in _chains(house, slot) if row is not None and chain.row == row), None)
        if row is None or chain is None:
            raise UsageError(f"{slot} has no open stream: there is nothing to give up")
        lost = tuple(_lost_of(house, chain))
        if not lost:
            raise UsageError(f"every file of {row.id} is there and whole: there is nothing to give up")
        with house.state.write() as db:
            lease.check(db, held)
            session = max((piece.last_session for piece in chain.pieces), default=row.opened_session)
            streams.close(db, row.id, session=session, because=f"{streams.LOST}: {reason}"[:500])
    trouble = "given up"
    title = f"{slot.family}: the scores of {row.id} are lost and given up; a new stream begins and pays for its looks"
    about = {"reason": reason, "files": [one.path for one in lost], "stream": row.id}
    raise_alarm(house, Alarm("error", f"stream:{row.id}", title, about))
    return Restored(slot, tuple(replace(one, trouble=trouble) for one in lost), (row.id,))


@dataclass(frozen=True, slots=True)
class _Chain:
    """A stream with the pieces on which it was walked on: those of its recipe that the harm alarm ended come first."""

    row: StreamRow
    before: tuple[Piece, ...]
    pieces: tuple[Piece, ...]

    def previous(self, piece: Piece) -> Piece | None:
        """Return the piece that was written before."""
        older = [one for one in (*self.before, *self.pieces) if one.last_session < piece.first_session]
        return older[-1] if older else None

    def beginning(self, piece: Piece) -> Piece:
        """Return the first piece of the same block: its model was made with it."""
        return next(one for one in (*self.before, *self.pieces) if one.block == piece.block)


def _chains(house: House, slot: Slot) -> list[_Chain]:
    with house.state.read() as db:
        rows = [row for row in streams.history(db, slot) if not row.is_given_up]
        pieces = {row.id: streams.blocks_of(db, row.id) for row in rows}
        harmed = {row.id: streams.harmed(db, slot, row.fingerprint) for row in rows}
    if not rows:
        raise UsageError(f"{slot} has no stream yet: run `marketloop retrain {slot.family}`")
    found = []
    for row in rows:
        older = [one for one in harmed[row.id] if (one.opened_at, one.id) < (row.opened_at, row.id)]
        found.append(_Chain(row, tuple(piece for one in older for piece in pieces[one.id]), pieces[row.id]))
    return found


def _lost_of(house: House, chain: _Chain) -> Iterator[Lost]:
    """Yield the files of a stream that are not there: all scores, and the model of the block that is open."""
    files = house.stream_files
    for piece in chain.pieces:
        if not files.holds(piece.path, piece.sha256):
            yield Lost(piece.path, piece, piece.sha256)
    if chain.pieces and chain.row.closed_session is None:
        last = chain.pieces[-1]
        for name, sha256 in dict(last.params.get("model") or {}).items():
            path = f"{last.model_path}/{name}"
            if not files.holds(path, sha256):
                yield Lost(path, last, sha256)


def _restored(house: House, chain: _Chain, lost: Lost) -> Lost:
    """Compute one file again; whatever goes wrong is its trouble, and the next one is tried."""
    try:
        content = _content(house, chain, lost)
        house.stream_files.restore(lost.path, content, lost.sha256)
    except MarketLoopError as error:
        return replace(lost, trouble=str(error))
    return lost


def _content(house: House, chain: _Chain, lost: Lost) -> bytes:
    first = chain.beginning(lost.piece)
    fitted, prepared, spec = _fitted(house, chain, first)
    if lost.path != lost.piece.path:
        return dict(fitted.learner.parts())[lost.path.rpartition("/")[2]]
    if lost.piece != first:
        prepared, spec = _prepared(house, chain.row, lost.piece)
    before = chain.previous(lost.piece)
    matrix, panel = prepared.matrix, prepared.panel
    after = None if before is None else before.last_session
    said = score_again(matrix, panel, spec, fitted, after=after)
    return scores_file(said)


def _fitted(house: House, chain: _Chain, first: Piece) -> tuple[Fitted, Prepared, StreamSpec]:
    """Make the model of a block again, as it was made with the block's first piece."""
    prepared, spec = _prepared(house, chain.row, first)
    contender = next((one for one in spec.contenders if one.key == first.nominee), None)
    if contender is None:
        raise RefusedError(f'block {first.block} was scored by "{first.nominee}", which is no recipe any more')
    fitted = fit_again(prepared.matrix, spec, contender, first.block)
    if fitted.block.rows != first.rows:
        raise RefusedError(
            f"block {first.block} learned from {first.rows} rows and data version {prepared.data_version} gives "
            f"{fitted.block.rows}: it was made of other data"
        )
    params = first.params
    block = Block(
        number=first.block,
        nominee=first.nominee,
        train_through=first.train_through,
        rows=first.rows,
        prior=tuple(params["prior"]),
        features=tuple(params["features"]),
        dropped=tuple(params["dropped"]),
    )
    return Fitted(fitted.contender, fitted.learner, block), prepared, spec


def _prepared(house: House, row: StreamRow, piece: Piece) -> tuple[Prepared, StreamSpec]:
    """Return the rows and the complete recipe of then; raise `RefusedError` where they are not there any more."""
    name = f"block {piece.block} of {row.id}"
    made = _made(house, row, piece)
    past = house_then(house, made, name)
    spec = _spec(past, row, made)
    prepared = prepared_then(past, spec, made, name)
    spec = replace(spec, small=len(prepared.panel.tickers) < SMALL_UNIVERSE)
    if spec.fingerprint != row.fingerprint:
        raise RefusedError(
            f"{name} was made by another recipe than the settings and plugins of now give: bring them back as they were"
        )
    if "contenders" not in made:
        threads = house.threads if made.get("threads") is None else int(made["threads"])
        spec = replace(spec, threads=max(1, threads // side_by_side(threads, prepared.matrix)))
    return prepared, spec


def _spec(past: House, row: StreamRow, made: Mapping[str, Any]) -> StreamSpec:
    try:
        spec = choose(past, row.slot.family)
        label = LabelSpec(int(made["horizon"]), made["threshold"], spec.label.label)
        spec = replace(spec, label=label, feature_set=str(made["feature_set"]), seed=int(made["seed"]))
        if "contenders" not in made:  # scores of an earlier version: what the settings of now declare
            return with_tuned(past, spec)
        contenders = tuple(_contender(past, one) for one in made["contenders"])
    except UsageError as error:
        raise RefusedError(f"the recipe of {row.id} is not there any more: {error}") from error
    return replace(spec, contenders=contenders, threads=int(made["threads"]))


def _contender(past: House, told: Mapping[str, Any]) -> Contender:
    recipe = past.catalog.recipe(str(told["recipe"]))
    return Contender(recipe, checked_parameters(recipe, told["params"]), since=told["since"])


def _made(house: House, row: StreamRow, piece: Piece) -> Mapping[str, Any]:
    """Return of what a piece was made; one that an earlier version wrote is as the next version of its stream was.

    A wrong guess does no harm: what comes out has another hash, and is not taken.
    """
    if piece.params.get("made"):
        made: Mapping[str, Any] = piece.params["made"]
        return made
    with house.state.read() as db:
        rows: Sequence[versions.Version] = versions.listing(db, row.slot)
    later = (one for one in rows if one.state == "complete" and one.trained_at >= piece.written_at)
    for one in later:
        manifest = house.registry.load(row.slot, one.version).manifest
        if manifest.get("stream_id") == row.id:
            return manifest
    raise RefusedError(
        f"of what block {piece.block} was made is not recorded, and no version of that night is kept any more"
    )
