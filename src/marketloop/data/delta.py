"""One Delta table in one folder: atomic writes, versions that stay readable, and errors that say what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.faults import step
from marketloop.runtime.files import delete
from marketloop.runtime.locks import lock

__all__ = ["DeltaFolder"]

_FILES_BEFORE_COMPACTION: Final = 64

_FOREVER: Final = "interval 36500 days"

_KEEP_HISTORY: Final = {
    "delta.logRetentionDuration": _FOREVER,
    "delta.deletedFileRetentionDuration": _FOREVER,
    "delta.enableExpiredLogCleanup": "false",
}

_LOGGED: Final = re.compile(r"\d{20}\.(json|checkpoint\..*parquet|checkpoint\.parquet|crc)|_last_checkpoint")

_METADATA_KEY: Final = "marketloop"


class DeltaFolder:
    """A Delta table with a fixed schema.

    Parameters
    ----------
    path : folder
        Need not exist; the first write makes it.
    schema : mapping of column to type
    """

    def __init__(self, path: Path, schema: Mapping[str, pl.DataType]) -> None:
        self.path = path
        self.schema = dict(schema)

    @property
    def version(self) -> int | None:
        """The present version; None before the first write."""
        table = self._table()
        return None if table is None else int(table.version())

    def read(
        self,
        keep: pl.Expr | None = None,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the rows of which `keep` is true, in no order; nothing where the table does not exist."""
        names = list(columns or self.schema)
        table = self._table(version)
        if table is None:
            return pl.DataFrame(schema={name: self.schema[name] for name in names})
        with self._explained("read"):
            files = self._check_files(table)
            # Not `scan_delta`: it takes the table's address for a path, and a folder "My models" is not found.
            frame = pl.scan_parquet(files, glob=False) if files else pl.LazyFrame(schema=self.schema)
            frame = frame if keep is None else frame.filter(keep)
            return frame.select(pl.col(name).cast(self.schema[name]) for name in names).collect()

    def write(
        self,
        rows: pl.DataFrame,
        keys: Sequence[str],
        *,
        base: int | None,
        inserts_only: bool,
        metadata: Mapping[str, Any],
    ) -> int:
        """Insert `rows`, or replace the stored rows with the same `keys`, in one commit; return the version.

        Parameters
        ----------
        rows : frame with the columns of the schema
            Without rows nothing is written, except that a table that does not exist is made.
        keys : columns that identify a row
        base : int or None
            The version that `rows` were compared with. Where another process has written since, nothing is written and
            `FailedError` says so.
        inserts_only : bool
            No key of `rows` is stored, so the rows can be appended.
        metadata : mapping, JSON-ready
        """
        if base is not None and rows.is_empty():
            return base
        with self._explained("write"), self._alone():
            self._commit(rows.select(*self.schema), keys if not inserts_only else (), base, _properties(metadata))
            return self._compacted(metadata)

    def replace(self, rows: pl.DataFrame, *, base: int | None) -> int:
        """Replace the whole content of version `base` in one commit; return the version."""
        with self._explained("write"), self._alone():
            properties, content = _properties({}), rows.select(*self.schema)
            if base is None:
                self._create(content, properties)
            else:
                table = DeltaTable(str(self.path), version=base)
                with step("table.commit"):
                    write_deltalake(table, content, mode="overwrite", commit_properties=properties)
            return int(DeltaTable(str(self.path)).version())

    def metadata(self, version: int | None = None) -> dict[str, Any]:
        """Return what was recorded with `version` (default: the present one)."""
        table = self._table(version)
        if table is None:
            return {}
        with self._explained("read"):
            # The library numbers a history from the version that is loaded, so it is asked of the newest one.
            newest = DeltaTable(str(self.path))
            back = newest.version() - table.version()
            commits = newest.history(back + 1)
            found: dict[str, Any] = json.loads(commits[back].get(_METADATA_KEY, "{}"))
            return found

    def strays(self) -> tuple[Path, ...]:
        """Return the files that no version of the table names: processes that died while writing have left them."""
        log = self.path / "_delta_log"
        named = {self.path / name for commit in log.glob("*.json") for name in _added(commit)}
        rows = (path for path in self.path.glob("*") if path.is_file() and path not in named)
        commits = (path for path in log.glob("*") if not _LOGGED.fullmatch(path.name))
        return (*sorted(rows), *sorted(commits))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time write, and delete what one that died while writing has left.

        The lock file says whether a write was begun and never ended; only then the files are compared with the log.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / f".{self.path.name}.lock").open("a+b", buffering=0) as file:
            try:
                lock(file, wait=False)
            except (BlockingIOError, PermissionError) as error:
                raise FailedError(f'another process is writing to "{self.path}": run the command again') from error
            except OSError:  # files cannot be locked there: nothing is known of other writers, so nothing is deleted
                yield
                return
            file.seek(0)
            if file.read(1):
                for path in self.strays():
                    delete(path)
            else:
                file.write(b"1")
            yield
            file.truncate(0)

    def _table(self, version: int | None = None) -> DeltaTable | None:
        with self._explained("read"):
            if not any((self.path / "_delta_log").glob("*.json")):
                if version is not None:
                    raise UsageError(f'"{self.path}" has no version {version}: it is empty; run `marketloop collect`')
                return None
            table = DeltaTable(str(self.path))
            if version is None or version == table.version():
                return table
            if not 0 <= version < table.version():
                raise UsageError(f'"{self.path}" has no version {version}; expected 0 to {table.version()}')
            return DeltaTable(str(self.path), version=version)

    def _commit(self, rows: pl.DataFrame, keys: Sequence[str], base: int | None, properties: CommitProperties) -> None:
        if base is None:
            self._create(rows, properties)
        elif keys:
            with step("table.commit"):
                _upsert(DeltaTable(str(self.path), version=base), rows, keys, properties)
        else:
            table = DeltaTable(str(self.path), version=base)
            with step("table.commit"):
                write_deltalake(table, rows, mode="append", commit_properties=properties)

    def _create(self, rows: pl.DataFrame, properties: CommitProperties) -> None:
        with step("table.commit"):
            write_deltalake(
                str(self.path), rows, mode="error", configuration=_KEEP_HISTORY, commit_properties=properties
            )

    def _compacted(self, metadata: Mapping[str, Any]) -> int:
        table = DeltaTable(str(self.path))
        if len(table.file_uris()) > _FILES_BEFORE_COMPACTION:
            # The rows are in already; small files can be joined another time.
            with suppress(CommitFailedError), step("table.commit"):
                table.optimize.compact(commit_properties=_properties(metadata))
        return int(table.version())

    def _check_files(self, table: DeltaTable) -> list[Path]:
        """Return the files of a version, their sizes compared with those in the log: reading half a file can panic."""
        added = pl.DataFrame(table.get_add_actions(flatten=True))
        files = [(self.path / unquote(name), size) for name, size in added.select("path", "size_bytes").iter_rows()]
        for file, size in files:
            found = file.stat().st_size if file.is_file() else None
            if found != size:
                state = "is missing" if found is None else f"has {found} bytes instead of {size}"
                raise OSError(f"{file.name} {state}")
        return [file for file, _ in files]

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise FailedError(f'cannot {deed} the table "{self.path}": {_cause(error)}') from error


def _added(commit: Path) -> Iterator[str]:
    """Yield the names of the files that a commit adds to the table."""
    for line in commit.read_text(encoding="utf-8").splitlines():
        if '"add"' in line and (added := json.loads(line).get("add")):
            yield unquote(added["path"])


def _upsert(table: DeltaTable, rows: pl.DataFrame, keys: Sequence[str], properties: CommitProperties) -> None:
    same = " AND ".join(f'kept."{key}" = new."{key}"' for key in keys)
    merger = table.merge(rows, same, source_alias="new", target_alias="kept", commit_properties=properties)
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _properties(metadata: Mapping[str, Any]) -> CommitProperties:
    text = json.dumps(metadata, sort_keys=True, default=str)
    # Without retries a commit succeeds only on the version that it was made from: compare and swap.
    return CommitProperties(custom_metadata={_METADATA_KEY: text}, max_commit_retries=0)


def _cause(error: BaseException) -> str:
    text = " ".join(str(error).split())
    lower = text.lower()
    if "no space left" in lower or "os error 28" in lower or "quota" in lower:
        return "the disk is full; free some space and run the command again, nothing was half-written"
    if "read-only file system" in lower or "permission denied" in lower or "os error 13" in lower:
        return "the folder is not writable; make it writable or choose another project directory"
    if "not a directory" in lower or "file exists" in lower:
        return "a file stands where a folder is needed; move it away"
    if "failed to commit" in lower or "concurrent" in lower or "already exists" in lower:
        return "another process wrote to it at the same time; run the command again"
    return f"it is damaged ({text[:160]}); restore it from a backup, or remove the folder and collect again"
