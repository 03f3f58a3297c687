"""Reads one CSV or Parquet file into a frame, and text into numbers."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError

__all__ = ["ENDINGS", "Table", "ending_of", "read_numbers", "read_table"]

ENDINGS: Final = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet", ".pq")
_PARQUET: Final = b"PAR1"
_UNITS: Final = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True, slots=True)
class Table:
    """What one file holds.

    Parameters
    ----------
    path : path
    frame : frame
        CSV columns are text; Parquet columns keep their types.
    digest : str
        SHA-256 of the file: two files with the same are copies.
    """

    path: Path
    frame: pl.DataFrame
    digest: str


def ending_of(path: Path) -> str | None:
    """Return which of `ENDINGS` the name of `path` has, or None."""
    name = path.name.lower()
    return next((ending for ending in ENDINGS if name.endswith(ending)), None)


def read_table(path: Path) -> Table:
    """Read a file whole.

    Raises
    ------
    UsageError
        It does not exist, is empty, is truncated, or is not what its ending says.
    """
    ending = ending_of(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f'the file "{path}" cannot be read ({error.strerror}); check the path') from None
    if ending is None:
        raise UsageError(f'the file "{path}" is neither CSV nor Parquet; expected one of {", ".join(ENDINGS)}')
    kind = "Parquet" if ending in {".parquet", ".pq"} else "CSV"
    try:
        frame = _read_parquet(content) if kind == "Parquet" else _read_csv(content, compressed=ending == ".csv.gz")
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, pl.exceptions.PanicException) as error:
        cause = "truncated or damaged" if kind == "Parquet" else " ".join(str(error).split())[:120]
        raise UsageError(f'the {kind} file "{path}" cannot be read ({cause}); copy it again, or leave it out') from None
    return Table(path, frame, hashlib.sha256(content).hexdigest())


def read_numbers(column: pl.Series) -> pl.Series:
    """Read a column as Float64; what is no number becomes null.

    Understands thousands separators, currency signs, decimal commas (where the column has no decimal points), and
    ``1.2K``, ``3.4M``, ``5B``.

    >>> read_numbers(pl.Series(["1,234.5", "$7", "2.5M", "n/a"])).to_list()
    [1234.5, 7.0, 2500000.0, None]
    """
    if column.dtype.is_numeric():
        return column.cast(pl.Float64, strict=False)
    plain = column.cast(pl.String).cast(pl.Float64, strict=False)
    if plain.null_count() == column.null_count():
        return plain
    text = column.cast(pl.String).str.strip_chars().str.replace_all(r"[\s$€£]", "")
    filled = text.drop_nulls()
    pointed = bool(filled.str.contains(r"\d\.\d").any())
    decimal_comma = not pointed and bool(filled.str.contains(r"\d,(\d{1,2}|\d{4,})$").any())
    text = text.str.replace_all(",", "." if decimal_comma else "", literal=True)
    unit = text.str.extract(r"^-?[\d.]+([KMB])$", 1)
    factor = unit.replace_strict(_UNITS, default=1.0, return_dtype=pl.Float64)
    return text.str.strip_chars_end("KMB").cast(pl.Float64, strict=False) * factor.fill_null(1.0)


def _read_parquet(content: bytes) -> pl.DataFrame:
    # Looked at first because the reader may panic, loudly, on half a file.
    if len(content) < 12 or content[:4] != _PARQUET or content[-4:] != _PARQUET:
        raise pl.exceptions.ComputeError("the end of the file is missing")
    return pl.read_parquet(content)


def _read_csv(content: bytes, *, compressed: bool) -> pl.DataFrame:
    text = gzip.decompress(content) if compressed else content
    if not text.strip():
        raise pl.exceptions.NoDataError("it is empty")
    head = text[:4096].split(b"\n", 1)[0].decode("utf-8", errors="replace")
    separator = max(",;\t|", key=head.count)
    return pl.read_csv(text, separator=separator, infer_schema=False, encoding="utf8-lossy", null_values=[""])
