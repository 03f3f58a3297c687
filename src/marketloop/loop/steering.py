"""What a person does at the helm: roll back, pin, and change a rollout; quick, audited, and never half-done."""

from __future__ import annotations

from typing import Any

from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop.helm import Helm
from marketloop.registry.standing import examined_decision
from marketloop.state import champions, rollouts, scoreboards, versions
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout

__all__ = ["pin", "roll_back", "rollout_document", "rollouts_of", "set_rollout", "unpin"]


def roll_back(helm: Helm, family: str, *, to: int | None, reason: str, config_key: str | None = None) -> dict[str, Any]:
    """Let an earlier version serve again, and return the `rollback` document.

    Its predictions lie in the journal already; where they are of an older session than those of the version that goes,
    the next `predict` scores it anew, and until then it answers as of `as_of`.
    """
    slot = helm.slot(family, config_key)
    before = helm.registry.champion(slot)
    now = helm.registry.rollback(slot, to=to, reason=reason, at=helm.clock.now())
    gone = before.version if before is not None else now.version
    with helm.state.scores.read() as db:
        own, newest = (scoreboards.latest_session(db, slot, version) for version in (now.version, gone))
    return {
        **_standing(helm, now),
        "from": gone,
        "to": now.version,
        "reason": reason,
        "as_of": None if own is None else own.isoformat(),
        "stale": own is None or (newest is not None and own < newest),
    }


def pin(
    helm: Helm, family: str, version: int | None = None, *, reason: str = "", config_key: str | None = None
) -> dict[str, Any]:
    """Serve exactly this version and train nothing more; return the `pin` document.

    A version that served earlier comes back by a rollback first; one that never did is promoted first, by hand. Where
    another version comes to serve in between, nothing is pinned.
    """
    slot = helm.slot(family, config_key)
    now = helm.registry.champion(slot)
    expected = None if now is None or version is None else now.entry
    if version is not None and (now is None or now.version != version):
        why = f"to be pinned: {reason.strip() or 'no reason given'}"
        back = helm.registry.rollback(slot, to=version, reason=why, at=helm.clock.now(), expected=expected)
        expected = back.entry
    pinned = helm.registry.pin(slot, on=True, reason=reason, at=helm.clock.now(), expected=expected)
    return {**_standing(helm, pinned), "reason": reason}


def unpin(helm: Helm, family: str, *, reason: str = "", config_key: str | None = None) -> dict[str, Any]:
    """Let the cycle train and promote again; return the `pin` document."""
    slot = helm.slot(family, config_key)
    free = helm.registry.pin(slot, on=False, reason=reason, at=helm.clock.now())
    return {**_standing(helm, free), "reason": reason}


def set_rollout(
    helm: Helm,
    family: str,
    *,
    mode: str,
    version: int | None,
    share: float | None,
    reason: str,
    config_key: str | None = None,
) -> dict[str, Any]:
    """Change how a second version takes part in a slot, and return the `rollout` document of that slot.

    The tickers are drawn by family, configuration and version, so that a larger share keeps those that were in the
    smaller one. A version that is to answer must have passed the hard checks; a shadow must only be readable.

    Raises
    ------
    UsageError
        The mode, the version or the share makes no sense.
    RefusedError
        The version serves already, or a hard check failed, or the slot has no champion beside which it could speak.
    """
    slot = helm.slot(family, config_key)
    with helm.state.read() as db:
        last = rollouts.current(db, slot)
    wanted = Rollout(
        slot,
        mode,
        None if mode == "off" else version,
        _share(mode, share, last if last is not None and last.version == version else None),
        "" if version is None or mode == "off" else f"{slot.family}:{slot.config_key}:{version}",
        reason,
        helm.clock.now(),
    )
    if mode == "off" and (last is None or last.mode == "off"):
        raise RefusedError(f"no rollout of {slot} is going on: there is nothing to switch off")
    if wanted.version is not None:
        _check_version(helm, wanted, wanted.version)
    with helm.state.write() as db:
        if wanted.version is not None and (row := versions.require(db, slot, wanted.version)).state != "complete":
            raise UsageError(f"version {row.version} of {slot} has no artefact: it is {row.state}")
        entry = rollouts.append(db, wanted, expected=last.entry if last else 0)
    return {"rollouts": [rollout_document(entry)]}


def rollouts_of(helm: Helm, family: str | None = None) -> dict[str, Any]:
    """Return the `rollout` document: what holds now in every slot that ever had one."""
    with helm.state.read() as db:
        found = [rollouts.current(db, slot) for slot in rollouts.slots(db) if family in {None, slot.family}]
    return {"rollouts": [rollout_document(entry) for entry in found if entry is not None]}


def rollout_document(entry: Rollout) -> dict[str, Any]:
    """Return an entry as JSON values."""
    return {
        "family": entry.slot.family,
        "config_key": entry.slot.config_key,
        "mode": entry.mode,
        "version": entry.version,
        "share": entry.share,
        "salt": entry.salt,
        "reason": entry.reason,
        "recorded_at": entry.recorded_at.isoformat(),
        "entry": entry.entry,
    }


def _share(mode: str, asked: float | None, last: Rollout | None) -> float:
    """Return the share that was asked for, else the one that holds, else a tenth or, for ``ab``, the half."""
    if mode not in {"canary", "ab"}:
        if asked:
            raise UsageError(f"--share {asked:g}: a version in mode {mode} answers for nobody; leave it out")
        return 0.0
    if asked is not None:
        return asked
    if last is not None and last.answers:
        return last.share
    return 0.5 if mode == "ab" else 0.1


def _check_version(helm: Helm, wanted: Rollout, version: int) -> None:
    slot = wanted.slot
    now = helm.registry.champion(slot)
    if now is None:
        raise RefusedError(f"{slot} has no champion beside which another version could speak: run `marketloop retrain`")
    if now.version == version:
        raise RefusedError(f"version {version} of {slot} is the champion: name the version that is to be tried")
    with helm.state.read() as db:
        row = versions.require(db, slot, version)
        if wanted.answers:
            examined_decision(db, row)
    helm.registry.load(slot, version)


def _standing(helm: Helm, now: Champion) -> dict[str, Any]:
    with helm.state.read() as db:
        row = versions.require(db, now.slot, now.version)
        back = champions.previous(db, now.slot)
    return {
        "family": now.slot.family,
        "config_key": now.slot.config_key,
        "version": now.version,
        "previous": None if back is None else back.version,
        "status": now.status,
        "skill_proven": now.skill_proven,
        "pinned": now.pinned,
        "metrics": row.metrics,
        "baseline": row.baseline,
        "sha256": now.sha256,
        "decision": now.decision_id,
        "promoted_at": now.promoted_at.isoformat(),
    }
