"""The guard in a cycle: what a new champion has done beside the one it replaced, and the way back when it did worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marketloop.core.errors import MarketLoopError
from marketloop.evaluation.guard import GuardFinding, GuardPolicy, guard, guard_terms
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.flight import Flight
from marketloop.loop.house import House
from marketloop.loop.pairing import frozen_scores, measured
from marketloop.loop.preparing import Prepared
from marketloop.loop.scoring import served_board
from marketloop.registry.standing import Back, is_proven
from marketloop.runtime.logging import get_logger
from marketloop.state import Connection, Slot, champions, decisions
from marketloop.state.champions import Champion

__all__ = ["Watch", "guarded", "watch_promotion"]

SPARE_SESSIONS = 10
"""Sessions looked at beyond those that the window needs, in case some have too few tickers to count."""
MOST_DECISIONS = 500
PATIENCE = 2
"""Windows after which a promotion that was never looked at in time is left alone."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A promotion under guard.

    Parameters
    ----------
    now : Champion
        The entry of the ledger that holds.
    promotion : Champion
        The entry by which that version came to serve.
    old : Champion
        What served before, and is trusted still.
    session : int
        The newest session that anybody had looked at when the version was promoted.
    """

    now: Champion
    promotion: Champion
    old: Champion
    session: int

    def unseen_from(self, horizon: int) -> int | None:
        """Return the first session whose term neither side has seen, nor whoever promoted; None where unknown.

        The term of a session averages scores of the `horizon` sessions before it, so these too must be unseen.
        """
        new, old = self.promotion.trained_through, self.old.trained_through
        if new is None or old is None:
            return None
        return max(max(new, old) + horizon, self.session) + 1


def watch_promotion(house: House, prepared: Prepared, spec: StreamSpec, flight: Flight) -> tuple[str, ...]:
    """Take the champion back when it does worse than the one it replaced; say what was done.

    While a promotion is under guard, what the old version says of each newest session is journalled too: should it
    serve again, its word of tonight is there. Decision and ledger entry then follow in one transaction.
    """
    section = house.settings.guard
    if not section.enabled:
        return ()
    slot = house.slot(spec.family.name)
    with house.state.read() as db:
        watch = guarded(db, slot)
    first = None if watch is None else watch.unseen_from(spec.label.horizon)
    if watch is None or first is None or prepared.panel.last < first:
        return ()
    policy = GuardPolicy(section.window, section.alpha)
    _, most = guard_terms(policy, spec.overlap)
    if prepared.panel.last > first + PATIENCE * (most + spec.label.horizon):
        return ()
    try:
        finding = _look(house, prepared, spec, watch, policy=policy, first=first)
    except MarketLoopError as error:
        get_logger("loop").warning("the new champion cannot be compared", reason=str(error))
        return (f"the guard could not compare version {watch.now.version} with {watch.old.version}: {error}",)
    return _go_back(house, prepared, watch, finding, flight) if finding.worse else ()


def guarded(db: Connection, slot: Slot) -> Watch | None:
    """Return the promotion of a slot that is under guard; None where there is none.

    Not watched: a first champion; one that took over from a provisional version, or from one whose recipe has lost its
    skill, because there is nothing to go back to that may give signals; one that came back by a rollback, because that
    pair has been compared; a pinned one, because somebody has said that exactly this version serves.
    """
    history = champions.history(db, slot)
    if not history or history[0].pinned:
        return None
    now = history[0]
    promotion = next(e for e in history if e.version == now.version and e.action not in {"pin", "harm"})
    old = champions.previous(db, slot)
    if promotion.action == "rollback" or old is None or old.status != "champion" or not is_proven(db, old.stream_id):
        return None
    return Watch(now, promotion, old, _looked_at(db, history, promotion))


def _looked_at(db: Connection, history: tuple[Champion, ...], promotion: Champion) -> int:
    """Return the newest session of any decision until the promotion: one by hand may be of a version of long ago."""
    words = decisions.history(db, promotion.slot, limit=MOST_DECISIONS)
    said = [word.record.get("session") for word in words if word.id <= promotion.decision_id]
    said += [entry.session for entry in history if entry.entry <= promotion.entry]
    return max((int(session) for session in said if session is not None), default=0)


def _look(
    house: House, prepared: Prepared, spec: StreamSpec, watch: Watch, *, policy: GuardPolicy, first: int
) -> GuardFinding:
    """Return what the sessions since the promotion say, and journal the old version's word of the newest one."""
    _, most = guard_terms(policy, spec.overlap)
    last = min(prepared.panel.last, first + most + spec.label.horizon + SPARE_SESSIONS)

    def series(champion: Champion) -> SessionSeries:
        begin = first - spec.label.horizon
        return measured(prepared, spec, frozen_scores(house, prepared, spec, champion, first=begin, last=last))

    d = series(watch.now).minus(series(watch.old)).between(first, last)
    finding = guard(d, policy, overlap=spec.overlap)
    if finding.worse or not finding.over:
        said = served_board(house, watch.old.slot, watch.old.version, prepared, silent=False)
        house.registry.write_scoreboard(watch.old.slot, watch.old.version, said, at=house.clock.now())
    return finding


def _go_back(house: House, prepared: Prepared, watch: Watch, finding: GuardFinding, flight: Flight) -> tuple[str, ...]:
    reason = _sentence(watch, finding, prepared)
    why = Back(reason, record=_record(watch, finding, prepared), cycle_id=flight.id, by="guard")
    house.registry.rollback(
        watch.now.slot,
        to=watch.old.version,
        reason=why,
        expected=watch.now.entry,
        held=flight.held,
        at=house.clock.now(),
    )
    get_logger("loop").warning(
        "guard rolled back", family=watch.now.slot.family, left=watch.now.version, serves=watch.old.version, z=finding.z
    )
    return (f"guard: {reason}",)


def _sentence(watch: Watch, finding: GuardFinding, prepared: Prepared) -> str:
    first, last = (prepared.sessions.date(n or 0) for n in (finding.first, finding.last))
    return (
        f"version {watch.now.version} has done worse than version {watch.old.version}, which it replaced, on "
        f"{finding.n} sessions that neither had seen ({first} to {last}: z {finding.z:.2f}, bar {finding.bar:.2f}); "
        f"version {watch.old.version} serves again"
    )


def _record(watch: Watch, finding: GuardFinding, prepared: Prepared) -> dict[str, Any]:
    return {
        "session": prepared.panel.last,
        "version": watch.now.version,
        "previous_version": watch.old.version,
        "promotion_decision": watch.promotion.decision_id,
        "trained_through": [watch.promotion.trained_through, watch.old.trained_through],
        "stream_ids": [watch.promotion.stream_id, watch.old.stream_id],
        "data_version": prepared.data_version,
        "guard": finding.document(),
    }
