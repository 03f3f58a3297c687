"""What lies where a view belongs and is somebody's own: told by its name, moved aside, never deleted unseen."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from marketloop.runtime.files import delete, disk_errors, rename

__all__ = ["MOST_ASIDE", "is_view_name", "set_aside"]

MOST_ASIDE: Final = 10
"""Files that were moved aside and stay, per folder; the oldest go. Folders stay until somebody deletes them."""
_VIEW: Final = re.compile(r"(backups/)?[A-Za-z0-9][A-Za-z0-9._-]*")
_OTHERS: Final = frozenset({"registry", "streams", "alerts.log"})
"""Names below ``models/`` that are no views and must never become one."""
_ASIDE: Final = re.compile(r".+\.edited-(\d{8}_\d{6}(?:-\d+)?)")


def is_view_name(name: str) -> bool:
    """Return whether a view may be called so: a file directly in ``models/`` or ``models/backups/``.

    >>> [is_view_name(n) for n in ("prod_model.ubj", "backups/a_20260102_120000.ubj", "registry", "../precious")]
    [True, True, False, False]
    """
    return _VIEW.fullmatch(name) is not None and name.casefold() not in _OTHERS


def set_aside(path: Path) -> str:
    """Give `path` the name ``<name>.edited-<time of its last change, UTC>`` in its folder, and return that name.

    Raises
    ------
    FailedError
        The disk refuses.
    """
    with disk_errors(path):
        changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
        first = path.with_name(f"{path.name}.edited-{changed:%Y%m%d_%H%M%S}")
        free = first
        for n in count(2):
            if not os.path.lexists(free):
                break
            free = first.with_name(f"{first.name}-{n}")
        rename(path, free)
        found = [(match[1], p) for p in path.parent.iterdir() if (match := _ASIDE.fullmatch(p.name))]
        files = sorted((stamp, p) for stamp, p in found if p != free and (p.is_symlink() or p.is_file()))
    for _, old in files[: max(0, len(files) + 1 - MOST_ASIDE)]:
        delete(old)
    return free.name
