"""What is deleted and what never is, whoever serves, is pinned, or is being tried."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from marketloop.core.errors import RefusedError, UsageError
from marketloop.registry import Candidate, Registry, StreamFiles
from marketloop.registry.retention import GUARDED, protected, prune_streams
from marketloop.registry.standing import Back
from marketloop.state import Slot, State, champions, decisions, rollouts, skill, streams
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout
from marketloop.state.skill import Finding
from marketloop.state.streams import Block

Make = Callable[[], Candidate]
Crown = Callable[[], Champion]
DAY = dt.timedelta(days=1)


def kept(registry: Registry, slot: Slot) -> list[int]:
    return sorted(int(path.name[1:]) for path in (registry.root / slot.family / slot.config_key).iterdir())


def test_newest_versions_stay_and_the_files_of_the_rest_go(registry: Registry, slot: Slot, make: Make) -> None:
    for _ in range(13):
        make()
    assert registry.prune(slot) == (1, 2, 3)
    assert kept(registry, slot) == list(range(4, 14))
    assert registry.prune(slot) == ()


def test_versions_that_served_last_stay_however_old(registry: Registry, slot: Slot, make: Make, crown: Crown) -> None:
    for _ in range(5):
        crown()
    for _ in range(6):
        make()
    assert GUARDED == 3
    assert registry.prune(slot, keep=2) == (1, 2, 6, 7, 8, 9)
    assert kept(registry, slot) == [3, 4, 5, 10, 11]


def test_version_that_came_back_and_the_one_it_would_go_back_to_stay(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    for _ in range(6):
        crown()
    registry.rollback(slot, to=2, reason="it was the best", at=noon + 9 * DAY)
    with state.read() as db:
        assert protected(db, slot) == {1, 2, 5, 6}
    assert registry.prune(slot, keep=1) == (3, 4)
    assert registry.rollback(slot, reason="even older", at=noon + 10 * DAY).version == 1


def test_pinned_version_stays(registry: Registry, slot: Slot, noon: dt.datetime, make: Make, crown: Crown) -> None:
    crown()
    registry.pin(slot, on=True, reason="the audit", at=noon + DAY)
    for _ in range(4):
        make()
    assert registry.prune(slot, keep=1) == (2, 3, 4)


@pytest.mark.parametrize(
    ("mode", "share", "stays"), [("shadow", 0.0, True), ("canary", 0.1, True), ("off", 0.0, False)]
)
def test_version_of_a_rollout_stays_while_it_goes_on(
    registry: Registry,
    state: State,
    slot: Slot,
    noon: dt.datetime,
    make: Make,
    crown: Crown,
    mode: str,
    share: float,
    stays: bool,
) -> None:
    for _ in range(4):
        make()
    crown()
    with state.write() as db:
        rollouts.append(db, Rollout(slot, mode, None if mode == "off" else 2, share, "s", "try", noon), expected=0)
    assert registry.prune(slot, keep=1) == ((1, 3, 4) if stays else (1, 2, 3, 4))


def test_keep_must_leave_something(registry: Registry, slot: Slot) -> None:
    with pytest.raises(UsageError, match="keep 0: expected at least 1 version"):
        registry.prune(slot, keep=0)


def test_rollback_to_a_version_that_was_deleted_is_refused_and_changes_nothing(
    registry: Registry, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    for _ in range(5):
        crown()
    assert registry.prune(slot, keep=1) == (1, 2)
    before = registry.champion(slot)
    with pytest.raises(UsageError, match=r"version 1 of .* has no artefact: it is deleted"):
        registry.rollback(slot, to=1, reason="x", at=noon + 9 * DAY)
    assert registry.champion(slot) == before


@pytest.fixture
def walked(tmp_path: Path, state: State, slot: Slot, noon: dt.datetime) -> StreamFiles:
    """A closed stream of two blocks and an open one of three, each block with scores and a model."""
    files = StreamFiles(tmp_path / "streams")
    for number, blocks in enumerate((2, 3)):
        with state.write() as db:
            stream = streams.open_stream(db, slot, fingerprint=f"f{number}", session=100, at=noon)
        for block in range(blocks):
            first = 100 + 21 * block
            path, model = f"{stream.id}/scores_{first}.parquet", f"{stream.id}/model_{block}"
            made = Block(
                stream_id=stream.id,
                first_session=first,
                last_session=first + 20,
                block=block,
                nominee="ridge",
                train_through=first - 1,
                rows=10,
                path=path,
                sha256=files.put(path, b"scores"),
                written_at=noon,
                model_path=model,
            )
            files.put(f"{model}/ridge.json", b"{}")
            with state.write() as db:
                streams.add_block(db, made)
        if number == 0:
            with state.write() as db:
                streams.close(db, stream.id, session=200, because="another recipe was declared")
    return files


def test_models_of_finished_blocks_go_and_scores_never(walked: StreamFiles, state: State, slot: Slot) -> None:
    gone = prune_streams(walked, state, slot)
    assert [path.partition("/")[2] for path in gone] in (
        ["model_0", "model_0", "model_1"],
        ["model_0", "model_1", "model_0"],
    )
    left = sorted(path.name for path in walked.root.glob("*/*"))
    assert left == sorted(["model_1", "model_2", *(f"scores_{100 + 21 * n}.parquet" for n in (0, 1, 0, 1, 2))])
    assert prune_streams(walked, state, slot) == ()


def test_rollback_remembers_the_newest_session_that_anybody_had_looked_at(
    walked: StreamFiles, registry: Registry, state: State, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    del walked
    crown()
    crown()
    by_hand = registry.rollback(slot, reason="bad", at=noon + 9 * DAY)
    assert by_hand.session == 1250  # the gate looked at it when it promoted
    registry.rollback(slot, to=2, reason=Back("x", {"session": 1299}, by="guard"), at=noon + 10 * DAY)
    with state.read() as db:
        ledger = champions.history(db, slot)
        assert champions.returned(ledger) == 1299
        assert champions.returned(ledger[1:]) == 1250
        assert champions.returned(ledger[2:]) is None
        assert champions.returned(()) is None
        word = decisions.latest(db, slot)
    assert word is not None
    assert word.reason_code == "guard"


def test_pin_and_alarm_belong_to_the_same_return(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    crown()
    crown()
    registry.rollback(slot, reason="bad", at=noon + 9 * DAY)
    registry.pin(slot, on=True, reason="the audit", at=noon + 10 * DAY)
    registry.pin(slot, on=False, reason="over", at=noon + 11 * DAY)
    with state.write() as db:
        now = champions.current(db, slot)
        assert now is not None
        assert champions.returned(champions.history(db, slot)) == 1250
        fallen = replace(now, action="harm", status="provisional", skill_proven=False, session=1300)
        champions.append(db, fallen, expected=now.entry)
        assert champions.returned(champions.history(db, slot)) == 1250
    crown()
    with state.read() as db:
        assert champions.returned(champions.history(db, slot)) is None


def test_pinned_slot_is_not_rolled_back_and_not_pinned_twice(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    with pytest.raises(RefusedError, match="has no champion that could be pinned"):
        registry.pin(slot, on=True, reason="", at=noon)
    crown()
    crown()
    registry.pin(slot, on=True, reason="the audit", at=noon + 3 * DAY)
    with pytest.raises(RefusedError, match="is pinned to version 2; unpin it first"):
        registry.rollback(slot, reason="x", at=noon + 4 * DAY)
    with pytest.raises(RefusedError, match="is pinned already"):
        registry.pin(slot, on=True, reason="again", at=noon + 4 * DAY)
    with state.read() as db:
        word = decisions.latest(db, slot)
    assert word is not None
    assert (word.verdict, word.reason) == ("pin", "pinned to version 2: the audit")


def test_version_whose_recipe_lost_its_skill_comes_back_as_provisional(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    crown()
    crown()
    with state.write() as db:
        skill.record(db, Finding("stream_1", slot, 1260, "proven", 2.5, 300, noon))
        skill.record(db, Finding("stream_1", slot, 1270, "lost", -3.2, 63, noon))
    back = registry.rollback(slot, reason="x", at=noon + 3 * DAY)
    assert (back.status, back.skill_proven) == ("provisional", False)
