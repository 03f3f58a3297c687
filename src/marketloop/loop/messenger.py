"""A process of its own that tells the channels: no command and no cycle waits for one that does not answer."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.alarms import Place, deliver, due, is_listened_to, write_down
from marketloop.loop.helm import open_helm
from marketloop.loop.pulse import LEASE, is_fresh
from marketloop.runtime.faults import VARIABLE
from marketloop.runtime.logging import get_logger, set_up_logging
from marketloop.state import heartbeats

__all__ = ["hand_over", "main"]

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
            [sys.executable, "-m", "marketloop.loop.messenger", str(place.project.root)],
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


def main(root: Path) -> int:
    """Tell the channels of the project `root` what waits for them, and return how many were told."""
    with open_helm(root) as helm:
        set_up_logging(helm.project.logs)
        if not helm.settings.plugins:
            return deliver(helm)
    # Loaded only here: whoever hands over must be quick, and a house takes frames and models to open.
    with importlib.import_module("marketloop.loop.house").open_house(root) as house:
        return deliver(house)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
