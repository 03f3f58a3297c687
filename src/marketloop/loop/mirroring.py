"""Feed the mirrors from the outbox; a mirror that is away is late, never a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from marketloop.core.errors import MarketLoopError, RefusedError
from marketloop.loop.helm import Helm, model_views
from marketloop.registry import Synced
from marketloop.registry.views import TOPIC as VIEWS
from marketloop.runtime.logging import get_logger
from marketloop.state import outbox
from marketloop.state.outbox import Message
from marketloop.tracking import Drained, MlflowMirror, drain, put_back

if TYPE_CHECKING:  # a house costs seconds to import, and views are written by hand on the helm too
    from marketloop.loop.house import House

__all__ = ["OnRepair", "drain_mirrors", "drain_views", "repair_mirrors"]

OnRepair = Callable[[str, str], None]
"""Hears of each thing that somebody had changed by hand and that was put right: which mirror, and one sentence."""


def drain_mirrors(house: House, *, on_repair: OnRepair | None = None) -> Drained:
    """Bring views and MLflow up to date where something has changed; nothing is raised."""
    drain_views(house, on_repair=on_repair)
    if not house.settings.tracking.enabled:
        return Drained()
    drained = drain(house.state, _mirror(house), at=house.clock.now(), on_repair=_heard("mlflow", on_repair))
    if drained.failed:
        get_logger("loop").warning("mlflow is behind", waiting=drained.failed, reason=drained.reason)
    return drained


def drain_views(house: House | Helm, *, on_repair: OnRepair | None = None) -> Drained:
    """Write the views when the registry has changed since they were written; nothing is raised.

    However many messages wait, the views are written once: they show what holds now.
    """
    with house.state.read() as db:
        if not outbox.waiting(db, [VIEWS]):
            return Drained()
    done: list[Synced] = []

    def deliver(_: Message) -> None:
        if not done:
            done.append(_views(house))

    drained = outbox.drain(house.state, {VIEWS: deliver}, at=house.clock.now())
    for synced in done:
        _report(synced, on_repair)
    if drained.failed:
        get_logger("loop").warning("views are behind", reason=drained.reason)
    return drained


def repair_mirrors(house: House, *, thorough: bool = True, on_repair: OnRepair | None = None) -> tuple[str, ...]:
    """Put right what somebody has changed by hand, views and MLflow's aliases, and say what; call it on start.

    Nothing is raised: a mirror that cannot be reached is left for the next time. MLflow is asked only where something
    was sent to it before.
    """
    said: list[str] = []

    def hear(mirror: str, sentence: str) -> None:
        said.append(sentence)
        if on_repair is not None:
            on_repair(mirror, sentence)

    try:
        _report(_views(house, thorough=thorough), hear)
    except RefusedError as error:  # another process writes them at this moment
        get_logger("loop").info("views are being written", reason=str(error))
    except MarketLoopError as error:
        get_logger("loop").warning("views cannot be written", reason=str(error))
    if house.settings.tracking.enabled:
        drained = put_back(house.state, _mirror(house), on_repair=_heard("mlflow", hear))
        if drained.failed:
            get_logger("loop").warning("mlflow cannot be looked at", reason=drained.reason)
    return tuple(said)


def _views(house: House | Helm, *, thorough: bool = False) -> Synced:
    return model_views(house.project, house.settings, house.registry).sync(thorough=thorough)


def _report(synced: Synced, on_repair: OnRepair | None) -> None:
    hear = _heard("views", on_repair)
    for sentence in synced.repaired:
        hear(sentence)
    for sentence in synced.troubles:
        get_logger("loop").warning("a view was not written", reason=sentence)


def _heard(mirror: str, on_repair: OnRepair | None) -> Callable[[str], None]:
    def hear(sentence: str) -> None:
        get_logger("loop").warning("changed by hand and put right", mirror=mirror, what=sentence)
        if on_repair is not None:
            on_repair(mirror, sentence)

    return hear


def _mirror(house: House) -> MlflowMirror:
    return MlflowMirror(
        uri=house.settings.tracking.uri or f"sqlite:///{house.project.mlflow_db}",
        artifact_root=house.project.mlartifacts,
        models=house.registry.root,
    )
