"""Run a request and wait for its end: by the worker in charge, or in a process of its own where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping

from marketloop.core.errors import UsageError
from marketloop.loop.aftermath import close_request, record_stopped
from marketloop.loop.children import Child, stop_all
from marketloop.loop.house import House
from marketloop.loop.pulse import pulse
from marketloop.state import requests, this_process
from marketloop.state.requests import Request, Wish

__all__ = ["cycle_arguments", "run_request"]

STOP_S = 4.0
_LOOK_S = 0.2


def cycle_arguments(house: House, request: Request) -> tuple[str, ...]:
    """Return the command line of the process that runs `request`."""
    return ("--project", str(house.project.root), "retrain", "--request", request.id, "--tied", "--json")


def run_request(house: House, wish: Wish, *, environ: Mapping[str, str] | None = None) -> Request:
    """Record what is wanted, see to it that it is run, and return the request once it has ended.

    Raises
    ------
    UsageError
        A family is unknown, or a forced retraining says no reason.
    """
    for family in wish.families:
        house.catalog.family(family)
    if wish.force and not wish.reason.strip():
        raise UsageError('a forced retraining needs a reason, e.g. reason="the split was wrong": it is audited')
    with house.state.write() as db:
        request, _ = requests.ask(db, wish, process=this_process(), at=house.clock.now())
    child: Child | None = None
    try:
        while request.state in {requests.WAITING, requests.RUNNING}:
            if child is None and request.state == requests.WAITING and not pulse(house)["running"]:
                child = Child.start(cycle_arguments(house, request), environ)
            elif child is not None and child.exit_code is not None:
                _close(house, request, child)
                child.close()
                child = None
            time.sleep(_LOOK_S)
            with house.state.read() as db:
                request = requests.get(db, request.id) or request
    finally:
        if child is not None:
            _end(house, request, child)
    return request


def _end(house: House, request: Request, child: Child) -> None:
    """Let a process that has settled its request end; stop it, and say so, where it is us who were interrupted."""
    if request.state in {requests.WAITING, requests.RUNNING}:
        killed = bool(stop_all([child], patience=STOP_S))
        with house.state.write() as db:
            record_stopped(db, child, request, killed=killed, at=house.clock.now())
    elif not child.wait(STOP_S):
        stop_all([child], patience=STOP_S)
    child.close()


def _close(house: House, request: Request, child: Child) -> None:
    """Record what the process left open: a failure without a word, or a request that found another cycle running."""
    with house.state.write() as db:
        close_request(db, house, request, child)
        now = requests.get(db, request.id)
        if now is not None and now.state == requests.WAITING and child.exit_code == 0:
            why, at = "another cycle is running: wait for it, or look at `marketloop status`", house.clock.now()
            requests.settle(db, request.id, state=requests.SKIPPED, outcome="skipped", at=at, why_not=why)
