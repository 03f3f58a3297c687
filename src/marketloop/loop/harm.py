"""The harm alarm in a cycle: before the gate speaks, look at what the champion has done since it serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from marketloop.core.errors import MarketLoopError
from marketloop.evaluation.harm import HarmFinding, harm, harm_terms
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.flight import Flight
from marketloop.loop.house import House
from marketloop.loop.pairing import frozen_scores, series_of
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import Prepared
from marketloop.loop.scoring import served_board
from marketloop.registry import Demotion
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, champions
from marketloop.state.champions import Champion

__all__ = ["live_series", "reign_of", "watch_champion"]

SPARE_SESSIONS = 10
"""Sessions looked at beyond those that the alarm needs, in case some have too few tickers to count."""


def watch_champion(house: House, prepared: Prepared, spec: StreamSpec, flight: Flight) -> tuple[str, ...]:
    """Take the champion of a proven slot out of service when its own live evidence has turned bad; say what was done.

    What it says of tonight's session is journalled as HOLD first; ledger entry, lost skill and the empty stream then
    follow in one transaction. A night that runs twice finds a provisional champion, which is not watched.
    """
    slot = house.slot(spec.family.name)
    champion = house.registry.champion(slot)
    if champion is None or champion.status == "provisional":
        return ()
    try:
        series = live_series(house, prepared, spec, slot)
    except MarketLoopError as error:
        get_logger("loop").warning("the champion cannot be watched", version=champion.version, reason=str(error))
        return (f"the harm alarm could not look at version {champion.version}: {error}",)
    policy = gate_policy(house.settings, spec.family.name)
    finding = harm(series, policy, overlap=spec.overlap)
    if not finding.alarm:
        return ()
    reason = _sentence(champion, finding, prepared)
    _hold(house, prepared, champion)
    why = Demotion(
        session=prepared.panel.last,
        reason=reason,
        z=finding.z,
        n=finding.n,
        record=_record(champion, finding, prepared),
        cycle_id=flight.id,
    )
    house.registry.demote(slot, why, expected=champion.entry, held=flight.held, at=house.clock.now())
    get_logger("loop").warning("harm alarm", family=spec.family.name, version=champion.version, z=finding.z)
    return (f"harm alarm: {reason}",)


def live_series(house: House, prepared: Prepared, spec: StreamSpec, slot: Slot) -> SessionSeries:
    """Return the series that decides, of what was served: the newest terms that the alarm reads.

    Each session is scored by the version that was served from its close on, never by one that had seen it. A champion
    that merely refreshed an equal one inherits its evidence: with refreshes every 63 sessions no single version lives
    long enough to be caught. One that was promoted for being better, or by force, begins its own.
    """
    with house.state.read() as db:
        served = reign_of(champions.history(db, slot))
    policy = gate_policy(house.settings, spec.family.name)
    # Besides the terms: the sessions whose scores the oldest term averages, or whose labels are not known yet.
    first = prepared.panel.last - harm_terms(policy, spec.overlap) - 2 * spec.label.horizon - SPARE_SESSIONS
    if spec.small:  # a position counts less its own past mean (ADR 0014), which must not move with the window
        first = prepared.panel.first
    pieces = _served_scores(house, prepared, spec, served, first=first)
    if not pieces:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    return series_of(prepared, spec, pl.concat(pieces[::-1]))


def _served_scores(
    house: House, prepared: Prepared, spec: StreamSpec, served: list[Champion], *, first: int
) -> list[pl.DataFrame]:
    """Return the scores of each version for the sessions that it served from `first` on, the newest version first."""
    last, pieces = prepared.panel.last, list[pl.DataFrame]()
    for champion in served:
        try:
            pieces.append(frozen_scores(house, prepared, spec, champion, first=first, last=last))
        except MarketLoopError as error:
            if not pieces:
                raise
            # Retention may have deleted what an older version was made of: the evidence is shorter then.
            get_logger("loop").info("an older champion is not there", version=champion.version, reason=str(error))
            break
        if champion.trained_through is None or champion.trained_through < first:
            break
        last = min(last, champion.trained_through)
    return pieces


def reign_of(history: tuple[Champion, ...]) -> list[Champion]:
    """Return the champion and those whose evidence it inherits, newest first."""
    found: list[Champion] = []
    for entry in history:
        if entry.status != "champion":
            break
        if found and found[-1].version == entry.version:
            found[-1] = entry  # pinned or unpinned meanwhile: the same version
        else:
            found.append(entry)
        if entry.action not in {"refresh", "pin"}:
            break
    return found


def _hold(house: House, prepared: Prepared, champion: Champion) -> None:
    """Journal what the champion says of the newest session, every signal HOLD."""
    predictions = served_board(house, champion.slot, champion.version, prepared, silent=True)
    house.registry.write_scoreboard(champion.slot, champion.version, predictions, at=house.clock.now())


def _sentence(champion: Champion, finding: HarmFinding, prepared: Prepared) -> str:
    first, last = (prepared.sessions.date(n or 0) for n in (finding.first, finding.last))
    return (
        f"version {champion.version} has done worse than chance on its own last {finding.n} sessions "
        f"({first} to {last}: z {finding.z:.2f}, alarm at {finding.bar:g}); it stays as provisional with every signal "
        "HOLD, the skill of its recipe is lost, and its evidence begins anew"
    )


def _record(champion: Champion, finding: HarmFinding, prepared: Prepared) -> dict[str, Any]:
    return {
        "session": prepared.panel.last,
        "version": champion.version,
        "stream_id": champion.stream_id,
        "data_version": prepared.data_version,
        "harm": finding.document(),
        "skill_proven": False,
        "to_pass": "a stream that begins after this session, of at least [gate] min_skill_sessions sessions",
    }
