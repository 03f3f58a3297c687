"""What force skips of a cycle's conditions, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.loop import conditions
from marketloop.loop.house import House, open_house
from marketloop.loop.preparing import choose
from marketloop.runtime.project import create_project


@pytest.fixture
def house(tmp_path: Path) -> House:
    create_project(tmp_path / "p")
    return open_house(tmp_path / "p", environ={})


def asked(house: House, *, force: bool) -> str | None:
    # Nothing was ever trained here: neither rows nor bars are looked at.
    spec = choose(house, "price_predictor")
    return conditions.why_not(house, "price_predictor", spec, None, force=force)  # type: ignore[arg-type]


@pytest.mark.parametrize("force", [False, True])
def test_full_disk_stops_a_training_also_when_it_is_forced(
    house: House, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    assert asked(house, force=force) is None
    monkeypatch.setattr(conditions, "LEAST_FREE_GB", 1e9)
    assert "free some space" in str(asked(house, force=force))


@pytest.mark.parametrize("force", [False, True])
def test_veto_of_a_plugin_stops_a_training_also_when_it_is_forced(house: House, force: bool) -> None:
    house.catalog.conditions["quiet"] = lambda **_: "the desk is closed"
    assert asked(house, force=force) == "the desk is closed"
