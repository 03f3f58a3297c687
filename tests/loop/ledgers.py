"""A project without bars whose ledger is filled by hand: cycles, versions and decisions, at times of one's choice."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketloop.loop.flight import single_flight
from marketloop.loop.house import House, open_house
from marketloop.registry import Ruling
from marketloop.runtime.project import create_project
from marketloop.state import Slot
from marketloop.state.champions import Champion

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
SLOT = Slot("price_predictor", "rsi10_vol20_support20")
MANIFEST = {"data_version": "3", "features": ["rsi"], "recipe": "rank_ridge", "seed": 1, "threads": 1}


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    at: dt.datetime = NOON

    def now(self) -> dt.datetime:
        return self.at

    def pass_by(self, **some: float) -> None:
        self.at += dt.timedelta(**some)


def project(root: Path, clock: HandClock, **flags: Any) -> House:
    """Return the house of a new project; ``alarms_urls`` is the setting ``alarms.urls``."""
    if not (root / "marketloop.toml").exists():
        create_project(root)
    given = {name.replace("_", ".", 1): value for name, value in flags.items()}
    return open_house(root, environ={}, flags={"tracking.enabled": False, **given}, clock=clock)


def cycle(
    house: House, clock: HandClock, *, verdict: str = "promoted", code: str = "first", reason: str = "shown"
) -> tuple[int, Champion | None]:
    """Run a cycle of 90 seconds that makes a version and rules about it; return its number and the new champion."""
    with single_flight(house, trigger="manual", reason="a test") as flight:
        made = house.registry.write_candidate(SLOT, parts={"m.json": b"{}"}, manifest=MANIFEST, at=clock.now())
        figures = {"accuracy": 0.5 + made.version / 100, "rank_ic": 0.02}
        house.registry.examined(
            SLOT, made.version, metrics=figures, baseline={"accuracy": 0.5}, scorecard={}, at=clock.now()
        )
        clock.pass_by(seconds=90)
        proven = verdict == "promoted"
        ruling = Ruling(verdict, code, reason, skill_proven=proven, session=700, cycle_id=flight.id)
        now = house.registry.champion(SLOT)
        champion = None
        if ruling.is_served:
            expected = now.entry if now else 0
            champion = house.registry.promote(
                SLOT, made.version, ruling, expected=expected, held=flight.held, at=clock.now()
            )
        else:
            house.registry.refuse(SLOT, made.version, ruling, at=clock.now())
        told = {"family": SLOT.family, "version": made.version, "verdict": verdict, "reason_code": code, "rows": 5000}
        flight.outcome = verdict
        flight.document = {"outcome": verdict, "families": [{**told, "reason": reason, "tickers": 40, "error": None}]}
    return made.version, champion
