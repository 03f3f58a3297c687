"""The only place that asks what time it is; everybody else takes time as an argument."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Protocol

from marketloop.core.errors import UsageError

__all__ = ["Clock", "FixedClock", "SystemClock", "ticks"]


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> dt.datetime:
        """Return the present instant, time-zone-aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clock of the machine."""

    def now(self) -> dt.datetime:
        """Return the present instant in UTC."""
        return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still; replays and tests live at `at`.

    Parameters
    ----------
    at : datetime
        Time-zone-aware; a naive one raises `UsageError`, because it names no instant.
    """

    at: dt.datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise UsageError(f"the time {self.at.isoformat()} has no time zone: expected an aware one, e.g. in UTC")

    def now(self) -> dt.datetime:
        """Return `at`, in UTC."""
        return self.at.astimezone(dt.UTC)


def ticks() -> float:
    """Return seconds of a clock that never jumps, the same for all processes of a host since it was started.

    Only differences mean anything; time that the host spends suspended may not count.
    """
    return time.monotonic()
