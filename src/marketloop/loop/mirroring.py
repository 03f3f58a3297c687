"""Feed the mirrors from the outbox; a mirror that is away is late, never a failure."""

from __future__ import annotations

from marketloop.loop.house import House
from marketloop.runtime.logging import get_logger
from marketloop.tracking import Drained, MlflowMirror, drain

__all__ = ["drain_mirrors"]


def drain_mirrors(house: House) -> Drained:
    """Send what waits to MLflow and log what could not be sent; nothing is raised."""
    if not house.settings.tracking.enabled:
        return Drained()
    mirror = MlflowMirror(
        uri=house.settings.tracking.uri or f"sqlite:///{house.project.mlflow_db}",
        artifact_root=house.project.mlartifacts,
        models=house.registry.root,
    )
    drained = drain(house.state, mirror, at=house.clock.now())
    if drained.failed:
        get_logger("loop").warning("mlflow is behind", waiting=drained.failed, reason=drained.reason)
    return drained
