"""Brings the store up to date with a source: only what is missing, batch by batch, nothing lost when interrupted."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from marketloop.core.errors import FailedError, UsageError, did_you_mean
from marketloop.core.values import Sessions
from marketloop.data.quality import Quality, QualityReport, merge_reports, screen
from marketloop.data.quality_warnings import panel_warnings
from marketloop.data.sources.protocol import Fetched, Source, no_bars
from marketloop.data.store import DeltaBarStore
from marketloop.data.views import write_metadata

__all__ = ["PREROLL", "Collected", "collect"]

PREROLL: Final = 272
"""Sessions fetched before the start: the longest look-back of a feature."""

REASKED: Final = 5
"""Last stored sessions that are asked for again, so that revisions are noticed."""

_BATCH: Final = 128

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one `collect` did.

    Parameters
    ----------
    version : int or None
        Version of the bars afterwards; None where the store is still empty.
    new_rows : int
        Bars that were not stored before.
    revised_rows : int
        Stored bars that the source now gives differently.
    tickers : tuple of str
        Tickers asked for.
    failures : mapping
        Ticker or file to the reason for which nothing came.
    report : QualityReport
        Over the rows that were fetched; warnings over the whole stored history of these tickers.
    up_to_date : bool
        Nothing was new or revised; failures are listed apart.
    """

    version: int | None
    new_rows: int
    revised_rows: int
    tickers: tuple[str, ...]
    failures: Mapping[str, str]
    report: QualityReport
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tickers that lack the same sessions: `first` on, where the store's last bars are asked for again."""

    tickers: tuple[str, ...]
    first: dt.date


@dataclass(frozen=True, slots=True)
class _Part:
    """What one batch brought, examined and not yet stored."""

    quality: Quality
    failures: Mapping[str, str]
    warnings: tuple[Mapping[str, Any], ...]
    fresh: pl.DataFrame
    revised: Mapping[str, int]


def collect(
    source: Source,
    store: DeltaBarStore,
    *,
    sessions: Sessions,
    tickers: Sequence[str] | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    at: dt.datetime | None = None,
    on_progress: Progress | None = None,
) -> Collected:
    """Fetch what the store lacks, examine it, and store it.

    Tickers go in batches; each batch is examined and stored before the next is fetched, so that an interrupted run
    keeps what it has and the next one goes on from there. A ticker whose last stored bars were revised is fetched
    anew from its first day, since an adjusted history moves as a whole.

    Parameters
    ----------
    source, store : where bars come from and go to
    sessions : Sessions
        Calendar of the exchange, spanning everything that may be asked for.
    tickers : sequence of str, optional
        Default: all tickers of the source.
    start, end : date, optional
        First and last day wanted; `PREROLL` sessions before `start` are fetched too. Default: all of `sessions`.
    at : datetime, optional
        The time now, recorded in the metadata.
    on_progress : function (tickers done, tickers in all), optional

    Raises
    ------
    UsageError
        The source's adjustment differs from that of the stored bars, or the calendar does not fit.
    FailedError
        The store failed, or the source gave nothing at all.
    """
    _refuse_other_adjustment(source, store)
    wanted = tuple(dict.fromkeys(tickers if tickers is not None else source.tickers()))
    if not wanted:
        raise UsageError(f"the source {source.name} has no tickers; name some with --tickers")
    _refuse_foreign_tickers(source, wanted)
    first, last = _first_day(sessions, start), min(end or dt.date.max, sessions.dates[-1].astype(object))
    parts: list[_Part] = []
    count = 0
    for batch in _batches(store, wanted, sessions, first, last):
        parts += _collect_batch(source, store, batch, sessions=sessions, first=first, last=last)
        count += len(batch.tickers)
        if on_progress is not None:
            on_progress(count, len(wanted))
    collected = _sum_up(store, wanted, parts, sessions)
    if collected.version is None:
        raise FailedError(_nothing_came(source, collected.failures))
    write_metadata(store, source, at)
    return collected


def _first_day(sessions: Sessions, start: dt.date | None) -> dt.date:
    at = 0 if start is None else int(sessions.dates.searchsorted(np.datetime64(start))) - PREROLL
    day: dt.date = sessions.dates[max(at, 0)].astype(object)
    return day


def _batches(
    store: DeltaBarStore, tickers: Sequence[str], sessions: Sessions, first: dt.date, last: dt.date
) -> Iterator[_Batch]:
    coverage = {ticker: (begins, ends) for ticker, begins, ends, _ in store.coverage().iter_rows()}
    asked = store.asked()
    missing: dict[dt.date, list[str]] = {}
    for ticker in tickers:
        begins, ends = coverage.get(ticker, (None, None))
        known = begins is not None and (begins <= first or asked.get(ticker, dt.date.max) <= first)
        since = max(first, _sessions_before(sessions, ends, REASKED)) if known else first
        missing.setdefault(min(since, last), []).append(ticker)
    for since, group in sorted(missing.items()):
        for at in range(0, len(group), _BATCH):
            yield _Batch(tuple(group[at : at + _BATCH]), since)


def _sessions_before(sessions: Sessions, day: dt.date, count: int) -> dt.date:
    at = int(sessions.dates.searchsorted(np.datetime64(day), side="right")) - count
    earlier: dt.date = sessions.dates[max(at, 0)].astype(object)
    return earlier


def _collect_batch(
    source: Source, store: DeltaBarStore, batch: _Batch, *, sessions: Sessions, first: dt.date, last: dt.date
) -> list[_Part]:
    part = _fetch(source, store, batch, sessions=sessions, last=last)
    parts = [part]
    if part.revised:
        whole = _Batch(tuple(part.revised), _history_begins(store, part.revised, first))
        if whole.first < batch.first:
            # Stored together with the rest, so that no ticker is ever half on the old basis and half on the new one.
            parts = [_without(part, whole.tickers), _fetch(source, store, whole, sessions=sessions, last=last)]
    quarantined = pl.concat([p.quality.quarantined for p in parts])
    if not quarantined.is_empty():
        store.put_quarantine(quarantined)
    accepted = pl.concat([p.quality.accepted for p in parts])
    if not accepted.is_empty():
        store.merge(accepted, metadata={"source": source.name, "adjustment": source.adjustment})
    failed = {name for p in parts for name in p.failures}
    store.put_asked([ticker for ticker in batch.tickers if ticker not in failed], batch.first)
    return parts


def _fetch(source: Source, store: DeltaBarStore, batch: _Batch, *, sessions: Sessions, last: dt.date) -> _Part:
    try:
        fetched = source.fetch(batch.tickers, batch.first, last)
    except FailedError as error:
        fetched = Fetched(no_bars(), dict.fromkeys(batch.tickers, str(error)))
    previous = store.read(tickers=batch.tickers, start=batch.first, end=last)
    quality = screen(fetched.bars, sessions, previous=previous)
    fresh = quality.accepted.join(previous, on=["ticker", "date"], how="anti")
    revised = {str(w["ticker"]): int(w["count"]) for w in quality.report.warnings if w["rule"] == "revision"}
    return _Part(quality, fetched.failures, (*fetched.warnings, *quality.report.warnings), fresh, revised)


def _without(part: _Part, tickers: Sequence[str]) -> _Part:
    """Leave out the accepted rows of `tickers`: all of their history is fetched instead."""
    mine = pl.col("ticker").is_in(list(tickers))
    kept = part.quality.accepted.filter(~mine)
    left_out = part.quality.accepted.height - kept.height
    report = part.quality.report
    shorter = QualityReport(report.rows - left_out, kept.height, report.quarantined, report.rules)
    warnings = tuple(w for w in part.warnings if w["ticker"] not in tickers)
    quality = Quality(kept, part.quality.quarantined, shorter)
    return _Part(quality, part.failures, warnings, part.fresh.filter(~mine), {})


def _history_begins(store: DeltaBarStore, tickers: Iterable[str], first: dt.date) -> dt.date:
    mine = store.coverage().filter(pl.col("ticker").is_in(list(tickers)))
    begins: list[dt.date] = mine["first"].to_list()
    return min([first, *begins])


def _sum_up(store: DeltaBarStore, wanted: tuple[str, ...], parts: Sequence[_Part], sessions: Sessions) -> Collected:
    failures = {name: reason for part in parts for name, reason in part.failures.items()}
    findings = {json.dumps(dict(w), sort_keys=True): w for part in parts for w in part.warnings}
    first, last = sessions.dates[0].astype(object), sessions.dates[-1].astype(object)
    history = panel_warnings(store.read(tickers=wanted, start=first, end=last), sessions)
    total = merge_reports(part.quality.report for part in parts)
    new, revised = sum(part.fresh.height for part in parts), sum(sum(part.revised.values()) for part in parts)
    return Collected(
        version=store.version,
        new_rows=new,
        revised_rows=revised,
        tickers=wanted,
        failures=failures,
        report=QualityReport(
            total.rows, total.accepted, total.quarantined, total.rules, (*findings.values(), *history)
        ),
        up_to_date=new == 0 and revised == 0,
    )


def _refuse_other_adjustment(source: Source, store: DeltaBarStore) -> None:
    stored = store.metadata().get("adjustment") if store.version is not None else None
    if stored is not None and stored != source.adjustment:
        raise UsageError(
            f'the source {source.name} adjusts prices by "{source.adjustment}", the stored bars by "{stored}": '
            "they cannot be mixed; collect into a new project, or remove its folder data"
        )


def _refuse_foreign_tickers(source: Source, wanted: Sequence[str]) -> None:
    known = source.tickers()
    if known and not set(known) & set(wanted):
        guess = did_you_mean(wanted[0], known)
        raise UsageError(f"the source {source.name} has no ticker {wanted[0]}; it has {len(known)} others.{guess}")


def _nothing_came(source: Source, failures: Mapping[str, str]) -> str:
    if not failures:
        return f"the source {source.name} gave no usable bar; look at the quarantine with `marketloop quality`"
    name, reason = next(iter(failures.items()))
    return f"the source {source.name} gave no bars: {name}: {reason}"
