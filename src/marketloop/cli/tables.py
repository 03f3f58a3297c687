"""Pieces of answers that several commands show alike: figures beside their baseline, checks, quality, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marketloop.cli.render import Screen

__all__ = ["checks_table", "features_table", "figures_table", "parts_table", "quality_lines", "warning_lines"]

SHOWN = 8
NOUGHT = frozenset({"rank_ic", "rank_ic_raw", "icir", "z"})
"""Figures of which no skill has 0, by what they are."""


def figures_table(screen: Screen, figures: Mapping[str, Any], baseline: Mapping[str, Any], title: str = "") -> None:
    """Print each figure beside what no skill has on the same rows."""
    known = {**{name: 0 for name in NOUGHT if figures.get(name) is not None}, **baseline}
    rows = [(name, value, known.get(name)) for name, value in figures.items()]
    if rows:
        screen.table(("figure", "model", "no skill"), rows, title=title)


def checks_table(screen: Screen, checks: Iterable[Mapping[str, Any]]) -> None:
    """Print each check with its value and threshold."""
    rows = [
        (c["name"], c["value"], c["threshold"], "passed" if c["passed"] else "FAILED", c["hard"], c.get("detail", ""))
        for c in checks
    ]
    if rows:
        screen.table(("check", "value", "threshold", "result", "hard", "detail"), rows)


def features_table(screen: Screen, features: Iterable[Mapping[str, Any]], title: str = "") -> None:
    """Print what a version leans on: shares of gain and SHAP in percent, and the rank IC that a shuffle costs."""
    rows = [(f["name"], _share(f["share"]), _share(f["contribution"]), _lost(f["permutation"])) for f in features]
    screen.table(("feature", "gain, share", "SHAP, share", "rank IC lost by a shuffle"), rows, title=title)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _lost(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def parts_table(screen: Screen, parts: Sequence[Mapping[str, Any]]) -> None:
    """Print the figures of each part of the rows, seen and unseen, beside those of no skill."""
    if not parts:
        return
    columns = ["figure", *(text for part in parts for text in (part["part"], "no skill"))]
    names = parts[0]["figures"]
    sides = [side for part in parts for side in (part["figures"], part["baseline"])]
    counts = ["rows", *(value for part in parts for value in (part["rows"], None))]
    screen.table(columns, [counts, *([name, *(side.get(name) for side in sides)] for name in names)])


def quality_lines(screen: Screen, report: Mapping[str, Any]) -> None:
    """Print what was set aside by rule, and the warnings by rule with the first of each."""
    if report["quarantined"]:
        rules = ", ".join(f"{name} {count:,}" for name, count in report["rules"].items())
        screen.line(f"quarantined: {report['quarantined']:,} of {report['rows']:,} rows ({rules})", style="yellow")
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for found in report["warnings"]:
        kinds.setdefault(str(found["rule"]), []).append(found)
    for rule, found in kinds.items():
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        screen.line(f"warning {rule}: {found[0]['detail']}{more}", style="yellow")


def warning_lines(screen: Screen, warnings: Iterable[str]) -> None:
    """Print warnings, one a line."""
    for text in warnings:
        screen.line(f"warning: {text}", style="yellow")
