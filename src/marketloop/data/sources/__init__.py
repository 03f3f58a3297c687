"""Where bars and market series come from: one protocol, offline sources behind it."""

from __future__ import annotations

from marketloop.data.sources.folder import FolderSource
from marketloop.data.sources.protocol import Fetched, Source
from marketloop.data.sources.sample import SampleSource
from marketloop.data.sources.series import context_series_from_files, sectors_from_file

__all__ = [
    "Fetched",
    "FolderSource",
    "SampleSource",
    "Source",
    "context_series_from_files",
    "sectors_from_file",
]
