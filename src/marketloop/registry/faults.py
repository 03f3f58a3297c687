"""Every moment at which a promotion may be cut off, by name, so that a test can cut it off there."""

from __future__ import annotations

import os
import signal
from typing import Final

from marketloop.core.errors import UsageError

__all__ = ["POINTS", "VARIABLE", "point"]

POINTS: Final = (
    # step 1 of DESIGN "Promotion": the artefact folder
    "candidate.allocated",
    "candidate.folder.made",
    "candidate.file.written",
    "candidate.file.synced",
    "candidate.manifest.written",
    "candidate.manifest.synced",
    "candidate.folder.synced",
    "candidate.renamed",
    "candidate.parent.synced",
    # step 2: the candidate row
    "candidate.row.written",
    "candidate.row.committed",
    "examined.written",
    "examined.committed",
    # step 3: the scoreboard
    "scoreboard.written",
    "scoreboard.committed",
    "scoreboard.synced",
    # step 4: the commit point
    "promote.verified",
    "promote.decision.written",
    "promote.champion.written",
    "promote.outbox.written",
    "promote.committed",
    # beside the road: stream files, retention, recovery
    "stream.written",
    "stream.synced",
    "stream.renamed",
    "stream.parent.synced",
    "prune.committed",
    "prune.deleted",
    "recover.deleted",
    "recover.committed",
)
"""Names in the order in which a promotion passes them; each stands after the step it names."""

VARIABLE: Final = "MARKETLOOP_FAULT"
"""Set to ``name`` or ``name:n`` to kill the process when it passes the point for the n-th time."""

_name, _, _count = os.environ.get(VARIABLE, "").partition(":")
_left = {_name: int(_count or 1)} if _name else {}


def point(name: str) -> None:
    """Pass the point `name`: does nothing, unless the environment asks for death at it."""
    if name not in POINTS:
        raise UsageError(f'unknown fault point "{name}": list it in POINTS')
    if name in _left:
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
