"""The jobs of `marketloop.bench.mortal_nights`, and some that only these tests need."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketloop.bench import mortal_nights
from marketloop.runtime.threads import set_thread_budget
from marketloop.state import State


def hasty(home: str, *, end: str) -> dict[str, Any]:
    """Run a night that waits for a locked database for half a second only."""
    opened: Callable[..., State] = State.open

    def open_hastily(url: str, **given: Any) -> State:
        return opened(url, **{**given, "busy_timeout_s": 0.5})

    type.__setattr__(State, "open", staticmethod(open_hastily))
    return mortal_nights.night(home, end=end)


def twice(home: str, *, end: str, go: str) -> dict[str, Any]:
    """Run a night and, when the file `go` exists, another one in the same process, as a worker does."""
    first = told(mortal_nights.night, home, end=end)
    while not Path(go).exists():
        time.sleep(0.01)
    return {"first": first, "second": mortal_nights.night(home, end=end)}


def told(job: Callable[..., dict[str, Any]], *given: Any, **named: Any) -> dict[str, Any]:
    try:
        return job(*given, **named)
    except Exception as error:  # noqa: BLE001 -- what a worker would record
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    set_thread_budget(1)
    mortal_nights.JOBS.update(hasty=hasty, twice=twice)
    mortal_nights.main()
