"""Finds labels that say they are known before they are, by building them again from less."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from marketloop.core.catalog import Label, LabelValues
from marketloop.core.errors import FailedError, MarketLoopError
from marketloop.labels.outcomes import UNKNOWN
from marketloop.labels.panel import Panel

__all__ = ["why_untimely"]

CUTS: Final = 6
SAME: Final = 1e-9


def why_untimely(label: Label, panel: Panel, horizon: int, threshold: float | None) -> str:
    """Say which outcome of `label` is not what it was when it became known; empty where there is none.

    Raises
    ------
    FailedError
        The label cannot be built at all.

    Notes
    -----
    What comes after a session is taken away. Outcomes that are known by then, as the label says itself, must be there
    and must not change: purging relies on it, and classes cut at quantiles of the whole history do not keep to it.
    """
    try:
        whole = label.build(panel, horizon, threshold)
    except MarketLoopError:
        raise
    except Exception as error:
        raise FailedError(
            f"the label {label.name} failed: {type(error).__name__}: {error}; mend or remove the label"
        ) from error
    length = len(panel.close)
    for end in np.unique(np.linspace(length // 3, length - 2, CUTS).astype(int)).tolist():
        if end < 1:
            continue
        try:
            part = label.build(_until(panel, end), horizon, threshold)
        except Exception:  # noqa: BLE001, S112 -- somebody else's code; so short a history may be too short for it
            continue
        found = _changed(whole, part, panel, end)
        if found:
            return found
    return ""


def _changed(whole: LabelValues, part: LabelValues, panel: Panel, end: int) -> str:
    now, then = whole.value[: end + 1], part.value
    known = np.isfinite(now) & (whole.known_on[: end + 1] <= panel.first + end)
    near = np.abs(now - then) <= SAME * np.maximum(np.abs(now), 1)
    rows = np.argwhere(known & ~(near & (part.known_on != UNKNOWN)))
    if not len(rows):
        return ""
    row, column = rows[0].tolist()
    other = "unknown" if np.isnan(then[row, column]) else f"{then[row, column]:.6g}"
    return (
        f"the outcome of {panel.tickers[column]} in session {panel.first + row} is {now[row, column]:.6g}, known in "
        f"session {whole.known_on[row, column]}, but {other} when everything after session {panel.first + end} is "
        "taken away"
    )


def _until(panel: Panel, end: int) -> Panel:
    arrays: dict[str, Any] = {f.name: getattr(panel, f.name) for f in fields(panel)}
    shorter: dict[str, Any] = {
        name: value[: end + 1] for name, value in arrays.items() if isinstance(value, np.ndarray)
    }
    return replace(panel, **shorter)
