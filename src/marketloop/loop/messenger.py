"""Hand over to somebody else who tells the channels: no command and no cycle waits for one that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.alarms import Place, due, is_listened_to, write_down
from marketloop.loop.pulse import LEASE, is_fresh
from marketloop.runtime.faults import VARIABLE
from marketloop.runtime.logging import get_logger
from marketloop.state import heartbeats

__all__ = ["hand_over"]

_SENT: Final[list[subprocess.Popen[bytes]]] = []


def hand_over(place: Place) -> subprocess.Popen[bytes] | None:
    """Have somebody else tell the channels what waits for them; bring ``alerts.log`` up to date at once.

    Where a loop runs it is the loop, within seconds. Otherwise a process is started that outlives this one, if there
    is anything to tell; it is returned. Nothing is raised: an alarm that is not told now waits in the ledger.
    """
    write_down(place)
    _SENT[:] = [process for process in _SENT if process.poll() is None]
    try:
        with place.state.read() as db:
            if is_fresh(heartbeats.last(db, LEASE), place.clock.now()):
                return None
        if not is_listened_to(place) or not due(place):
            return None
        process = subprocess.Popen(
            [sys.executable, "-m", "marketloop.loop.errand", str(place.project.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            start_new_session=True,
        )
    except (MarketLoopError, OSError) as error:
        get_logger("alarms").error("the channels are told later", reason=str(error))
        return None
    _SENT.append(process)
    return process
