"""Figures of what is served, computed when Prometheus asks: who serves, how old it is, and when it was last read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from marketloop.runtime.clock import Clock
from marketloop.serving.desk import Desk
from marketloop.web.meters import gauge

__all__ = ["Served"]

SLOT = ("family", "config_key")


@dataclass(frozen=True)
class Served(Collector):
    """Gauges of a desk; the labels are the slots that have a champion."""

    desk: Desk
    clock: Clock

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        view, at = self.desk.view, self.clock.now()
        boards = [([slot.family, slot.config_key], board) for slot, board in sorted(view.boards.items())]
        read: list[tuple[list[str], float]] = (
            [] if view.read_at is None else [([], (at - view.read_at).total_seconds())]
        )
        yield gauge("marketloop_database_read_age_seconds", "Seconds since the database was last read.", (), read)
        yield gauge("marketloop_database_away", "1 while the database cannot be read.", (), [([], bool(view.trouble))])
        for name, text, rows in (
            ("champion_version", "Version that serves.", [(key, board.champion.version) for key, board in boards]),
            (
                "champion_provisional",
                "1 while no skill is proven and all signals are HOLD.",
                [(key, board.champion.status == "provisional") for key, board in boards],
            ),
            (
                "champion_age_seconds",
                "Seconds since the champion was trained.",
                [(key, (at - board.champion.trained_at).total_seconds()) for key, board in boards],
            ),
            (
                "scoreboard_age_seconds",
                "Seconds since the day of the session that is answered for began (UTC).",
                [(key, (at - start_of(board.as_of)).total_seconds()) for key, board in boards],
            ),
            ("scoreboard_tickers", "Tickers scored.", [(key, len(board.answers)) for key, board in boards]),
            ("scoreboard_stale", "1 while answers say that they are stale.", [(k, b.rules.stale) for k, b in boards]),
        ):
            yield gauge(f"marketloop_{name}", text, SLOT, rows)


def start_of(day: dt.date) -> dt.datetime:
    """Return the first moment of a day in UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)
