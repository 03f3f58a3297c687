"""Versions in the order in which somebody wants to see them."""

from __future__ import annotations

import math
from typing import Any

from marketloop.core.errors import unknown_name
from marketloop.loop.house import House
from marketloop.registry.documents import champion_document, models_document
from marketloop.state.versions import MAIN_FIGURES

__all__ = ["MAIN_FIGURE", "champions", "in_order", "models"]

MAIN_FIGURE, NO_ORDER_FIGURE = MAIN_FIGURES

SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae"})
OWN = ("version", "trained_at")


def models(house: House, family: str | None = None, *, sort: str | None = None, best: bool = False) -> dict[str, Any]:
    """Return the `models` document.

    Parameters
    ----------
    sort : str, optional
        A figure, best first; or ``version`` or ``trained_at``, newest first. Versions without it come last.
    best : bool
        Only the best version of each family and configuration, by `sort`, else by its main out-of-sample figure among
        those that the gate has examined: a candidate's figures are of its newest tenth alone.

    Raises
    ------
    UsageError
        The family or the figure is unknown.
    """
    if family is not None:
        house.catalog.family(family)
    rows: list[dict[str, Any]] = models_document(house.state, family=family)["models"]
    known = {name for row in rows for name in row["metrics"]}
    if rows and sort is not None and sort not in known | set(OWN):
        raise unknown_name("figure", sort, known | set(OWN))
    if not best:
        return {"models": rows if sort is None else in_order(rows, sort)}
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for name in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == name]
        figure = sort or (MAIN_FIGURE if any(_known(row, MAIN_FIGURE) for row in own) else NO_ORDER_FIGURE)
        ranked = in_order(own, figure)
        examined = [row for row in ranked if row["verdict"]] if sort is None else []
        for row in examined or ranked:
            if figure in OWN or _known(row, figure):
                first.setdefault((name, row["config_key"]), row)
    return {"models": list(first.values()) if sort is None else in_order(list(first.values()), sort)}


def champions(house: House, family: str | None = None, at: Any = None) -> dict[str, Any]:
    """Return the `champion` document, now or at a moment; an unknown family raises `UsageError`."""
    if family is not None:
        house.catalog.family(family)
    return champion_document(house.state, family=family, at=at)


def in_order(rows: list[dict[str, Any]], figure: str) -> list[dict[str, Any]]:
    """Return the rows of a `models` document, best first by `figure`; those without it come last."""
    if figure in OWN:
        return sorted(rows, key=lambda row: row[figure], reverse=True)
    sign = 1 if figure in SMALLER_IS_BETTER else -1
    have = [row for row in rows if _known(row, figure)]
    return [
        *sorted(have, key=lambda row: sign * row["metrics"][figure]),
        *(row for row in rows if not _known(row, figure)),
    ]


def _known(row: dict[str, Any], figure: str) -> bool:
    value = row["metrics"].get(figure)
    return isinstance(value, int | float) and math.isfinite(value)
