"""Answers on the screen: tables, lines, JSON and progress bars."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

__all__ = ["Screen", "Update", "plain", "print_json", "progress"]

_PATIENCE: Final = 2.0  # seconds before a bar appears
_PIPE_WIDTH: Final = 160  # columns when nobody is looking: tables in files are not cut to a terminal's width


class Update(Protocol):
    """How far some work is: `done` of `total` (None: unknown), and what is being done."""

    def __call__(self, done: float, total: float | None = None, what: str = "") -> None:
        """Say it."""
        ...


class Screen:
    """Standard output for people."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self._console = _rich("console").Console(
            file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False, markup=False, emoji=False
        )
        self._console.on_broken_pipe = _let_go

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print one line, wrapped at words."""
        self._console.print(_rich("text").Text(text, style=style))

    def heading(self, text: str) -> None:
        """Print a heading."""
        self.line(text, style="bold")

    def pairs(self, values: Mapping[str, Any]) -> None:
        """Print names and values, one pair a line."""
        text = _rich("text").Text
        grid = _rich("table").Table.grid(padding=(0, 2))
        for name, value in values.items():
            grid.add_row(text(str(name), style="dim"), text(cell(value)))
        self._console.print(grid)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
        """Print a table; a column whose values are all numbers is aligned to the right."""
        body = [list(row) for row in rows]
        box, text = _rich("box").SIMPLE_HEAD, _rich("text").Text
        if title:  # a line of its own: Rich would wrap it at the width of the table
            self.line(title, style="italic")
        drawn = _rich("table").Table(box=box, pad_edge=False)
        for position, name in enumerate(columns):
            numbers = bool(body) and all(isinstance(row[position], int | float | None) for row in body)
            drawn.add_column(name, justify="right" if numbers else "left", overflow="fold")
        for row in body:
            drawn.add_row(*(text(cell(value)) for value in row))
        self._console.print(drawn)


def _let_go() -> None:
    """Let the front door see that the reader has seen enough; Rich would end the process with exit code 1."""
    raise BrokenPipeError


def cell(value: Any) -> str:
    """Write one value: missing as a dash, numbers to four significant digits, lists with commas."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return "-" if math.isnan(value) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
        case dt.datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S %Z").strip()
        case list() | tuple():
            return ", ".join(map(cell, value)) or "-"
    return str(value)


def print_json(document: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one JSON document; what JSON cannot say (NaN, infinity) is null."""
    (stream or sys.stdout).write(json.dumps(plain(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Return `value` in JSON's own types: dates and paths as text, NumPy numbers as numbers, NaN as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dt.date() | dt.time():
            return value.isoformat()
        case Path():
            return str(value)
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return plain(value.tolist())
    raise TypeError(f"a document cannot hold {type(value).__name__}: {value!r}")


@contextmanager
def progress(label: str, *, wanted: bool) -> Iterator[Update]:
    """Yield an `Update` that draws a bar to standard error, if `wanted`, once the work has taken 2 s."""
    if not wanted:
        yield _silent
        return
    drawn = _rich("progress")
    bar = drawn.Progress(
        drawn.TextColumn("{task.description}"),
        drawn.BarColumn(),
        drawn.TextColumn("{task.percentage:>3.0f} %  {task.fields[what]}", markup=False),
        drawn.TimeElapsedColumn(),
        console=_rich("console").Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(label, total=None, what="")
    begun = time.monotonic()

    def update(done: float, total: float | None = None, what: str = "") -> None:
        bar.update(task, completed=done, total=total, what=what)
        if not bar.live.is_started and time.monotonic() - begun > _PATIENCE:
            bar.start()

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()


def _rich(module: str) -> Any:
    """Import a module of Rich when something is drawn: an answer in JSON must not wait for it."""
    return importlib.import_module(f"rich.{module}")


def _silent(done: float, total: float | None = None, what: str = "") -> None:
    """Draw nothing."""
