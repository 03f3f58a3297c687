"""``marketloop rebuild``: train a kept version again and compare."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str, typer.Argument(help="The family.")],
    version: Annotated[int, typer.Argument(help="The version.")],
) -> Answer:
    """Train VERSION again from its recorded data, settings, seed and threads, and compare; nothing is kept.

    Exit code 1 when the predictions are not the same.
    """
    with call.open_house(features.settings()) as house, call.progress("rebuilding") as update:
        update(0, None)
        document = call.room("loop.rebuilding").rebuild(house, family, version).document()

    def show(screen: Screen) -> None:
        word = "identical" if document["identical"] else "the same" if document["agrees"] else "NOT THE SAME"
        style = "bold green" if document["agrees"] else "bold red"
        screen.line(f"{document['family']} v{document['version']}: {word}", style=style)
        screen.line(document["explanation"])
        rows = [(f["name"], (f["sha256"] or "-")[:16], (f["rebuilt"] or "-")[:16]) for f in document["files"]]
        screen.table(("file", "sha256", "rebuilt"), rows)

    return Answer(document, show, exit_code=0 if document["agrees"] else 1)
