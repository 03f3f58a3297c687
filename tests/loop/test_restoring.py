"""Lost scores come back as they were or not at all; a stream that is given up is paid for, in the open."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.flight import BusyError
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.preparing import Choices
from marketloop.loop.restoring import give_up, restore_stream
from marketloop.loop.results import FamilyResult
from marketloop.runtime.project import create_project
from marketloop.state import alarms, lease, skill, streams, this_process
from marketloop.state.streams import Block

FAMILY = "price_predictor"
MARKET = {"tickers": 12, "sessions": 900, "seed": 11, "start": "2013-01-02"}
NIGHTS = (dt.date(2016, 4, 22), dt.date(2016, 4, 28), dt.date(2016, 5, 13))
RECIPES = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})


def night(house: House, end: dt.date, choices: Choices = RECIPES) -> FamilyResult:
    collect = CollectRequest(source="synthetic", options=MARKET, end=end)
    return run_cycle(house, CycleRequest((FAMILY,), choices=choices, collect=collect)).families[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kept") / "project"
    create_project(root, settings={"features.set": "basic", "tracking.enabled": False})
    with open_house(root, environ={}) as house:
        for end in NIGHTS:
            assert night(house, end).error is None
    return root


@pytest.fixture
def house(kept: Path, tmp_path: Path) -> Iterator[House]:
    root = Path(shutil.copytree(kept, tmp_path / "project"))
    with open_house(root, environ={}) as opened:
        yield opened


def pieces_of(house: House, family: str = FAMILY) -> tuple[Block, ...]:
    with house.state.read() as db:
        row = streams.find(db, house.slot(family))
        assert row is not None
        return streams.blocks_of(db, row.id)


def file_of(house: House, path: str) -> Path:
    return Path(house.stream_files.root / path)


def test_stream_that_is_whole_needs_nothing(house: House) -> None:
    assert restore_stream(house, FAMILY).document()["lost"] == 0


def test_lost_and_damaged_scores_come_back_bit_for_bit(house: House) -> None:
    pieces = pieces_of(house)
    several = [piece.block for piece in pieces]
    assert len(several) > len(set(several))  # a block that was open at the end of a night is stored in pieces
    before = {piece.path: file_of(house, piece.path).read_bytes() for piece in pieces}
    for number, path in enumerate(before):
        if number % 2:
            file_of(house, path).unlink()
        else:
            file_of(house, path).write_bytes(b"PAR1 and nothing else")
    found = restore_stream(house, FAMILY)
    assert [file.trouble for file in found.files] == [""] * len(pieces)
    assert {path: file_of(house, path).read_bytes() for path in before} == before
    assert night(house, dt.date(2016, 5, 27)).error is None


def test_lost_model_of_the_open_block_comes_back(house: House) -> None:
    last = pieces_of(house)[-1]
    shutil.rmtree(file_of(house, last.model_path))
    assert "is missing" in str(night(house, dt.date(2016, 5, 17)).error)
    assert restore_stream(house, FAMILY).whole
    assert night(house, dt.date(2016, 5, 18)).error is None


def test_lost_file_fails_the_family_with_the_remedy_and_the_champion_stays(house: House) -> None:
    champion = house.registry.champion(house.slot(FAMILY))
    file_of(house, pieces_of(house)[3].path).unlink()
    result = night(house, dt.date(2016, 5, 27))
    assert result.verdict == "failed"
    assert "`marketloop rebuild FAMILY --stream`" in str(result.error)
    assert house.registry.champion(house.slot(FAMILY)) == champion


def test_scores_that_are_not_the_same_are_not_taken(house: House) -> None:
    pieces = pieces_of(house)
    shutil.rmtree(house.project.data / "bars")
    file_of(house, pieces[0].path).unlink()
    found = restore_stream(house, FAMILY)
    assert not found.whole
    assert "cannot be read any more" in found.files[0].trouble
    assert not file_of(house, pieces[0].path).exists()


@pytest.mark.parametrize(("family", "tickers"), [("regime_classifier", 12), ("price_predictor", 5)])
def test_scores_of_sessions_and_of_small_universes_come_back_too(tmp_path: Path, family: str, tickers: int) -> None:
    create_project(tmp_path / "p", settings={"features.set": "basic", "tracking.enabled": False})
    market = {**MARKET, "tickers": tickers, "sessions": 1100}
    collect = CollectRequest(source="synthetic", options=market, end=dt.date(2017, 1, 4))
    choices = RECIPES if family == FAMILY else Choices()
    with open_house(tmp_path / "p", environ={}) as house:
        assert run_cycle(house, CycleRequest((family,), choices=choices, collect=collect)).families[0].error is None
        pieces = pieces_of(house, family)
        for piece in (pieces[0], pieces[-1]):
            file_of(house, piece.path).unlink()
        shutil.rmtree(file_of(house, pieces[-1].model_path))
        found = restore_stream(house, family)
    assert len(found.files) >= 3
    assert {file.trouble for file in found.files} == {""}


def test_scores_that_an_earlier_version_wrote_come_back_by_the_manifest_of_their_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {"family.price_predictor.recipes": ["rank_ridge", "small_trees"]}
    create_project(tmp_path / "p", settings={"features.set": "basic", "tracking.enabled": False, **declared})
    monkeypatch.setattr("marketloop.loop.examining.recipe_of", lambda *_: {})
    with open_house(tmp_path / "p", environ={}) as house:
        for end in NIGHTS[:2]:
            assert night(house, end, Choices()).error is None
        pieces = pieces_of(house)
        assert not any(piece.params["made"] for piece in pieces)
        for piece in (pieces[0], pieces[1], pieces[-1]):
            file_of(house, piece.path).unlink()
        found = restore_stream(house, FAMILY)
    assert [file.trouble for file in found.files] == ["", "", ""]


def test_stream_that_is_given_up_is_followed_by_one_that_pays_with_less_alpha(house: House) -> None:
    pieces = pieces_of(house)
    with house.state.read() as db:
        (year,) = skill.years(db, house.slot(FAMILY))
    file_of(house, pieces[2].path).unlink()
    found = give_up(house, FAMILY, reason="the disk is gone")
    assert found.given_up == (pieces[0].stream_id,)
    with house.state.read() as db:
        closed = streams.get(db, pieces[0].stream_id)
        (alarm,) = [one for one in alarms.recent(db) if one.key.startswith("stream:")]
    assert closed is not None
    assert closed.closed_because == "its scores are lost: the disk is gone"
    assert "given up" in alarm.title
    assert night(house, dt.date(2016, 5, 27)).error is None
    assert pieces_of(house)[0].stream_id != pieces[0].stream_id
    with house.state.read() as db:
        first, second = skill.years(db, house.slot(FAMILY))
    assert (first, second.k) == (year, 1)
    assert second.alpha == pytest.approx(year.alpha / 4)
    assert restore_stream(house, FAMILY).whole  # of what was given up nobody asks any more


@pytest.mark.parametrize(("reason", "words"), [("", "needs|costs its evidence"), ("why", "nothing to give up")])
def test_stream_is_not_given_up_without_reason_or_need(house: House, reason: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        give_up(house, FAMILY, reason=reason)


def test_nothing_is_restored_while_a_cycle_runs(house: House) -> None:
    with house.state.write() as db:
        lease.acquire(db, "cycle", process=this_process(), at=house.clock.now())
    with pytest.raises(BusyError):
        restore_stream(house, FAMILY)
