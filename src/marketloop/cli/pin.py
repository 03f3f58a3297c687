"""``marketloop pin``: serve exactly one version and train nothing more."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.rollback import ConfigOption, ReasonOption
from marketloop.core.errors import UsageError

__all__ = ["command"]


def command(
    call: Call,
    family: Annotated[str, typer.Argument(help="The family to pin.")],
    version: Annotated[int | None, typer.Argument(help="The version; the champion when none is named.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Train and promote again.")] = False,
    reason: ReasonOption = "",
    config: ConfigOption = None,
) -> Answer:
    """Serve exactly this version: nothing replaces it and nothing is trained until `--off`.

    A version that served earlier comes back first; one that never did needs `promote`.
    """
    if off and version is not None:
        raise UsageError(f"--off takes no version: leave {version} out")
    steering = call.room("loop.steering")
    with call.open_helm() as helm:
        if off:
            document = steering.unpin(helm, family, reason=reason, config_key=config)
        else:
            document = steering.pin(helm, family, version, reason=reason, config_key=config)
        call.room("loop.mirroring").drain_views(helm)
        call.room("loop.ringing").ring(helm)

    def show(screen: Screen) -> None:
        said = "is pinned" if document["pinned"] else "serves and may be replaced"
        screen.line(f"{document['family']}: version {document['version']} {said} ({document['status']})", style="bold")

    return Answer(document, show)
