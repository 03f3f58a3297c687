"""Stopping in order: a signal as a flag or as an error at the next step, and a life tied to that of the parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["StoppedError", "raise_on_signals", "stop_flag", "tie_to_parent"]

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
GRACE_S: Final = 4.0
"""Seconds that a tied process has to end by itself once its parent is gone; native code may not hear the signal."""


class StoppedError(KeyboardInterrupt):
    """The process was asked to end; like Ctrl-C it passes every ``except Exception``."""


def stop_flag() -> Callable[[], bool]:
    """Return a function that says whether SIGTERM or SIGINT has come; the work in hand goes on undisturbed."""
    asked = [False]

    def ask(_number: int, _frame: Any) -> None:
        asked[0] = True  # no lock, no event: a signal may come while the main thread holds one

    for number in SIGNALS:
        signal.signal(number, ask)
    return lambda: asked[0]


def raise_on_signals() -> None:
    """Let SIGTERM and SIGINT raise `StoppedError` once in the main thread; later ones do not disturb the clean-up."""

    def stop(number: int, _frame: Any) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise StoppedError(f"stopped by {signal.Signals(number).name}")

    for number in SIGNALS:
        signal.signal(number, stop)


def tie_to_parent() -> None:
    """End this process when its standard input ends, which happens when the parent dies in whatever way.

    The parent holds the other end of a pipe and writes nothing. First comes SIGTERM, which the process may answer in
    order; after `GRACE_S` seconds it is over.
    """

    def watch() -> None:
        try:
            while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 1024):
                pass
        except (OSError, ValueError):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="tied to the parent", daemon=True).start()
