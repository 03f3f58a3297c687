"""What every page and endpoint needs: the project, its settings, the desk that answers, the clock and the meters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from starlette.requests import HTTPConnection

from marketloop.registry import Registry, open_registry
from marketloop.runtime.clock import Clock, SystemClock, ticks
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings
from marketloop.serving.desk import Desk
from marketloop.state import State
from marketloop.state.sight import Glance
from marketloop.web.limits import Allowance, Limiter, Places
from marketloop.web.meters import Meters
from marketloop.web.problems import ProblemError
from marketloop.web.sessions import Sessions, session_secret

__all__ = ["Premises", "premises_of"]

SESSIONS_FILE: Final = ".session-secret"


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
    watchers : Places
        For those who watch a job; each is a look at the database twice a second.
    """

    project: Project
    settings: Settings
    desk: Desk
    clock: Clock = field(default_factory=SystemClock)
    meters: Meters = field(default_factory=Meters)
    watchers: Places = field(default_factory=lambda: Places(64))
    pulse: Glance = field(default_factory=Glance)

    @cached_property
    def _askers(self) -> Limiter:
        pace = self.settings.serve.asks_per_minute
        return Limiter(Allowance(pace / 60, max(1, round(pace))))

    def asked(self, client: str) -> None:
        """Count something that a page was asked to do; raise `ProblemError` 429 where `client` asks too fast."""
        wait = self._askers.take(client, ticks())
        if wait > 0:
            raise ProblemError(429, f"too many requests: ask again in {math.ceil(wait)} s")

    @cached_property
    def sessions(self) -> Sessions:
        """Signs the cookies of those who logged in."""
        return Sessions(session_secret(self.project.root / SESSIONS_FILE))

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
