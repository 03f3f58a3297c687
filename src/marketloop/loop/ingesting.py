"""Bring the project's bars up to date: what was asked for once is what every later night repeats."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from marketloop.core.errors import FailedError, MarketLoopError, RefusedError, UsageError, unknown_name
from marketloop.data.builtin import BUILTIN_SOURCES, build_source
from marketloop.data.calendar import load_sessions, load_timezone
from marketloop.data.collect import Collected, collect
from marketloop.data.collection import Collection
from marketloop.data.sources import Source
from marketloop.data.universes import largest, resolve_universe
from marketloop.data.views import write_copies
from marketloop.data.vintages import series_warnings
from marketloop.loop.flight import beating
from marketloop.loop.house import House
from marketloop.loop.quality import write_quality
from marketloop.loop.standing_order import from_settings, said_by_settings, standing_order
from marketloop.state import lease, this_process

__all__ = ["CollectRequest", "Ingested", "ingest", "parse_timeframe", "source_of"]

EARLIEST = dt.date(1970, 1, 2)
OFFLINE = ("sample", "synthetic", "folder")
UNITS = {"y": 365.25, "mo": 30.44, "w": 7.0, "d": 1.0}
Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class CollectRequest:
    """Which bars are wanted; what is left out follows edited settings, then the last collection, then the settings."""

    source: str | None = None
    path: Path | None = None
    tickers: tuple[str, ...] = ()
    universe: str | None = None
    top: int | None = None
    start: dt.date | None = None
    end: dt.date | None = None
    timeframe: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the collection brought, from where, and what a reader must know of the universe."""

    collected: Collected
    collection: Collection
    warnings: tuple[str, ...]
    coverage: pl.DataFrame

    def document(self) -> dict[str, Any]:
        """Return the `collect` document; its ranges are those of everything stored."""
        done = self.collected
        return {
            "source": self.collection.source,
            "data_version": done.version,
            "tickers": list(done.tickers),
            "sessions": int(self.coverage["rows"].max() or 0),  # type: ignore[arg-type]
            "first": str(self.coverage["first"].min()),
            "last": str(self.coverage["last"].max()),
            "new_rows": done.new_rows,
            "revised_rows": done.revised_rows,
            "up_to_date": done.up_to_date,
            "quality": done.report.document(),
            "failures": dict(done.failures),
            "warnings": list(self.warnings),
        }


def ingest(house: House, request: CollectRequest | None, *, tell: Telling | None = None) -> Ingested:
    """Collect what is missing and record what was asked for.

    Raises
    ------
    UsageError
        A source, universe or range is wrong.
    RefusedError
        Another collection is running.
    FailedError
        The source gave nothing, or the store failed; what was there before is still there.
    """
    house.project.check_writable()
    with _collecting(house):
        return _ingest(house, request or CollectRequest(), tell)


@contextmanager
def _collecting(house: House) -> Iterator[None]:
    """Let one collection at a time write bars and the record of what is collected."""
    with house.state.write() as db:
        held = lease.acquire(db, "collect", process=this_process(), at=house.clock.now())
        holder = lease.holder(db, "collect")
    if held is None:
        who = f" ({holder.process})" if holder else ""
        raise RefusedError(f"another collection is running{who}: nothing was fetched; try again when it is done")
    try:
        with beating(house, held):
            yield
    finally:
        lease.let_go(held, house.state.ledger.engine.url)
        with house.state.write() as db:
            lease.release(db, held, at=house.clock.now())


def _ingest(house: House, request: CollectRequest, tell: Telling | None) -> Ingested:
    wanted, notes = _wanted(house, request)
    source = source_of(house, wanted)
    universe = resolve_universe(wanted.universe or "all", source.tickers(), named=house.catalog.universes)
    tickers = wanted.tickers or universe.tickers
    end = request.end or house.settings.data.end or house.clock.now().date()
    timeframe = request.timeframe or (house.settings.data.timeframe if wanted.start is None else None)
    start = request.start or _start_of(source, timeframe, tickers, end) or wanted.start
    if start is not None and start > end:
        raise UsageError(f"the range {start} to {end} ends before it begins: give a start that is not after the end")
    top = request.top or (house.settings.data.top if not request.tickers else None)
    if top is not None:
        tickers = _largest(source, tickers, top, start or EARLIEST, end)
    collected = collect(
        source,
        house.store,
        sessions=load_sessions(house.settings.project.calendar, EARLIEST, end),
        tickers=tickers,
        start=start,
        end=end,
        at=house.clock.now(),
        on_progress=None if tell is None else lambda done, total: tell("collecting", done, total),
    )
    delivered = source.series()
    rewritten = series_warnings(delivered, house.store.series())
    house.store.put_series(delivered)
    house.store.put_sectors(source.sectors())
    explicit = bool(wanted.tickers) or top is not None
    kept = Collection(
        source=wanted.source,
        path=wanted.path,
        tickers=tuple(tickers) if explicit else (),
        universe=wanted.universe,
        start=start,
        options=wanted.options,
        settings=said_by_settings(house),
    )
    kept.save(house.project.data)
    if request.output is not None:
        write_copies(house.store, request.output)
    complete = bool(wanted.tickers) or wanted.source == "synthetic"  # nobody ever left a simulated market
    warnings = (*notes, *(() if complete else universe.warnings), *rewritten, *_reported(house))
    return Ingested(collected, kept, warnings, house.store.coverage())


def _reported(house: House) -> tuple[str, ...]:
    """Write the report on what is stored now; it is a view, so that its failure is a warning."""
    try:
        write_quality(house)
    except MarketLoopError as error:
        return (f"the report on the quality of the data was not written: {error}",)
    return ()


def source_of(house: House, wanted: Collection) -> Source:
    """Build the source of a collection: a plugin's, or one that comes with the product."""
    if wanted.source in house.catalog.sources:
        try:
            made: Source = house.catalog.sources[wanted.source](path=wanted.path, **wanted.options)
        except TypeError as error:
            raise UsageError(f'the source "{wanted.source}" of a plugin refused its options: {error}') from error
        return made
    if wanted.source not in BUILTIN_SOURCES:
        raise unknown_name("source", wanted.source, (*BUILTIN_SOURCES, *house.catalog.sources))
    path = None if wanted.path is None else Path(wanted.path)
    if path is not None and not path.is_absolute():
        path = house.project.root / path
    options = dict(wanted.options)
    if wanted.source == "folder":
        options.setdefault("exchange_zone", load_timezone(house.settings.project.calendar))
    return build_source(wanted.source, path=path, options=options)


def parse_timeframe(text: str) -> dt.timedelta:
    """Return the length of ``5y``, ``18mo``, ``26w`` or ``90d``."""
    found = re.fullmatch(r"([1-9]\d{0,3})(y|mo|w|d)", text.strip().lower())
    if found is None:
        raise UsageError(f'timeframe "{text}": expected a number and y, mo, w or d, e.g. 5y or 18mo')
    return dt.timedelta(days=round(int(found[1]) * UNITS[found[2]]))


def _wanted(house: House, request: CollectRequest) -> tuple[Collection, tuple[str, ...]]:
    """Return what is collected, and what must be said where flags, settings and record differ."""
    order = standing_order(house)
    if order is None or (request.source is not None and request.source != order.collection.source):
        before, notes = from_settings(house, request.source), {}
    else:
        before, notes = order.collection, dict(order.notes)
    named = bool(request.tickers or request.universe)
    wanted = Collection(
        source=request.source or before.source,
        path=str(request.path.resolve()) if request.path is not None else before.path,
        tickers=request.tickers if named else before.tickers,
        universe=request.universe or (None if request.tickers else before.universe),
        start=before.start,
        options={**before.options, **request.options},
    )
    flags = {"source": request.source, "path": request.path, "universe": named, "tickers": named, "top": request.top}
    return wanted, tuple(note for key, note in notes.items() if not flags.get(key))


def _start_of(source: Source, timeframe: str | None, tickers: tuple[str, ...], end: dt.date) -> dt.date | None:
    """Count the timeframe back from today; from the last bar where the source is a finished history."""
    if timeframe is None:
        return None
    length = parse_timeframe(timeframe)
    if source.name in OFFLINE and tickers:
        bars = source.fetch(tickers[:1], EARLIEST, end).bars
        last = bars["date"].max()
        if isinstance(last, dt.date):
            end = min(end, last)
    return end - length


def _largest(source: Source, tickers: tuple[str, ...], count: int, start: dt.date, end: dt.date) -> tuple[str, ...]:
    bars = source.fetch(tickers, start, end).bars
    if bars.is_empty():
        raise FailedError(f"the source {source.name} gave no bars from {start} to {end} to rank the universe by")
    return largest(bars.drop_nulls(["date", "ticker", "close", "volume"]), count)
