"""Retention at the end of a cycle: what nobody needs any more goes, and nothing goes wrong when it cannot."""

from __future__ import annotations

from collections.abc import Iterable

from marketloop.core.errors import MarketLoopError
from marketloop.loop.house import House
from marketloop.registry.retention import prune_streams
from marketloop.runtime.logging import get_logger

__all__ = ["retain"]


def retain(house: House, families: Iterable[str]) -> tuple[str, ...]:
    """Delete artefacts beyond ``[registry] keep`` and models of blocks that have said all they will; return them.

    Call it while holding the lease of the cycle. Bars are never touched: a version of the table that a kept model names
    can always be read. Nothing is raised: what cannot be deleted now is deleted next time.
    """
    gone: list[str] = []
    for family in families:
        slot = house.slot(family)
        try:
            deleted = house.registry.prune(slot, keep=house.settings.registry.keep)
            gone += [f"{slot} v{version}" for version in deleted]
            gone += prune_streams(house.stream_files, house.state, slot)
        except MarketLoopError as error:
            get_logger("loop").warning("retention is behind", family=family, reason=str(error))
    if gone:
        get_logger("loop").info("retention", deleted=gone)
    return tuple(gone)
