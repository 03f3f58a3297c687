"""A version that somebody wants to serve is promoted by the loop, as a request with its end recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.core.errors import MarketLoopError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.fulfilling import fulfil
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.preparing import Choices
from marketloop.runtime.project import create_project
from marketloop.state import lease, requests, this_process
from marketloop.state.requests import Request, Wish

FAMILY = "price_predictor"
MARKET = {"tickers": 12, "sessions": 620, "seed": 3, "planted_ic": 0.1}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root: Path = tmp_path_factory.mktemp("wishes") / "project"
    create_project(root)
    made = open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})
    collect = CollectRequest(source="synthetic", options=MARKET)
    for reason in ("the first", "the second"):
        request = CycleRequest(
            (FAMILY,), reason=reason, force=True, choices=Choices(recipes=("rank_ridge",)), collect=collect
        )
        run_cycle(made, request)
    return made


def claimed(house: House, version: int, *, reason: str = "because") -> Request:
    """Ask for a promotion, and claim the request as the worker does."""
    choices = {"promote": version, "config_key": house.slot(FAMILY).config_key}
    wish = Wish("manual", reason, (FAMILY,), choices=choices, requested_by="a person")
    with house.state.write() as db:
        at = house.clock.now()
        asked, _ = requests.ask(db, wish, process=this_process(), at=at)
        lease.acquire(db, requests.lease_of(asked.id), process=this_process(), at=at)
        begun = requests.begin(db, asked.id, process=this_process(), at=at)
    assert begun is not None
    return begun


def test_wanted_version_serves_and_the_request_says_so(house: House) -> None:
    request = claimed(house, 1, reason="it was calmer")
    result = fulfil(house, request)
    champion = house.registry.champion(house.slot(FAMILY))
    assert champion is not None
    assert champion.version == 1
    assert result.families[0].reason_code == "forced"
    assert "it was calmer (a person)" in result.families[0].reason
    with house.state.read() as db:
        ended = requests.get(db, request.id)
    assert ended is not None
    assert (ended.state, ended.outcome, ended.why_not) == ("done", "promoted", "")


def test_version_that_serves_already_is_refused_and_recorded(house: House) -> None:
    champion = house.registry.champion(house.slot(FAMILY))
    assert champion is not None
    request = claimed(house, champion.version)
    with pytest.raises(MarketLoopError, match="is the champion already"):
        fulfil(house, request)
    with house.state.read() as db:
        ended = requests.get(db, request.id)
    assert ended is not None
    assert ended.state == "failed"
    assert "is the champion already" in ended.why_not


def test_promotion_waits_while_a_cycle_runs(house: House) -> None:
    champion = house.registry.champion(house.slot(FAMILY))
    assert champion is not None
    other = 2 if champion.version == 1 else 1
    request = claimed(house, other)
    with house.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=house.clock.now())
    assert held is not None
    fulfil(house, request)
    with house.state.write() as db:
        lease.release(db, held, at=house.clock.now())
        waiting = requests.get(db, request.id)
    assert waiting is not None
    assert waiting.state == "waiting"
