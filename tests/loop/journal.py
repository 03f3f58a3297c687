"""A project whose bars, champions and predictions are made by hand: what was predicted and what came of it is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tests.loop.ledgers import MANIFEST, NOON, SLOT, HandClock, project

from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.calendar import load_sessions
from marketloop.loop.flight import single_flight
from marketloop.loop.house import House
from marketloop.registry import Ruling
from marketloop.state import Slot
from marketloop.state.scoreboards import Prediction

LABEL = "direction/5/0.02"
DAYS: tuple[dt.date, ...] = tuple(
    load_sessions("XNYS", dt.date(2025, 1, 2), dt.date(2025, 12, 31)).dates.astype(object).tolist()
)


@dataclass
class Desk:
    """The project, its clock, and the closes (days, tickers) that its bars have."""

    house: House
    clock: HandClock
    closes: NDArray[np.float64]

    @property
    def tickers(self) -> tuple[str, ...]:
        return tuple(f"T{i:02}" for i in range(self.closes.shape[1]))

    def collect(self, through: int) -> None:
        """Let the bars of the days 0 to `through` arrive, or be corrected to what `closes` says now."""
        frames = [
            pl.DataFrame({"date": DAYS[: through + 1], "ticker": ticker, "close": self.closes[: through + 1, column]})
            for column, ticker in enumerate(self.tickers)
        ]
        price = pl.col("close")
        bars = pl.concat(frames).with_columns(open=price, high=price, low=price, volume=pl.lit(1000.0))
        self.house.store.merge(bars.select(list(BAR_SCHEMA)).cast(dict(BAR_SCHEMA)), metadata={})  # type: ignore[arg-type]

    def crown(self, slot: Slot = SLOT) -> int:
        """Make a version the champion, and return its number."""
        self.clock.pass_by(minutes=1)
        with single_flight(self.house, trigger="manual", reason="test") as flight:
            made = self.house.registry.write_candidate(slot, parts={"m": b"{}"}, manifest=MANIFEST, at=self.clock.at)
            now = self.house.registry.champion(slot)
            ruling = Ruling("promoted", "first", "shown", skill_proven=True, session=1, cycle_id=flight.id)
            expected = now.entry if now else 0
            at = self.clock.at
            self.house.registry.promote(slot, made.version, ruling, expected=expected, held=flight.held, at=at)
            flight.outcome = "promoted"
        return made.version

    def say(self, version: int, day: int, words: Sequence[Mapping[str, Any]], *, slot: Slot = SLOT) -> None:
        """Journal what a version says of the first tickers as of a day."""
        self.clock.pass_by(minutes=1)
        said = [
            Prediction(ticker, DAYS[day], "HOLD", **{"score": 0.0, "label": LABEL, **word})
            for ticker, word in zip(self.tickers, words, strict=False)
        ]
        self.house.registry.write_scoreboard(slot, version, said, at=self.clock.at)


def desk(root: Path, *, tickers: int = 12, seed: int = 1, **flags: Any) -> Desk:
    """Return a project whose closes wander; nothing is collected yet."""
    clock = HandClock(NOON)
    steps = np.random.default_rng(seed).normal(0, 0.02, (len(DAYS), tickers))
    return Desk(project(root, clock, **flags), clock, 100 * np.exp(np.cumsum(steps, axis=0)))
