"""The errand of a process of its own: tell the channels what waits for them, however long one of them takes."""

from __future__ import annotations

import sys
from pathlib import Path

from marketloop.loop.alarms import deliver
from marketloop.loop.house import open_house
from marketloop.runtime.logging import set_up_logging

__all__ = ["main"]


def main(root: Path) -> int:
    """Tell the channels of the project `root`, those of its plugins too; return how many alarms were told."""
    with open_house(root) as house:
        set_up_logging(house.project.logs)
        return deliver(house)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
