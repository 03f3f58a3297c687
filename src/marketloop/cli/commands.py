"""All commands by name: the module that holds each and what it is for; nothing is imported to list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["COMMANDS", "Entry"]


class Entry(NamedTuple):
    """Where a command lives and its help of one line."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "init": Entry("marketloop.cli.init", "Make a project directory with commented settings."),
    "config": Entry("marketloop.cli.config", "Show the settings that hold and where each was given."),
    "doctor": Entry("marketloop.cli.doctor", "Examine the installation and the project, and name remedies."),
}
"""In the order in which a user meets them."""
