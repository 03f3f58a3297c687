"""``marketloop rebuild``: train a kept version again and compare."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.core.errors import UsageError

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str, typer.Argument(help="The family.")],
    version: Annotated[int | None, typer.Argument(help="The version.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Restore lost files of the walk-forward stream.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="With --stream: begin a new one; needs --reason.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why the stream is given up; it is recorded.")] = "",
) -> Answer:
    """Train VERSION again from its recorded data, settings, seed and threads, and compare; nothing is kept.

    With --stream: compute the lost files of the family's walk-forward scores again, and put back those that have the
    recorded sha256. Exit code 1 when the predictions are not the same, or a file is still lost.
    """
    if stream:
        if version is not None:
            raise UsageError(f"rebuild --stream restores scores and trains no version: leave {version} out")
        return _stream(call, features, family, give_up=give_up, reason=reason)
    if version is None or give_up:
        raise UsageError("which version? name one (`marketloop models` lists them), or restore scores with --stream")
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


def _stream(call: Call, features: FeatureFlags, family: str, *, give_up: bool, reason: str) -> Answer:
    with call.open_house(features.settings()) as house, call.progress("restoring") as update:
        update(0, None)
        room = call.room("loop.restoring")
        found = room.give_up(house, family, reason=reason) if give_up else room.restore_stream(house, family)
        document = found.document()

    def show(screen: Screen) -> None:
        if not document["lost"]:
            screen.line(f"{document['family']}: every file of its streams is there and whole", style="bold green")
            return
        rows = [(f["path"], "restored" if f["restored"] else "LOST", f["trouble"]) for f in document["files"]]
        screen.table(("file", "", "why"), rows)
        if document["given_up"]:
            screen.line("given up: the next retrain opens a new stream, which pays for its looks with less alpha")
        elif not document["whole"]:
            screen.line(
                "bring back what is missing (data/, plugins, settings, libraries) or a backup of models/streams, and "
                'try again; if it is gone for good: --stream --give-up --reason "why"'
            )

    whole = document["whole"] or bool(document["given_up"])
    return Answer(document, show, exit_code=0 if whole else 1)
