"""``marketloop rollout``: try a second version beside the champion."""

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
    family: Annotated[str | None, typer.Argument(help="The family; all when none is named.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="shadow, canary, ab or off.")] = None,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="The second version.")] = None,
    share: Annotated[
        float | None, typer.Option("--share", help="Fraction of the tickers it answers for; 0.1 is a tenth.")
    ] = None,
    reason: ReasonOption = "",
    config: ConfigOption = None,
) -> Answer:
    """Show what takes part beside the champions or, with --mode, change it; a change needs --reason.

    A shadow is journalled and never answers. A canary or A/B test answers for a fixed share of the tickers; a ticker
    that is in it stays in it when the share grows.
    """
    steering = call.room("loop.steering")
    if mode is None:
        if (version, share, reason) != (None, None, ""):
            raise UsageError("what is to be done with that version? Add --mode shadow, canary, ab or off")
        with call.open_helm() as helm:
            if family is not None:
                helm.slot(family, config)
            document = steering.rollouts_of(helm, family)
    else:
        if family is None:
            raise UsageError("a rollout belongs to one family: name it")
        with call.open_helm() as helm:
            document = steering.set_rollout(
                helm, family, mode=mode, version=version, share=share, reason=reason, config_key=config
            )

    def show(screen: Screen) -> None:
        if not document["rollouts"]:
            screen.line("no rollout yet: every ticker is answered by the champion")
            return
        keys = ("family", "config_key", "mode", "version", "share", "reason", "recorded_at")
        columns = ("family", "configuration", "mode", "version", "share", "reason", "since")
        rows = [[*(entry[k] for k in keys[:-1]), entry["recorded_at"][:16]] for entry in document["rollouts"]]
        screen.table(columns, rows)

    return Answer(document, show)
