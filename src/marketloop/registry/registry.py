"""The registry: keeps candidates, makes champions in one transaction, and survives being killed at any step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from marketloop.core.errors import MarketLoopError, RefusedError, UsageError
from marketloop.registry import artefacts, recovery, retention, standing
from marketloop.registry.artefacts import Artefact
from marketloop.registry.demotion import Demotion, demote
from marketloop.registry.ruling import Ruling
from marketloop.registry.standing import Back
from marketloop.runtime.files import delete
from marketloop.state import (
    Connection,
    Slot,
    State,
    champions,
    decisions,
    lease,
    outbox,
    scoreboards,
    this_process,
    versions,
)
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.lease import Lease
from marketloop.state.scoreboards import Prediction
from marketloop.state.versions import Version

__all__ = ["Candidate", "Registry"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fitted model on disk, not examined yet.

    Parameters
    ----------
    slot : Slot
    version : int
    path : Path
        Its artefact folder.
    sha256 : str
        Hash of its manifest, which holds the hashes of all files.
    """

    slot: Slot
    version: int
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Versions on disk and in the ledger.

    Parameters
    ----------
    root : Path
        E.g. ``models/registry``; holds ``<family>/<config_key>/v<int>/``.
    state : State
    topics : sequence of str
        Mirrors that hear of every change through the outbox; name only those that somebody drains.
    """

    root: Path
    state: State
    topics: Sequence[str] = ("mlflow",)

    def write_candidate(
        self, slot: Slot, *, parts: Mapping[str, bytes], manifest: Mapping[str, Any], at: datetime
    ) -> Candidate:
        """Keep a fitted model under the next version number of its slot.

        Parameters
        ----------
        parts : mapping of file name to content
        manifest : mapping
            At least ``data_version, features, recipe, seed, threads``; also ``params, git_commit, trained_through``
            (session number) and ``stream_id`` where known.

        Raises
        ------
        UsageError
            A part or the manifest is not as expected; nothing is written.
        FailedError
            The disk or the database refused; what was written is removed.
        """
        artefacts.check_input(parts, manifest)
        with self.state.write() as db:
            reserved = versions.allocate(db, slot, process=this_process(), at=at)
        about = artefacts.describe(slot, reserved.version, manifest, at=at)
        try:
            sha256 = artefacts.write(self.root, slot, reserved.version, parts=parts, about=about)
            with self.state.write() as db:
                versions.complete(db, _filled(reserved, about, sha256))
        except BaseException:
            self._abandon(reserved)
            raise
        path = self.root / artefacts.folder_of(slot, reserved.version)
        return Candidate(slot, reserved.version, path, sha256)

    def load(self, slot: Slot, version: int) -> Artefact:
        """Return a version's manifest and parts, every hash checked before anything is parsed.

        Raises
        ------
        UsageError
            There is no such version, or retention deleted it.
        FailedError
            A file is missing or damaged.
        """
        with self.state.read() as db:
            found = versions.require(db, slot, version)
        if found.state != "complete":
            raise UsageError(f"version {version} of {slot} has no artefact: it is {found.state}")
        return artefacts.read(self.root / found.path, found.sha256)

    def examined(
        self,
        slot: Slot,
        version: int,
        *,
        metrics: Mapping[str, Any],
        baseline: Mapping[str, Any],
        scorecard: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Record the figures of a version's examination beside those of no skill on the same rows."""
        with self.state.write() as db:
            versions.examined(db, slot, version, metrics=metrics, baseline=baseline, scorecard=scorecard)
            self._tell(db, slot, version, what="examined", at=at)

    def write_scoreboard(self, slot: Slot, version: int, predictions: Iterable[Prediction], *, at: datetime) -> int:
        """Journal what a version says of every ticker, durably, before it is served; return how many are new."""
        with self.state.write_scores() as db:
            written = scoreboards.write(db, slot, version, predictions, at=at)
        self.state.scores.sync()
        return written

    def promote(
        self, slot: Slot, version: int, ruling: Ruling, *, expected: int, held: Lease, at: datetime
    ) -> Champion:
        """Make `version` the champion of its slot: one transaction, the commit point of a cycle.

        Parameters
        ----------
        expected : int
            `Champion.entry` that the version was compared with, 0 for none.
        held : Lease
            The lease of the cycle; its token is checked inside the transaction.

        Raises
        ------
        RefusedError
            The slot is pinned.
        FailedError
            The artefact is damaged, the lease is lost, or the champion changed meanwhile; nothing is changed.
        """
        if not ruling.is_served:
            raise UsageError(f'verdict "{ruling.verdict}" promotes nothing; use refuse')
        manifest = self.load(slot, version).manifest
        with self.state.write() as db:
            lease.check(db, held)
            standing.check_pin(db, slot)
            row = versions.require(db, slot, version)
            decision = decisions.record(db, ruling.decision(slot, version, at))
            entry = _entry(row, manifest, ruling, decision, at)
            champion = champions.append(db, entry, expected=expected)
            versions.ruled(db, slot, version, ruling.verdict)
            self._tell(db, slot, version, what=ruling.verdict, at=at, decision=decision)
        return champion

    def refuse(self, slot: Slot, version: int | None, ruling: Ruling, *, at: datetime) -> Decision:
        """Record that a candidate is not promoted, or (version None) that none came to be; the champion stays."""
        if ruling.is_served:
            raise UsageError(f'verdict "{ruling.verdict}" makes a champion; use promote')
        with self.state.write() as db:
            decision = decisions.record(db, ruling.decision(slot, version, at))
            if version is not None:
                versions.ruled(db, slot, version, ruling.verdict)
                self._tell(db, slot, version, what=ruling.verdict, at=at, decision=decision)
        return decision

    def demote(self, slot: Slot, why: Demotion, *, expected: int, held: Lease, at: datetime) -> Champion:
        """Make the champion provisional in one transaction: it stays, its signals are HOLD, its recipe begins anew.

        Parameters
        ----------
        expected : int
            `Champion.entry` of the champion that was judged.
        held : Lease
            The lease of the cycle; its token is checked inside the transaction.

        Raises
        ------
        FailedError
            The lease is lost, or the champion changed meanwhile; nothing is changed.
        """
        with self.state.write() as db:
            lease.check(db, held)
            champion, decision = demote(db, slot, why, expected=expected, at=at)
            self._tell(db, slot, champion.version, what="harm", at=at, decision=decision)
        return champion

    def rollback(
        self,
        slot: Slot,
        *,
        to: int | None = None,
        reason: str | Back,
        at: datetime,
        expected: int | None = None,
        held: Lease | None = None,
    ) -> Champion:
        """Let the version before the champion, or version `to`, serve again with the status it last served in.

        A version whose recipe has lost its skill meanwhile comes back as provisional.

        Parameters
        ----------
        reason : str or Back
            Why; `Back` for a decision with numbers, or by the guard.
        expected : int, optional
            `Champion.entry` that was judged; by hand it is whichever serves now.
        held : Lease, optional
            The lease of the cycle that decided; its token is checked inside the transaction.

        Raises
        ------
        RefusedError
            There is nothing to go back to, `to` serves already or never served, or the slot is pinned.
        FailedError
            The artefact of that version is damaged, the lease is lost, or the champion changed meanwhile; nothing is
            changed.
        """
        why = reason if isinstance(reason, Back) else Back(reason)
        with self.state.read() as db:
            now, target = standing.rollback_target(db, slot, to)
        if expected is not None:
            now = replace(now, entry=expected)
        self.load(slot, target.version)
        with self.state.write() as db:
            if held is not None:
                lease.check(db, held)
            champion, decision = standing.roll_back(db, now, target, why, at=at)
            self._tell(db, slot, target.version, what="rollback", at=at, decision=decision)
        return champion

    def pin(self, slot: Slot, *, on: bool, reason: str, at: datetime, expected: int | None = None) -> Champion:
        """Pin the slot to its champion, so that nothing replaces it and nothing is trained, or free it again.

        Parameters
        ----------
        expected : int, optional
            `Champion.entry` that is meant; whichever serves now otherwise.

        Raises
        ------
        RefusedError
            There is no champion, or it is so already.
        FailedError
            The champion is another entry than `expected` meanwhile; nothing is changed.
        """
        with self.state.write() as db:
            now = champions.current(db, slot)
            if now is None:
                raise RefusedError(f"{slot} has no champion that could be pinned; run `marketloop retrain`")
            if expected is not None:
                now = replace(now, entry=expected)
            champion, decision = standing.pin(db, now, on=on, reason=reason, at=at)
            self._tell(db, slot, champion.version, what="pin", at=at, decision=decision)
        return champion

    def champion(self, slot: Slot, *, at: datetime | None = None) -> Champion | None:
        """Return the entry of the champion ledger that holds now, or that held at a moment."""
        with self.state.read() as db:
            return champions.current(db, slot) if at is None else champions.at(db, slot, at)

    def prune(self, slot: Slot, *, keep: int = 10) -> tuple[int, ...]:
        """Delete the artefacts of all but the newest `keep` versions, never of one that `retention.protected` names.

        Rows, decisions and figures stay; return the deleted version numbers.
        """
        return retention.prune(self.root, self.state, slot, keep=keep)

    def recover(self) -> recovery.Recovered:
        """Remove what killed processes left; call it on start, before anything is served or trained."""
        return recovery.recover(self.root, self.state)

    def _abandon(self, reserved: Version) -> None:
        # What cannot be undone now (the disk is full, the database away) is left to `recover`.
        with suppress(MarketLoopError), self.state.write() as db:
            versions.mark(db, reserved.slot, reserved.version, "abandoned")
        for place in (artefacts.partial_of, artefacts.folder_of):
            with suppress(MarketLoopError):
                delete(self.root / place(reserved.slot, reserved.version))

    def _tell(
        self, db: Connection, slot: Slot, version: int, *, what: str, at: datetime, decision: Decision | None = None
    ) -> None:
        number = decision.id if decision else 0
        payload = {
            "family": slot.family,
            "config_key": slot.config_key,
            "version": version,
            "what": what,
            "decision": number,
        }
        for topic in self.topics:
            key = f"{topic}:{slot.family}:{slot.config_key}:{version}:{what}:{number}"
            outbox.append(db, topic, key=key, payload=payload, at=at)


def _filled(reserved: Version, about: Mapping[str, Any], sha256: str) -> Version:
    return replace(
        reserved,
        recipe=str(about["recipe"]),
        params=dict(about.get("params", {})),
        data_version=str(about["data_version"]),
        sha256=sha256,
        path=artefacts.folder_of(reserved.slot, reserved.version).as_posix(),
    )


def _entry(row: Version, manifest: Mapping[str, Any], ruling: Ruling, decision: Decision, at: datetime) -> Champion:
    return Champion(
        slot=row.slot,
        version=row.version,
        action=ruling.action,
        status=ruling.status,
        skill_proven=ruling.skill_proven,
        recorded_at=at,
        promoted_at=at,
        trained_at=row.trained_at,
        data_version=row.data_version,
        sha256=row.sha256,
        decision_id=decision.id,
        session=ruling.session,
        trained_through=manifest.get("trained_through"),
        stream_id=manifest.get("stream_id"),
    )
