"""A pin names one version: whoever is promoted while it is made, that version is pinned or nothing is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.loop.ledgers import SLOT, HandClock, cycle, project

from marketloop.core.errors import FailedError
from marketloop.loop.helm import open_helm
from marketloop.loop.steering import pin


@dataclass
class Interrupted:
    """A clock at whose n-th look something happens elsewhere."""

    clock: HandClock
    at_look: int
    happens: Callable[[], object]
    looks: int = 0

    def now(self) -> dt.datetime:
        self.looks += 1
        if self.looks == self.at_look:
            self.happens()
        return self.clock.now()


def test_pinned_version_comes_back_and_is_pinned(tmp_path: Path) -> None:
    clock = HandClock()
    with project(tmp_path / "p", clock) as house, open_helm(tmp_path / "p", environ={}, clock=clock) as helm:
        cycle(house, clock)
        cycle(house, clock, code="superior")
        document = pin(helm, SLOT.family, 1, reason="the audit")
    assert (document["version"], document["pinned"]) == (1, True)


@pytest.mark.parametrize(("version", "at_look"), [(1, 1), (1, 2), (2, 1)])
def test_promotion_in_between_is_never_pinned_in_place_of_the_version(
    tmp_path: Path, version: int, at_look: int
) -> None:
    clock = HandClock()
    with project(tmp_path / "p", clock) as house:
        cycle(house, clock)
        cycle(house, clock, code="superior")
        meddling = Interrupted(clock, at_look, lambda: cycle(house, clock, code="superior"))
        with (
            open_helm(tmp_path / "p", environ={}, clock=meddling) as helm,
            pytest.raises(FailedError, match="changed meanwhile"),
        ):
            pin(helm, SLOT.family, version, reason="the audit")
        now = house.registry.champion(SLOT)
    assert now is not None
    assert (now.version, now.pinned) == (3, False)
