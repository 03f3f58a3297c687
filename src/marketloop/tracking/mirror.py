"""Mirrors versions, figures and roles into MLflow, from the outbox; MLflow away is a late mirror, never a failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from marketloop.core.errors import UsageError
from marketloop.state import State, outbox
from marketloop.state.outbox import Drained
from marketloop.tracking import client
from marketloop.tracking.snapshot import Snapshot, snapshot

__all__ = ["TOPIC", "MlflowMirror", "drain"]

TOPIC: Final = "mlflow"


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

    def send(self, seen: Snapshot) -> None:
        """Copy a version into MLflow; sending it again changes nothing."""
        client.send(self.uri, self.artifact_root, self.models, seen)


def drain(state: State, mirror: MlflowMirror, *, at: datetime) -> Drained:
    """Send what waits for MLflow; return how many went, and why the rest did not.

    Nothing is raised: what could not be sent waits for the next drain. MLflow is not imported when nothing waits.
    """
    with state.read() as db:
        if not outbox.waiting(db, [TOPIC]):
            return Drained()
    return outbox.drain(state, {TOPIC: lambda message: mirror.send(snapshot(state, message))}, at=at)
