"""``marketloop promote``: make a version the champion by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.rollback import ReasonOption
from marketloop.cli.tables import figures_table, warning_lines

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str, typer.Argument(help="The family.")],
    version: Annotated[int, typer.Argument(help="The version that shall serve.")],
    reason: ReasonOption = "",
) -> Answer:
    """Make VERSION the champion past the gate's opinion, never past a hard check; needs --reason.

    It stays provisional, every signal HOLD, while the skill of its recipe is unproven.
    """
    with call.open_house(features.settings()) as house, call.progress("promoting") as update:
        update(0, None)
        document = call.room("loop.by_hand").promote_by_hand(house, family, version, reason=reason)
        call.room("loop.mirroring").drain_views(house)
        call.room("loop.ringing").ring(house)

    def show(screen: Screen) -> None:
        screen.line(f"{document['family']}: version {document['version']} serves ({document['status']})", style="bold")
        screen.line(document["reason"])
        figures_table(screen, document["metrics"], document["baseline"])
        note = "no skill of its recipe is proven, so every signal is HOLD"
        warning_lines(screen, [] if document["skill_proven"] else [note])

    return Answer(document, show)
