"""The sources that need no plugin, by the name that settings give them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marketloop.core.errors import UsageError, unknown_name
from marketloop.data.sources import FolderSource, SampleSource, Source

__all__ = ["BUILTIN_SOURCES", "build_source"]

BUILTIN_SOURCES: Final = ("folder", "sample", "synthetic")


def build_source(name: str, *, path: Path | None = None, options: Mapping[str, Any] | None = None) -> Source:
    """Build a source by name.

    Parameters
    ----------
    name : {"folder", "sample", "synthetic"}
    path : path, optional
        What `folder` reads; no other source takes one.
    options : mapping, optional
        Settings of `synthetic`, or ``exchange_zone`` of `folder`.

    Raises
    ------
    UsageError
        The name is unknown, `folder` has no path, or an option does not exist.
    """
    given = dict(options or {})
    if name == "synthetic":
        # Loaded only here: a simulation draws on libraries that nobody else needs.
        made: Source = importlib.import_module("marketloop.data.synthetic").SyntheticSource(given)
        return made
    if name == "sample":
        _refuse_options(name, given, ())
        return SampleSource()
    if name == "folder":
        _refuse_options(name, given, ("exchange_zone",))
        if path is None:
            raise UsageError("the source folder needs a path; give --path FILE_OR_DIR or set `[data] path`")
        return FolderSource(path, exchange_zone=given.get("exchange_zone"))
    raise unknown_name("source", name, BUILTIN_SOURCES)


def _refuse_options(source: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for option in given:
        if option not in known:
            if known:
                raise unknown_name(f"option of the source {source}", option, known)
            raise UsageError(f'the source {source} takes no options; remove "{option}" from `[data] options`')
