"""Claim a request before anything heavy is imported: whoever is first runs it."""

from __future__ import annotations

import os
from typing import Final

from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop.house import House
from marketloop.state import lease, requests, this_process
from marketloop.state.requests import Request

__all__ = ["claim", "give_way"]

NICENESS: Final = 10
"""Added to the niceness of a cycle that a worker runs: answers come first."""


def claim(house: House, request_id: str) -> Request:
    """Take a waiting request for this process, with the lease that tells others that it lives (`fulfil` renews it).

    Raises
    ------
    UsageError
        There is no such request.
    RefusedError
        It runs already, or has ended.
    """
    with house.state.write() as db:
        here, at = this_process(), house.clock.now()
        taken = requests.begin(db, request_id, process=here, at=at)
        if taken is not None:
            if lease.acquire(db, requests.lease_of(request_id), process=here, at=at) is None:
                raise RefusedError(f'request "{request_id}" is still held by the process that had it before: try later')
            return taken
        found = requests.get(db, request_id)
    if found is None:
        raise UsageError(f'no request "{request_id}": `marketloop status` lists them')
    where = f" in {found.process}" if found.state == requests.RUNNING else ""
    raise RefusedError(f'request "{request_id}" is {found.state}{where}: only a waiting one can be run')


def give_way() -> None:
    """Make this process give way to others, those that it starts included."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
