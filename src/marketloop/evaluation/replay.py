"""Policy replay: live a stretch of the past again under another rule of when to retrain (SPEC C8).

Night by night a policy may ask for a candidate; with the gate on, guard, harm alarm and gate decide about it as a cycle
does, and with the gate off the newest candidate always serves. What serves says the session's scores. All policies walk
side by side through the same nights and share their candidates, so that what sets them apart is the policy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from marketloop.evaluation.facts import YEAR_SESSIONS, ChampionFacts, Evidence, GatePolicy, Slot, Verdict, Year
from marketloop.evaluation.gate import examine
from marketloop.evaluation.guard import GuardPolicy, guard, guard_terms
from marketloop.evaluation.harm import harm
from marketloop.evaluation.hindsight import Past, Voice
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.scorecard import SignalRule
from marketloop.evaluation.stream import SCORE_SCHEMA, Block, Fitted

__all__ = ["Course", "Due", "Event", "Policy", "Serving", "replay"]

PATIENCE: Final = 2
"""Windows after which a promotion that was never looked at in time is left alone by the guard."""


@dataclass(frozen=True, slots=True)
class Serving:
    """An entry of the replayed champion ledger.

    Parameters
    ----------
    entry, version : int
        Counted from 1; a rollback is a new entry of an old version.
    session : int
        At whose close it began to serve.
    voice : Voice
    rule : SignalRule, optional
        None where each session's own scores say what is called.
    action : str
        ``first``, ``superior``, ``refresh``, ``newest`` (no gate), ``rollback`` or ``harm``.
    provisional : bool
        Its signals are all HOLD.
    stream : int
        Which of the slot's streams it came from; the harm alarm begins another.
    """

    entry: int
    version: int
    session: int
    voice: Voice
    rule: SignalRule | None
    action: str
    provisional: bool
    stream: int

    @property
    def through(self) -> int:
        """Newest session that its training knew."""
        return self.voice.fitted.block.train_through

    def age(self, session: int) -> int:
        """Return the sessions since its training."""
        return session - self.through


Due = Callable[[int, "Course"], bool]
"""Whether a policy wants a candidate at the close of a session, by what it has lived through until then."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to retrain, and whether the gate decides what becomes of it."""

    name: str
    due: Due
    gated: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at the close of a session: a verdict, a rollback or an alarm.

    Parameters
    ----------
    session : int
    kind : str
        ``promoted``, ``provisional``, ``refused``, ``rollback`` or ``harm``.
    code : str
        Reason code of the gate; ``newest`` without one.
    version : int
        That serves afterwards.
    reason : str
        One plain sentence.
    record : mapping
        The numbers, as a cycle records them; empty without a gate.
    """

    session: int
    kind: str
    code: str
    version: int
    reason: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Course:
    """One policy on its way through the nights.

    Parameters
    ----------
    past : Past
    policy : Policy
    gate : GatePolicy
    guarding : GuardPolicy, optional
        None leaves the guard out.
    """

    past: Past
    policy: Policy
    gate: GatePolicy
    guarding: GuardPolicy | None = None
    events: list[Event] = field(default_factory=list, init=False)
    ledger: list[Serving] = field(default_factory=list, init=False)
    trained: list[int] = field(default_factory=list, init=False)
    _said: list[pl.DataFrame] = field(default_factory=list, init=False)
    _by: list[Serving] = field(default_factory=list, init=False)
    _years: list[tuple[int, Year]] = field(default_factory=list, init=False)
    _proven: set[int] = field(default_factory=set, init=False)
    _begun: list[int | None] = field(default_factory=lambda: [None], init=False)

    @property
    def now(self) -> Serving | None:
        """What serves."""
        return self.ledger[-1] if self.ledger else None

    @property
    def scores(self) -> pl.DataFrame:
        """Everything that was served, one row per (session, ticker); `block` is the entry that served."""
        return pl.concat(self._said) if self._said else pl.DataFrame(schema=dict(SCORE_SCHEMA))

    @property
    def served(self) -> Sequence[tuple[int, Serving]]:
        """Session and who served from its close on."""
        return [(int(frame["session"][0]), by) for frame, by in zip(self._said, self._by, strict=True)]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """How each entry that served came by its model, by the number that `scores` call it."""
        entries = {by.entry: by for by in self._by}
        return tuple(replace(by.voice.fitted.block, number=entry) for entry, by in entries.items())

    def night(self, session: int, candidate: Callable[[], Fitted]) -> None:
        """Live through the close of `session`."""
        if not self.trained or self.policy.due(session, self):
            if self.policy.gated:
                self._watch_promotion(session)
                self._watch_champion(session)
            self._turn(session, candidate())
        now = self.now
        if now is not None:
            fresh = now.voice.said(session).filter(pl.col("session") == session)
            if len(fresh):
                self._said.append(fresh.with_columns(block=pl.lit(now.entry, pl.Int32)))
                self._by.append(now)

    def serve(self, session: int, fitted: Fitted, version: int, *, action: str, provisional: bool) -> None:
        """Let a model serve from the close of `session` on."""
        rule = self.past.rule(session, self._after)
        voice = Voice(self.past, fitted)
        entry = len(self.ledger) + 1
        self.ledger.append(Serving(entry, version, session, voice, rule, action, provisional, self._stream))

    @property
    def _after(self) -> int | None:
        """The session at which an alarm ended the last stream: its scores are no evidence any more."""
        return self._begun[-1]

    @property
    def _stream(self) -> int:
        return len(self._begun) - 1

    def _turn(self, session: int, fitted: Fitted) -> None:
        self.trained.append(session)
        version = len(self.trained)
        if not self.policy.gated:
            self.serve(session, fitted, version, action="newest", provisional=False)
            self.events.append(Event(session, "promoted", "newest", version, "no gate: the newest candidate serves"))
            return
        evidence = self._evidence(session, fitted)
        verdict = examine(self._slot(session), self._facts(), evidence, self.gate)
        self._keep(verdict)
        code = verdict.reason_code
        if verdict.verdict != "refused":
            self.serve(session, fitted, version, action=code, provisional=verdict.verdict == "provisional")
        serves = self.now.version if self.now else 0
        record = {**verdict.record, "continuity": evidence.continuity}
        self.events.append(Event(session, verdict.verdict, code, serves, verdict.reason, record))

    def _evidence(self, session: int, fitted: Fitted) -> Evidence:
        past, now = self.past, self.now
        d = None
        if now is not None and not now.provisional:
            d = past.lead(now.voice, session, self._after)
            returned = self._returned()
            d = d if returned is None else d.between(returned + 1, session)
        return Evidence(
            session=session,
            x=past.deciding(session, self._after),
            hard=past.checks(session, self._after),
            continuity=past.continuity(fitted, session, self._after),
            d=d,
            overlap=past.spec.overlap,
            statistic="gain" if past.spec.family.statistic == "log_loss" else "ic1",
        )

    def _facts(self) -> ChampionFacts | None:
        now = self.now
        return None if now is None else ChampionFacts(now.version, now.provisional, now.through, self._returned())

    def _returned(self) -> int | None:
        """Return the session at which the present version came back by a rollback, None where it did not."""
        version = None
        for entry in reversed(self.ledger):
            if version not in {None, entry.version} or entry.action not in {"rollback", "harm"}:
                return None
            if entry.action == "rollback":
                return entry.session
            version = entry.version
        return None

    def _slot(self, session: int) -> Slot:
        """Return what the replayed ledger of looks knows before tonight's."""
        years = [(stream, year) for stream, year in self._years if session - year.start < YEAR_SESSIONS]
        own = [year for stream, year in self._years if stream == self._stream]
        start = min((year.start for _, year in years), default=session)
        return Slot(
            year=own[-1] if own else None,
            proven=self._stream in self._proven,
            further=len({stream for stream, _ in years} - {self._stream}),
            reign=sum(
                entry.action == "superior" and not before.provisional and entry.session >= start
                for before, entry in zip(self.ledger, self.ledger[1:], strict=False)
            ),
        )

    def _keep(self, verdict: Verdict) -> None:
        year = verdict.slot.year
        if year is not None and (self._stream, year) not in self._years:
            self._years.append((self._stream, year))
        if verdict.slot.proven:
            self._proven.add(self._stream)

    def _watch_promotion(self, session: int) -> None:
        """Take the champion back when it does worse than the one it replaced (C7)."""
        pair = self._guarded()
        if pair is None or self.guarding is None:
            return
        new, old = pair
        horizon, overlap = self.past.spec.label.horizon, self.past.spec.overlap
        first = max(max(new.through, old.through) + horizon, new.session) + 1
        _, most = guard_terms(self.guarding, overlap)
        if session < first or session > first + PATIENCE * (most + horizon):
            return

        def series(voice: Voice) -> SessionSeries:
            scores = voice.unseen(session).filter(pl.col("session") >= first - horizon)
            return self.past.measured(scores, session)

        d = series(new.voice).minus(series(old.voice)).between(first, session)
        finding = guard(d, self.guarding, overlap=overlap)
        if finding.worse:
            back = replace(old, entry=len(self.ledger) + 1, session=session, action="rollback")
            self.ledger.append(back)
            reason = f"worse than version {old.version}, which it replaced (z {finding.z:.2f}, bar {finding.bar:.2f})"
            self.events.append(Event(session, "rollback", "guard", back.version, reason, finding.document()))

    def _guarded(self) -> tuple[Serving, Serving] | None:
        """Return the promotion that is under guard and what served before it."""
        now = self.now
        if now is None:
            return None
        promotion = next(entry for entry in self.ledger if entry.version == now.version)
        last = next(entry for entry in reversed(self.ledger) if entry.version == now.version and entry.action != "harm")
        before = [e for e in self.ledger if e.entry < promotion.entry and e.version != now.version]
        if last.action == "rollback" or not before:
            return None
        old = before[-1]
        return None if old.provisional or old.stream not in self._proven else (promotion, old)

    def _watch_champion(self, session: int) -> None:
        """Let the harm alarm look at what was served; it ends the stream behind a champion that has turned bad."""
        now = self.now
        if now is None or now.provisional:
            return
        finding = harm(self._live(session), self.gate, overlap=self.past.spec.overlap)
        if not finding.alarm:
            return
        fallen = replace(now, entry=len(self.ledger) + 1, session=session, action="harm", provisional=True)
        self.ledger.append(fallen)
        self._proven.discard(now.stream)
        if now.stream == self._stream:
            self._begun.append(session)
        reason = f"worse than chance on its own last {finding.n} sessions (z {finding.z:.2f}, alarm at {finding.bar:g})"
        self.events.append(Event(session, "harm", "harm", now.version, reason, finding.document()))

    def _live(self, session: int) -> SessionSeries:
        """Return the deciding series of the reign: each session scored by the version that served from its close on."""
        pieces, last = [], session
        for serving in self._reign():
            said = serving.voice.unseen(session)
            pieces.append(said.filter(pl.col("session") <= last))
            last = min(last, serving.through)
        return self.past.live(pieces[::-1], session)

    def _reign(self) -> Iterator[Serving]:
        """Yield the champion and those whose evidence it inherits, newest first."""
        for entry in reversed(self.ledger):
            if entry.provisional:
                return
            yield entry
            if entry.action != "refresh":
                return


def replay(
    past: Past,
    policies: Sequence[Policy],
    nights: Sequence[int],
    *,
    candidate: Callable[[int], Fitted],
    gate: GatePolicy,
    guarding: GuardPolicy | None = None,
    on_night: Callable[[int], None] | None = None,
) -> tuple[Course, ...]:
    """Let each policy live through the closes of `nights`.

    Every policy trains on the first night: before it there is nothing to serve. Extending the history changes no event
    of an earlier night.

    Parameters
    ----------
    nights : session numbers, ascending
    candidate : function of a session
        Makes the model that the complete recipe makes at its close; asked at most once a night.
    gate, guarding : GatePolicy, GuardPolicy
        The numbers of ``[gate]`` and ``[guard]``.
    on_night : function of a session, optional
        Called when its night is over.
    """
    courses = tuple(Course(past, policy, gate, guarding) for policy in policies)
    for session in nights:
        made: list[Fitted] = []

        def tonight(session: int = session, made: list[Fitted] = made) -> Fitted:
            if not made:
                made.append(candidate(session))
            return made[0]

        for course in courses:
            course.night(session, tonight)
        if on_night is not None:
            on_night(session)
    return courses
