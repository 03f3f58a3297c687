"""Settle the journal after news: outcomes that matured, the figures of what was served, the readable log."""

from __future__ import annotations

import traceback
from typing import Any, Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop import predictionlog
from marketloop.loop.accuracy import WINDOWS, accuracy_of
from marketloop.loop.context import newest_index
from marketloop.loop.house import House
from marketloop.loop.maturing import join_outcomes, slots_heard
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, champions, heartbeats, rollouts, scoreboards, this_process

__all__ = ["ACCURACY", "news", "settle", "settle_carefully"]

ACCURACY: Final = "accuracy"
"""Name under which the ledger keeps the figures that readers without arithmetic show: a heartbeat of their own."""


def settle(house: House) -> bool:
    """Join outcomes, work out the figures anew and write the log; return whether there was anything to do.

    Without new bars, market values, predictions or champions since the last time nothing is read but the ledger. A
    crash in between leaves what was written; the next time begins again and writes the rest.

    Raises
    ------
    MarketLoopError
        Bars, ledger or scoreboards cannot be read or written.
    """
    seen = news(house)
    with house.state.read() as db:
        last = heartbeats.last(db, ACCURACY)
    if last is not None and last.document.get("news") == seen:
        return False
    if house.store.version is not None:
        written = join_outcomes(house)
        if written:
            get_logger("loop").info("outcomes joined", written=written, data_version=house.store.version)
    families = [_figures(house, slot) for slot in slots_heard(house)]
    with house.state.write() as db:
        document = {"families": families, "news": seen}
        heartbeats.beat(db, ACCURACY, document=document, process=this_process(), at=house.clock.now())
    predictionlog.bring_up_to_date(house)
    return True


def settle_carefully(house: House) -> None:
    """Do as `settle` does at the end of a cycle: its verdicts stand, whatever goes wrong here; it is logged."""
    try:
        settle(house)
    except MarketLoopError as error:
        get_logger("loop").warning("outcomes are behind", reason=str(error))
    except Exception as error:  # noqa: BLE001 -- a plugin's label may raise anything
        get_logger("loop").error("outcomes are behind", error=repr(error), traceback=traceback.format_exc())


def news(house: House) -> dict[str, Any]:
    """Return what changes whenever there is something to settle; cheap, and equal to itself after a round of JSON."""
    slots = slots_heard(house)
    by_session = any(house.catalog.family(slot.family).unit == "session" for slot in slots)
    index = newest_index(house) if by_session else None
    return {
        "data": house.store.versions(),
        "index": None if index is None else index.isoformat(),
        "slots": {f"{slot.family}:{slot.config_key}": _standing(house, slot) for slot in slots},
    }


def _standing(house: House, slot: Slot) -> list[Any]:
    with house.state.read() as db:
        champion, rollout = champions.current(db, slot), rollouts.current(db, slot)
    speakers = [one.version for one in (champion, rollout) if one is not None and one.version is not None]
    with house.state.scores.read() as db:
        heard = [scoreboards.latest_session(db, slot, version) for version in speakers]
    days = [None if day is None else day.isoformat() for day in heard]
    return [champion.entry if champion else 0, rollout.entry if rollout else 0, *days]


def _figures(house: House, slot: Slot) -> dict[str, Any]:
    return {"family": slot.family, "config_key": slot.config_key, "windows": accuracy_of(house, slot, WINDOWS)}
