"""Files that show what the store holds to people and other programs; the store itself is the truth."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Final

from marketloop.data.sources.protocol import Source
from marketloop.data.store import DeltaBarStore
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["write_copies", "write_metadata"]

_METADATA: Final = "metadata.json"


def write_metadata(store: DeltaBarStore, source: Source, at: dt.datetime | None) -> None:
    """Write ``metadata.json`` beside the tables: when, from where, which tickers and ranges, how adjusted.

    Parameters
    ----------
    store, source : where the bars are and where they came from
    at : datetime, optional
        The time of the collection.
    """
    coverage = store.coverage()
    document = {
        "collected_at": at.isoformat() if at else None,
        "source": source.name,
        "adjustment": source.adjustment,
        "data_version": store.version,
        "rows": int(coverage["rows"].sum()),
        "tickers": coverage["ticker"].to_list(),
        "start": str(coverage["first"].min()),
        "end": str(coverage["last"].max()),
        "ranges": {
            ticker: {"first": str(first), "last": str(last), "rows": rows}
            for ticker, first, last, rows in coverage.iter_rows()
        },
    }
    ensure_folder(store.root)
    write_atomic(store.root / _METADATA, (json.dumps(document, indent=2) + "\n").encode())


def write_copies(store: DeltaBarStore, output: Path) -> tuple[Path, Path, Path]:
    """Write the stored bars to `output` and to ``market_data.parquet``, with ``metadata.json``, in its folder.

    Each file appears whole or not at all.

    Raises
    ------
    FailedError
        The disk is full or the folder is not writable.
    """
    folder = ensure_folder(output.parent)
    buffer = io.BytesIO()
    store.read().write_parquet(buffer)
    metadata = (store.root / _METADATA).read_bytes()
    paths = (output, folder / "market_data.parquet", folder / _METADATA)
    for path, content in zip(paths, (buffer.getvalue(), buffer.getvalue(), metadata), strict=True):
        write_atomic(path, content)
    return paths
