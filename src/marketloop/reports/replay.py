"""The page of a policy replay: what each policy served, what the gate said on the way, and what it cost."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from marketloop.evaluation.intervals import Interval
from marketloop.evaluation.performance import Bounds
from marketloop.evaluation.replayed import Replayed
from marketloop.reports.numbers import interval, number, percent
from marketloop.reports.page import Block, Cell, Figure, Page, Section, Table, Text, render

__all__ = ["Line", "ReplaySheet", "replay_sheet"]

COLOURS: Final = ("--c1", "--c2", "--c3", "--c4", "--c5", "--ink", "--muted")
KINDS: Final = {
    "promoted": ("promoted", "--good", "triangle-up"),
    "provisional": ("provisional", "--muted", "circle-open"),
    "rollback": ("taken back by the guard", "--bad", "x"),
    "harm": ("harm alarm", "--bad", "diamond"),
}
MOST_MARKS: Final = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One policy: its figures, and the wall-clock seconds of its candidates."""

    name: str
    replayed: Replayed
    seconds: float

    @property
    def label(self) -> str:
        """The policy, and that it had no gate."""
        return self.name if self.replayed.course.policy.gated else f"{self.name}, no gate"


@dataclass(frozen=True, slots=True)
class ReplaySheet:
    """What the page shows; differences are taken against the first of `lines`."""

    title: str
    lines: Sequence[Line]
    date: Callable[[int], dt.date]
    nights: tuple[int, int]
    tickers: int
    warnings: Sequence[str] = ()


def replay_sheet(sheet: ReplaySheet) -> str:
    """Return the page as one HTML document that needs no network."""
    first, last = (sheet.date(night) for night in sheet.nights)
    quality: list[Block] = [_quality(sheet), _course(sheet)]
    account = _accounts(sheet)
    page = Page(
        kind="Policy replay",
        title=sheet.title,
        subtitle=f"{first} to {last}, {sheet.tickers} tickers",
        sections=(
            Section("", (Text(_lead(sheet), "lead"), *(Text(text, "warning") for text in sheet.warnings))),
            Section("What was served", tuple(quality)),
            Section(f"Beside {sheet.lines[0].label}", (_differences(sheet),)),
            Section("What happened on the way", (_counts(sheet), _marks(sheet))),
            *((Section("Accounts", account),) if account else ()),
            Section("How it was done", (_method(),)),
        ),
        footer="The past once, not a sample of pasts: policies that differ here by less than their intervals may stand "
        "the other way round in another year. Nothing was promoted and nothing recorded.",
    )
    return render(page)


def _lead(sheet: ReplaySheet) -> str:
    """Say whether the policies can be told apart at all."""
    base, others = sheet.lines[0], sheet.lines[1:]
    if not others:
        return f"{base.label} alone: nothing to compare it with."
    gains = {line.label: line.replayed.less(base.replayed) for line in others}
    told = [f"{label}, {figure}: {word}" for label, gain in gains.items() for figure, word in gain.told.items()]
    if not told:
        return (
            f"No policy can be told from {base.label}: no interval of a difference leaves 0 out. "
            "What more of retraining cost has bought nothing that shows here."
        )
    asked = sum(
        (gain.rank_ic.known, gain.brier.known, math.isfinite(gain.annual_return.low)).count(True)
        for gain in gains.values()
    )
    return (
        f"Told from {base.label} by an interval that leaves 0 out: {'; '.join(told)}. "
        f"{asked} intervals were asked, of which one in twenty does so by luck."
    )


def _quality(sheet: ReplaySheet) -> Table:
    rows = []
    for line in sheet.lines:
        one = line.replayed
        sharpe = Bounds(math.nan, math.nan, math.nan) if one.account is None else one.account.sharpe
        rows.append(
            [
                line.label,
                number(one.rank_ic.mean, 4),
                _between(one.rank_ic),
                number(line.seconds, 1),
                percent(one.with_signals, 0),
                number(one.brier_mean.mean, 4),
                number(float(np.mean(one.brier_no_skill.value)) if len(one.brier_no_skill) else math.nan, 4),
                number(sharpe.value),
                _bounds(sharpe),
                number(one.age, 0),
            ]
        )
    columns = (
        "policy",
        "rank IC",
        "95 % interval",
        "fits, seconds",
        "with signals",
        "Brier",
        "no skill",
        "Sharpe",
        "95 % interval",
        "mean age",
    )
    return Table.of(columns, rows)


def _differences(sheet: ReplaySheet) -> Table:
    base = sheet.lines[0]
    rows = []
    for line in sheet.lines[1:]:
        gain = line.replayed.less(base.replayed)
        rows.append(
            [
                line.label,
                number(gain.rank_ic.mean, 4),
                _between(gain.rank_ic),
                number(gain.brier.mean, 4),
                _between(gain.brier),
                percent(gain.annual_return.value),
                _bounds(gain.annual_return, percent),
            ]
        )
    columns = (
        "policy",
        "rank IC",
        "95 % interval",
        "Brier (lower is better)",
        "95 % interval",
        "return a year",
        "95 % interval",
    )
    return Table.of(columns, rows)


def _counts(sheet: ReplaySheet) -> Table:
    names = ("promoted", "provisional", "refused", "rollback", "harm")
    rows = [
        [line.label, str(len(line.replayed.course.trained)), *(str(line.replayed.counts[name]) for name in names)]
        for line in sheet.lines
    ]
    return Table.of(("policy", "trainings", "promoted", "provisional", "refused", "rolled back", "harm alarms"), rows)


def _course(sheet: ReplaySheet) -> Figure:
    """Draw the cumulative rank IC of what was served or, where there is none, the Brier score gained on no skill."""
    data = []
    for at, line in enumerate(sheet.lines):
        one = line.replayed
        series, value = one.order, one.order.value
        if len(series) == 0:
            series, value = one.brier, one.brier_no_skill.value - one.brier.value
        data.append(_line([sheet.date(int(s)) for s in series.session], np.cumsum(value), line, at, sheet))
    by_order = any(len(line.replayed.order) for line in sheet.lines)
    what = "rank IC" if by_order else "Brier score gained on no skill"
    return Figure(
        "course",
        f"{what}, summed up".capitalize() if not by_order else "Rank IC, summed up",
        data,
        {"yaxis": {"tickformat": ".2f", "zeroline": True}},
        "of what was served, session by session; a straight climb is steady skill, a walk is chance",
        380,
    )


def _marks(sheet: ReplaySheet) -> Figure:
    """Draw when something happened to what serves, a row for each policy."""
    data = []
    for kind, (name, colour, symbol) in KINDS.items():
        points = [
            (sheet.date(event.session), line.label, f"version {event.version}: {event.reason}")
            for line in sheet.lines
            for event in line.replayed.course.events
            if event.kind == kind
        ]
        if len(points) > MOST_MARKS:
            points = points[:: math.ceil(len(points) / MOST_MARKS)]
        if points:
            dates, labels, texts = zip(*points, strict=True)
            marker = {"color": colour, "symbol": symbol, "size": 9}
            style = {"type": "scatter", "mode": "markers", "name": name, "marker": marker, "hovertext": list(texts)}
            data.append({**style, "x": list(dates), "y": list(labels)})
    order = [line.label for line in sheet.lines][::-1]
    layout = {"yaxis": {"type": "category", "categoryorder": "array", "categoryarray": order, "automargin": True}}
    return Figure("marks", "Who came to serve, and when", data, layout, "refusals are not drawn", 80 + 34 * len(order))


def _accounts(sheet: ReplaySheet) -> tuple[Block, ...]:
    data = []
    for at, line in enumerate(sheet.lines):
        test = line.replayed.account
        if test is None:
            continue
        dates = [sheet.date(sheet.nights[0] + row) for row in range(len(test.account.equity))]
        data.append(_line(dates, np.asarray(test.account.equity) / test.plan.capital, line, at, sheet))
    if not data:
        return ()
    beside = next(line.replayed.account for line in sheet.lines if line.replayed.account is not None)
    for benchmark in beside.benchmarks if beside is not None else ():
        if benchmark.name == "buy_and_hold":
            dates = [sheet.date(sheet.nights[0] + row) for row in range(len(benchmark.returns) + 1)]
            level = np.concatenate([[1.0], np.cumprod(1 + benchmark.returns)])
            name = f"buy and hold (Sharpe {number(benchmark.sharpe.value)})"
            style = {"color": "--muted", "width": 1.5, "dash": "dash"}
            data.append({"type": "scatter", "mode": "lines", "x": dates, "y": level, "name": name, "line": style})
    note = "costs paid, orders filled in the next session; a provisional version says HOLD, and its account holds cash"
    return (Figure("accounts", "Value of 1", data, {"yaxis": {"tickformat": ".2f"}}, note, 360),)


def _line(dates: Sequence[Any], values: Any, line: Line, at: int, sheet: ReplaySheet) -> dict[str, Any]:
    names = list(dict.fromkeys(other.name for other in sheet.lines))
    colour = COLOURS[names.index(line.name) % len(COLOURS)]
    dash = "solid" if line.replayed.course.policy.gated else "dot"
    style = {"color": colour, "width": 2.5 if at == 0 else 1.5, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": dates, "y": values, "name": line.label, "line": style}


def _method() -> Table:
    rows = {
        "night": "each policy lives through every close; what was not known at a close is not read there",
        "candidate": "the complete recipe on the rows whose labels were known, nomination included; shared by all "
        "policies that want one that night",
        "with the gate": "guard, harm alarm and gate decide as in a cycle; what is not proven serves as provisional",
        "no gate": "the newest candidate serves, whatever it is worth",
        "left out": "floors, checks of plugins, checks of files, conditions of time; they can only refuse or wait",
        "intervals": "equal-weighted cosines over sessions, allowing for overlapping labels; differences are taken "
        "session by session",
    }
    return Table(("", ""), tuple((Cell(name), Cell(text)) for name, text in rows.items()), texts=2)


def _bounds(bounds: Bounds, write: Callable[[float], str] = number) -> str:
    """Write an interval; nothing where there is no figure, as of an account that never traded."""
    return interval(bounds, write) if math.isfinite(bounds.value) else "-"


def _between(found: Interval) -> str:
    return interval(Bounds(found.mean, found.low, found.high), lambda value: number(value, 4)) if found.n else "-"
