"""Mirrors versions, figures and roles into MLflow, from the outbox; MLflow away is a late mirror, never a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from marketloop.core.errors import UsageError
from marketloop.runtime.faults import step
from marketloop.state import State, champions, outbox
from marketloop.state.outbox import Drained, Message
from marketloop.tracking import client
from marketloop.tracking.snapshot import Snapshot, snapshot, snapshot_of

__all__ = ["TOPIC", "MlflowMirror", "drain", "put_back"]

TOPIC: Final = "mlflow"
OnRepair = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MlflowMirror:
    """An MLflow tracking store and model registry.

    Making one costs nothing; MLflow is imported (seconds) by the first `send`.

    Parameters
    ----------
    uri : str
        ``sqlite:///path/to/mlflow.db``, ``postgresql://...`` or ``https://...``.
    artifact_root : Path
        Folder of MLflow's own artifacts, e.g. ``mlartifacts``.
    models : Path
        The registry's root: model versions point there, nothing is copied.
    """

    uri: str
    artifact_root: Path
    models: Path

    def __post_init__(self) -> None:
        if "://" not in self.uri or self.uri.startswith("file:"):
            raise UsageError(f'[tracking] uri "{self.uri}": expected sqlite:///path/to/mlflow.db or an address')

    def send(self, seen: Snapshot) -> tuple[str, ...]:
        """Copy a version into MLflow; sending it again changes nothing. Return what had been changed by hand there."""
        with step("mirror.send"):
            return client.send(self.uri, self.artifact_root, self.models, seen)

    def put_back(self, seen: Snapshot) -> tuple[str, ...]:
        """Put the aliases of a slot where they belong; return which had been moved by hand."""
        with step("mirror.send"):
            return client.put_back(self.uri, seen)

    @property
    def is_there(self) -> bool:
        """Whether something may have been sent before: a server is asked, a SQLite file must exist."""
        return not self.uri.startswith("sqlite:///") or Path(self.uri.removeprefix("sqlite:///")).exists()


def drain(state: State, mirror: MlflowMirror, *, at: datetime, on_repair: OnRepair | None = None) -> Drained:
    """Send what waits for MLflow; return how many went, and why the rest did not.

    Nothing is raised: what could not be sent waits for the next drain. MLflow is not imported when nothing waits.

    Parameters
    ----------
    on_repair : function of a sentence, optional
        Hears of each alias that somebody had moved by hand.
    """
    with state.read() as db:
        if not outbox.waiting(db, [TOPIC]):
            return Drained()

    def deliver(message: Message) -> None:
        _tell(mirror.send(snapshot(state, message)), on_repair)

    return outbox.drain(state, {TOPIC: deliver}, at=at)


def put_back(state: State, mirror: MlflowMirror, *, on_repair: OnRepair | None = None) -> Drained:
    """Put every alias in MLflow where the ledger says it belongs; return for how many slots, and why not for the rest.

    Nothing is raised. MLflow is not imported where no champion was ever made or nothing can have been sent.
    """
    with state.read() as db:
        held = [champions.current(db, slot) for slot in champions.slots(db)]
    if not mirror.is_there:
        return Drained()
    done = 0
    for champion in held:
        if champion is None:
            continue
        try:
            _tell(mirror.put_back(snapshot_of(state, champion.slot, champion.version)), on_repair)
        except Exception as error:  # noqa: BLE001 - MLflow may raise anything, and a mirror fails nothing
            said = str(error).strip().splitlines()
            return Drained(done, 1, f"{type(error).__name__}: {said[0] if said else ''}"[:500])
        done += 1
    return Drained(done)


def _tell(sentences: tuple[str, ...], on_repair: OnRepair | None) -> None:
    for sentence in sentences:
        if on_repair is not None:
            on_repair(sentence)
