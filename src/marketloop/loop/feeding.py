"""Feed everybody who hears of changes: MLflow, the views under ``models/``, and the channels of the alarms."""

from __future__ import annotations

from typing import Final

from marketloop.loop.alarms import deliver, raise_alarm, repaired
from marketloop.loop.house import House
from marketloop.loop.mirroring import drain_mirrors, repair_mirrors
from marketloop.loop.ringing import ring
from marketloop.state import outbox

__all__ = ["MIRRORED", "feed_mirrors"]

MIRRORED: Final = ("mlflow", "views", "alarm")
"""Topics of the outbox that go out of the house."""


def feed_mirrors(house: House, *, repair: bool = False) -> int:
    """Send what waits, each to its own, and return how many messages wait still.

    Parameters
    ----------
    repair : bool
        First look for what somebody has changed by hand, and put it right; each repair is an alarm.
    """

    def hear(mirror: str, sentence: str) -> None:
        raise_alarm(house, repaired(mirror, found=sentence, done="it shows again what the ledger says"))

    if repair:
        repair_mirrors(house, on_repair=hear)
    drain_mirrors(house, on_repair=hear)
    ring(house, tell=deliver)  # what was decided by hand, or by a process that died before it told anybody
    with house.state.read() as db:
        return outbox.waiting(db, MIRRORED)
