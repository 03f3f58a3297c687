from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.core.errors import RefusedError, UsageError
from marketloop.state import Slot, State, streams
from marketloop.state.streams import Block


@pytest.fixture
def block(state: State, slot: Slot, noon: dt.datetime) -> Block:
    with state.write() as db:
        stream = streams.open_stream(db, slot, fingerprint="f1", session=525, at=noon)
    return Block(stream.id, 525, 545, 25, "ridge", 519, 2100, "s/25.parquet", "ab", noon, {"penalty": 1.5})


def test_stream_grows_block_by_block(state: State, block: Block) -> None:
    after = replace(block, first_session=546, last_session=550, block=26, train_through=540)
    rest = replace(after, first_session=551, last_session=566)
    with state.write() as db:
        assert [streams.add_block(db, b) for b in (block, after, rest)] == [True, True, True]
    with state.read() as db:
        assert streams.blocks_of(db, block.stream_id) == (block, after, rest)
        assert streams.paths(db) == {"s/25.parquet"}


def test_stream_takes_the_same_block_twice_and_no_other(state: State, block: Block, noon: dt.datetime) -> None:
    with state.write() as db:
        streams.add_block(db, block)
        assert not streams.add_block(db, replace(block, written_at=noon + dt.timedelta(days=1)))
        for other in (
            replace(block, sha256="cd"),
            replace(block, params={"penalty": 0.4}),
            replace(block, last_session=540),
            replace(block, first_session=545, last_session=560),
            replace(block, first_session=520),
        ):
            with pytest.raises(RefusedError, match="stored scores are never recomputed"):
                streams.add_block(db, other)
        assert streams.blocks_of(db, block.stream_id) == (block,)


def test_block_cannot_be_trained_on_what_it_scores(block: Block) -> None:
    with pytest.raises(UsageError, match=r"trained through session 525, scores 525\.\.545"):
        replace(block, train_through=525)


def test_slot_has_one_open_stream(state: State, slot: Slot, block: Block, noon: dt.datetime) -> None:
    with pytest.raises(UsageError, match="close it before another recipe opens one"), state.write() as db:
        streams.open_stream(db, slot, fingerprint="f2", session=600, at=noon)
    with state.write() as db:
        streams.close(db, block.stream_id, session=600, because="another recipe")
        second = streams.open_stream(db, slot, fingerprint="f2", session=600, at=noon + dt.timedelta(days=1))
        assert streams.find(db, slot) == second
        assert [s.fingerprint for s in streams.history(db, slot)] == ["f1", "f2"]
        with pytest.raises(UsageError, match="is not open"):
            streams.add_block(db, block)
        with pytest.raises(UsageError, match="is not open"):
            streams.close(db, block.stream_id, session=601, because="again")
