"""`RetrainingService`: the loop inside somebody else's Python program."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from marketloop.core.errors import FailedError
from marketloop.loop.conditions import why_not_now
from marketloop.loop.events import drain_events
from marketloop.loop.helm import open_helm
from marketloop.loop.house import House, enabled_families, open_house
from marketloop.loop.mirroring import drain_views
from marketloop.loop.ringing import ring
from marketloop.loop.runs import run_request
from marketloop.loop.status import status_document
from marketloop.loop.steering import roll_back
from marketloop.loop.worker import Worker
from marketloop.runtime.logging import get_logger
from marketloop.runtime.project import find_project
from marketloop.state import cycles, requests
from marketloop.state.requests import Wish

__all__ = ["Retrained", "RetrainingService"]

JOIN_S: Final = 10.0
FEWEST_KEPT: Final = 3


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came of a retraining.

    Parameters
    ----------
    outcome : str
        ``promoted, provisional, refused, skipped`` or ``failed``.
    models_trained : tuple of str
        Families of which a version was made, promoted or not.
    errors : mapping of family to sentence
        Families that failed; under ``cycle`` what kept the whole cycle from ending.
    request_id, cycle_id : str, str or None
    why_not : str
        Why nothing was trained; empty otherwise.
    document : mapping
        The ``retrain`` document, empty when the cycle did not end.
    """

    outcome: str
    models_trained: tuple[str, ...]
    errors: Mapping[str, str]
    request_id: str
    cycle_id: str | None = None
    why_not: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)


class RetrainingService:
    """Retrains a project on demand, by schedule and on events, without stopping the program that it lives in.

    Cycles run in processes of their own; `start` adds a thread that plans and reacts. A context manager: leaving it
    stops what was started. What is None follows the project's settings.

    Parameters
    ----------
    project : path of a project, optional
        By default the one around the working directory.
    training_data_path : path, optional
        File of training data that must be there before a retraining (``[retraining] training_data_path``).
    min_retraining_interval_hours : float, optional
        Distance of retrainings that events or drift ask for; 24 unless the project says otherwise.
    min_new_samples : int, optional
        Labels that must have become known since the last training; 100 unless the project says otherwise.
    auto_backup : bool
        Keep earlier versions as ``[registry] keep`` says. False keeps as few as can be, three; the champion and the
        one before are always among them, a rollback never finds nothing.

    Raises
    ------
    UsageError
        There is no project, or a setting is wrong.
    """

    def __init__(
        self,
        project: Path | str | None = None,
        training_data_path: Path | str | None = None,
        min_retraining_interval_hours: float | None = None,
        min_new_samples: int | None = None,
        auto_backup: bool = True,
    ) -> None:
        self._root = find_project(Path.cwd(), explicit=None if project is None else Path(project)).root
        data = None if training_data_path is None else str(Path(training_data_path).expanduser().absolute())
        self._given: dict[str, Any] = {
            "retraining.training_data_path": data,
            "retraining.min_interval_hours": min_retraining_interval_hours,
            "retraining.min_new_samples": min_new_samples,
            "registry.keep": None if auto_backup else FEWEST_KEPT,
        }
        self._house = self._open()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether `start` or `listen` has put a worker to work, and nobody has stopped it."""
        return self._thread is not None and self._thread.is_alive()

    def retrain(self, families: Sequence[str] | None = None, reason: str = "", force: bool = False) -> Retrained:
        """Run one cycle and wait for its end.

        Parameters
        ----------
        families : names, all enabled ones by default
        reason : str
            Why; with `force` it is demanded.
        force : bool
            Overrule skill test, comparison and conditions; never the hard checks.

        Raises
        ------
        UsageError
            A family is unknown, or a forced retraining says no reason.
        """
        names = (families,) if isinstance(families, str) else tuple(families or ())
        request = run_request(
            self._house,
            Wish("manual", reason, tuple(dict.fromkeys(names)), force=force, requested_by="python"),
            environ=self._environ(),
        )
        with self._house.state.read() as db:
            cycle = None if request.cycle_id is None else cycles.get(db, request.cycle_id)
        document = {} if cycle is None else cycle.document
        turns = document.get("families", [])
        errors = {str(turn["family"]): str(turn["error"]) for turn in turns if turn.get("error")}
        if request.state == requests.FAILED and not errors:
            errors = {"cycle": request.why_not}
        return Retrained(
            outcome=request.outcome,
            models_trained=tuple(str(turn["family"]) for turn in turns if turn.get("version") is not None),
            errors=errors,
            request_id=request.id,
            cycle_id=request.cycle_id,
            why_not=request.why_not if request.state == requests.SKIPPED else "",
            document=document,
        )

    def status(self) -> dict[str, Any]:
        """Return the `status` document."""
        return status_document(self._house)

    def stats(self) -> dict[str, Any]:
        """Return how often was retrained, when last, and whether an event could cause a retraining now, or why not."""
        house = self._house
        with house.state.read() as db:
            total, last = cycles.count(db), cycles.recent(db, limit=1)
        at = house.clock.now()
        reasons = {name: why_not_now(house, name, trigger="event", at=at) for name in enabled_families(house)}
        free = any(reason is None for reason in reasons.values())
        why = "" if free else "; ".join(dict.fromkeys(str(reason) for reason in reasons.values()))
        return {
            "total_retrainings": total,
            "last_retraining": last[0].started_at.isoformat() if last else None,
            "last_outcome": last[0].outcome if last else None,
            "min_interval_hours": house.settings.retraining.min_interval_hours,
            "min_new_samples": house.settings.retraining.min_new_samples,
            "can_retrain_now": free,
            "why_not": why or (None if free else "no family is enabled"),
        }

    def start(self) -> None:
        """Put a worker to work on a thread: schedules, requests, and events where the project opts in to them.

        Returns once the worker has done its first round, or stands by because another one is in charge. Starting
        twice is starting once.

        Raises
        ------
        MarketLoopError
            The ledger cannot be reached, or a setting is wrong.
        """
        if self.running:
            return
        self._ending.clear()
        house = self._open()
        worker = Worker(house, environ=self._environ())
        try:
            worker.tick()
        except BaseException:
            worker.stop()
            house.close()
            raise
        self._thread = threading.Thread(target=self._work, args=(worker, house), name="marketloop", daemon=True)
        self._thread.start()

    def listen(self) -> None:
        """Like `start`, but events and drift may retrain whatever ``[retraining] on_events`` says."""
        if self._given.get("retraining.on_events") is not True:
            self.stop()
            self._given["retraining.on_events"] = True
            self._house.close()
            self._house = self._open()
        self.start()

    def stop(self) -> None:
        """Stop the worker; a running cycle of its own is stopped and recorded as failed, within ten seconds.

        Raises
        ------
        FailedError
            The worker did not end in time.
        """
        thread, self._thread = self._thread, None
        self._ending.set()
        if thread is None:
            return
        thread.join(timeout=JOIN_S)
        if thread.is_alive():
            raise FailedError(f"the worker did not end within {JOIN_S:g} s; it ends with the program")

    def rollback(self, family: str | None = None, reason: str = "rolled back from Python") -> dict[str, Any]:
        """Let the version before the champion serve again, and return the `rollback` document.

        Parameters
        ----------
        family : str, optional
            The primary one by default.
        reason : str
            Why; it is recorded.

        Raises
        ------
        RefusedError
            There is nothing to go back to.
        """
        name = self._house.catalog.family(family or self._house.settings.serve.primary).name
        with open_helm(self._root) as helm:
            document = roll_back(helm, name, to=None, reason=reason)
            drain_views(helm)
            ring(helm)
        drain_events(self._house)
        return document

    def close(self) -> None:
        """Stop what was started and give the ledger back."""
        try:
            self.stop()
        finally:
            self._house.close()

    def _open(self) -> House:
        return open_house(self._root, flags=self._given)

    def _environ(self) -> dict[str, str]:
        """Return what was given to the service as the environment of its cycles."""
        given = {key: value for key, value in self._given.items() if value is not None}
        return {f"MARKETLOOP_{key.upper().replace('.', '__')}": _word(value) for key, value in given.items()}

    def _work(self, worker: Worker, house: House) -> None:
        try:
            worker.run(self._ending.is_set)
        finally:
            house.close()
            get_logger("loop").info("the worker has ended")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
