"""The `accuracy` document: settle what can be settled, then say how good the served predictions were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.loop.accuracy import accuracy_of
from marketloop.loop.early import lagging
from marketloop.loop.house import House
from marketloop.loop.ingesting import parse_timeframe
from marketloop.loop.maturing import slots_heard
from marketloop.loop.predicting import keep_journals
from marketloop.loop.settling import settle
from marketloop.state import Slot

__all__ = ["let_champions_speak", "look_back"]


def look_back(
    house: House, family: str | None, *, window: str, usual: Sequence[str] = (), refresh: bool = False
) -> dict[str, Any]:
    """Return the `accuracy` document, its first keys those of `family`, or of the primary one where none is named.

    Parameters
    ----------
    window : str
        A length of time, e.g. ``7d``.
    usual : sequence of str
        Windows that every family shows beside it.
    refresh : bool
        Let every champion speak of the newest session first, as the loop does when bars or champions have changed.

    Raises
    ------
    UsageError
        The family is unknown or has no champion, or the window is no length of time.
    """
    parse_timeframe(window)
    slots = _slots(house, family)
    if refresh:
        let_champions_speak(house)
    settle(house)
    families = [_of(house, slot, window, usual) for slot in slots]
    first = next((f for f in families if f["family"] == house.settings.serve.primary), families[0] if families else {})
    flat = {key: value for key, value in first.items() if key != "windows"}
    return {**flat, "window": window, "families": families}


def let_champions_speak(house: House) -> tuple[str, ...]:
    """Journal what champions that lag behind say of the newest session; return their families."""
    behind = lagging(house)
    if behind:
        keep_journals(house, behind)
    return behind


def _slots(house: House, family: str | None) -> tuple[Slot, ...]:
    heard = slots_heard(house)
    if family is None:
        own = {house.slot(name) for name in house.catalog.families}
        return tuple(slot for slot in heard if slot in own) or heard
    wanted = house.slot(family)
    if wanted in heard:
        return (wanted,)
    others = tuple(slot for slot in heard if slot.family == family)
    if not others:
        raise UsageError(f"{family} has no champion yet, so nothing was predicted: run `marketloop retrain {family}`")
    return others


def _of(house: House, slot: Slot, window: str, usual: Sequence[str]) -> dict[str, Any]:
    found = accuracy_of(house, slot, tuple(dict.fromkeys((*usual, window))))
    return {**found[window], "windows": {name: found[name] for name in usual}}
