"""What every page and endpoint needs: the project, its settings, the desk that answers, the clock and the meters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from marketloop.registry import Registry, open_registry
from marketloop.runtime.clock import Clock, SystemClock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings
from marketloop.serving.desk import Desk
from marketloop.state import State
from marketloop.state.sight import Glance
from marketloop.web.meters import Meters

__all__ = ["Premises", "premises_of"]


@dataclass(frozen=True)
class Premises:
    """Built once by ``marketloop serve`` and handed to the application.

    Parameters
    ----------
    project : Project
    settings : Settings
    desk : Desk
        Holds the scoreboards; `Desk.state` opens the databases.
    clock : Clock
    meters : Meters
        What ``/metrics`` shows.
    """

    project: Project
    settings: Settings
    desk: Desk
    clock: Clock = field(default_factory=SystemClock)
    meters: Meters = field(default_factory=Meters)
    pulse: Glance = field(default_factory=Glance)

    @property
    def state(self) -> State:
        """The project's databases; raises `FailedError` while they are away."""
        return self.desk.state

    @property
    def registry(self) -> Registry:
        """Artefacts and champions; whoever mirrors them hears of what is changed here."""
        return open_registry(self.project, self.settings, self.state)

    @property
    def families(self) -> Mapping[str, str]:
        """Families that have a champion, each with the configuration that answers by default."""
        return {slot.family: slot.config_key for slot in self.desk.view.boards}


def premises_of(connection: HTTPConnection) -> Premises:
    """Return the premises of the application that a request came to."""
    premises: Premises = connection.app.state.premises
    return premises
