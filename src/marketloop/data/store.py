"""Keeps accepted bars, quarantined rows, market series and sectors in versioned, atomic tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from marketloop.core.frames import BAR_KEYS, BAR_PRICES, BAR_SCHEMA, require_columns
from marketloop.data.delta import DeltaFolder
from marketloop.data.quality import QUARANTINE_SCHEMA
from marketloop.data.sources.protocol import SERIES_SCHEMA, no_sectors

__all__ = ["SAME", "BarStore", "DeltaBarStore", "changed_rows"]

SAME: Final = 1e-9
"""Relative difference up to which a stored number and a fetched one are the same."""

_STORED_SERIES: Final[Mapping[str, pl.DataType]] = {"name": pl.String(), **SERIES_SCHEMA}
_STORED_ASKED: Final[Mapping[str, pl.DataType]] = {"ticker": pl.String(), "first": pl.Date()}


class BarStore(Protocol):
    """Where accepted bars are kept, versioned: what a run read can be read again."""

    @property
    def version(self) -> int | None:
        """Version of the bars now; None before the first merge."""
        ...

    def merge(self, bars: pl.DataFrame, *, metadata: Mapping[str, Any]) -> int:
        """Insert or replace bars by (ticker, date) in one step and return the version; no change keeps the version."""
        ...

    def read(
        self,
        *,
        version: int | None = None,
        tickers: Sequence[str] | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """Return bars sorted by (ticker, date)."""
        ...

    def coverage(self) -> pl.DataFrame:
        """Return ``ticker, first, last, rows``, sorted by ticker."""
        ...


class DeltaBarStore:
    """Bars, quarantine, series and sectors as Delta tables below one folder.

    A killed or failed write leaves the version before it readable. Old versions are kept: nothing is ever vacuumed
    here, so that a version that a model names can be read again.

    Parameters
    ----------
    root : path
        The folder ``data`` of a project; made by the first write.

    Raises
    ------
    UsageError
        A version or a column that does not exist.
    FailedError
        The disk is full or read-only, or a table is damaged; the sentence names the folder and the remedy.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._bars = DeltaFolder(self.root / "bars", BAR_SCHEMA)
        self._quarantine = DeltaFolder(self.root / "quarantine", QUARANTINE_SCHEMA)
        self._series = DeltaFolder(self.root / "series", _STORED_SERIES)
        self._sectors = DeltaFolder(self.root / "sectors", dict(no_sectors().schema))
        self._asked = DeltaFolder(self.root / "asked", _STORED_ASKED)

    @property
    def version(self) -> int | None:
        """Version of the bars now; None before the first merge."""
        return self._bars.version

    def versions(self) -> dict[str, int | None]:
        """Return the version of each table that a training reads: ``bars, series, sectors``."""
        return {"bars": self._bars.version, "series": self._series.version, "sectors": self._sectors.version}

    def merge(self, bars: pl.DataFrame, *, metadata: Mapping[str, Any]) -> int:
        """Insert or replace bars by (ticker, date), all or none of them.

        Parameters
        ----------
        bars : frame `BAR_SCHEMA`
            Unique by (ticker, date).
        metadata : mapping, JSON-ready
            Recorded with the version that this merge makes.

        Returns
        -------
        int
            The new version, or the present one where every bar is stored already.
        """
        require_columns(bars, BAR_SCHEMA, "the frame of bars to store")
        rows = bars.select(pl.col(c).cast(t) for c, t in BAR_SCHEMA.items()).sort("ticker", "date")
        base, inserts_only = self._bars.version, True
        if base is not None and not rows.is_empty():
            days, tickers = rows["date"].sort(), rows["ticker"].unique().to_list()
            stored = self.read(version=base, tickers=tickers, start=days[0], end=days[-1])
            rows, inserts_only = changed_rows(rows, stored)
        return self._bars.write(rows, BAR_KEYS, base=base, inserts_only=inserts_only, metadata=metadata)

    def read(
        self,
        *,
        version: int | None = None,
        tickers: Sequence[str] | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """Return bars sorted by (ticker, date), of the present version or an earlier one."""
        keep = pl.lit(value=True)
        if tickers is not None:
            keep &= pl.col("ticker").is_in(list(tickers))
        if start is not None:
            keep &= pl.col("date") >= start
        if end is not None:
            keep &= pl.col("date") <= end
        return self._bars.read(keep, version=version).sort("ticker", "date")

    def tickers(self) -> tuple[str, ...]:
        """Return the stored tickers, sorted."""
        return tuple(self.coverage()["ticker"].to_list())

    def coverage(self) -> pl.DataFrame:
        """Return ``ticker, first, last, rows``, sorted by ticker."""
        days = pl.col("date")
        ranges = self._bars.read(columns=("ticker", "date")).group_by("ticker")
        return ranges.agg(first=days.min(), last=days.max(), rows=pl.len().cast(pl.Int64)).sort("ticker")

    def metadata(self, version: int | None = None) -> dict[str, Any]:
        """Return what was recorded with `version` (default: the present one); empty before the first merge."""
        return self._bars.metadata(version)

    def put_quarantine(self, rows: pl.DataFrame) -> None:
        """Add quarantined rows; a row that is there already is not added again."""
        base = self._quarantine.version
        known = self._quarantine.read(version=base)
        new = rows.select(pl.col(c).cast(t) for c, t in QUARANTINE_SCHEMA.items()).unique(maintain_order=True)
        fresh = new.join(known, on=list(QUARANTINE_SCHEMA), how="anti", nulls_equal=True, maintain_order="left")
        self._quarantine.write(fresh, (), base=base, inserts_only=True, metadata={})

    def quarantine(self) -> pl.DataFrame:
        """Return every quarantined row, sorted by rule, ticker and date."""
        return self._quarantine.read().sort("rule", "ticker", "date", nulls_last=True)

    def put_series(self, series: Mapping[str, pl.DataFrame]) -> int | None:
        """Replace the named market series (others stay); return the version of the table, None while it is empty."""
        base = self._series.version
        stored = self._series.read(version=base)
        named = [
            frame.select(pl.lit(name).alias("name"), *(pl.col(c).cast(t) for c, t in SERIES_SCHEMA.items()))
            for name, frame in series.items()
        ]
        others = stored.filter(~pl.col("name").is_in(list(series)))
        after = pl.concat([others, *named]).sort("name", "date", "known_at")
        if after.equals(stored.sort("name", "date", "known_at")):
            return base
        return self._series.replace(after, base=base)

    def series(self, *, version: int | None = None) -> dict[str, pl.DataFrame]:
        """Return every stored market series, each in `SERIES_SCHEMA`, sorted by date."""
        table = self._series.read(version=version).sort("name", "date", "known_at")
        parts = table.partition_by("name", as_dict=True, include_key=False, maintain_order=True)
        return {str(name): frame for (name,), frame in parts.items()}

    def put_sectors(self, sectors: pl.DataFrame) -> int | None:
        """Replace the sector map; return the version of the table, None while it is empty."""
        base = self._sectors.version
        after = sectors.select("ticker", "sector").unique().sort("ticker", "sector")
        if after.equals(self.sectors(version=base)):
            return base
        return self._sectors.replace(after, base=base)

    def sectors(self, *, version: int | None = None) -> pl.DataFrame:
        """Return ``ticker, sector``, sorted."""
        return self._sectors.read(version=version).sort("ticker", "sector")

    def strays(self) -> tuple[Path, ...]:
        """Return the files that processes left which died while writing; the next write to their table deletes them."""
        tables = (self._bars, self._quarantine, self._series, self._sectors, self._asked)
        return tuple(path for table in tables for path in table.strays())

    def asked(self) -> dict[str, dt.date]:
        """Return from which day on each ticker was asked for; a ticker's history need not begin there."""
        earliest = self._asked.read().group_by("ticker").agg(pl.col("first").min())
        return dict(earliest.iter_rows())

    def put_asked(self, tickers: Sequence[str], first: dt.date) -> None:
        """Note that the history of `tickers` was asked for from `first` on."""
        base, known = self._asked.version, self.asked()
        new = [ticker for ticker in tickers if ticker not in known or first < known[ticker]]
        rows = pl.DataFrame({"ticker": new, "first": [first] * len(new)}, schema=dict(_STORED_ASKED))
        self._asked.write(rows, (), base=base, inserts_only=True, metadata={})


def changed_rows(bars: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Return the rows of `bars` that `stored` lacks or holds differently, and whether all of them are new."""
    pairs = bars.join(
        stored.with_columns(_stored=pl.lit(value=True)),
        on=list(BAR_KEYS),
        how="left",
        suffix="_old",
        maintain_order="left",
    )
    new = pl.col("_stored").is_null()
    same = pl.all_horizontal(
        (pl.col(c).is_null() & pl.col(f"{c}_old").is_null())
        | ((pl.col(c) - pl.col(f"{c}_old")).abs() <= SAME * pl.col(f"{c}_old").abs()).fill_null(value=False)
        for c in (*BAR_PRICES, "volume")
    )
    changed = pairs.filter(new | ~same)
    return changed.select(*BAR_SCHEMA), bool(changed.select(new.all()).item())
