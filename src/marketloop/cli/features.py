"""``marketloop features``: the feature sets, their values, and the leak check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines
from marketloop.core.errors import UsageError

__all__ = ["command"]


def command(
    call: Call,
    wanted: FeatureFlags,
    listed: Annotated[bool, typer.Option("--list", help="Print the names of every set, in order.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check that no feature sees the future.")] = False,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Bars to compute on: a CSV or Parquet file, or a folder of them.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Where the features go: .csv or .parquet.")] = None,
) -> Answer:
    """Compute the feature set of the stored bars, or of a file, and say what is missing.

    --list and --input with --output work outside a project too.
    """
    if sum((listed, check, input_ is not None)) > 1:
        raise UsageError("--list, --check and --input are three different questions: give one of them")
    if (input_ is None) != (output is None):
        raise UsageError("--input and --output belong together: features --input FILE --output FILE")
    loop = call.room("loop.checking")
    with call.open_house(wanted.settings(), bare=listed or check or input_ is not None) as house:
        if listed:
            return _listed(loop.feature_sets(house))
        if check:
            with call.progress("checking features") as update:
                update(0, None)
                return _checked(loop.check_features(house, wanted.feature_set))
        if input_ is not None and output is not None:
            computed = loop.compute_file(house, input_.expanduser(), output.expanduser())
            return _computed({**computed.document(), "output": output})
        return _computed(loop.compute_stored(house).document())


def _listed(document: dict[str, Any]) -> Answer:
    def show(screen: Screen) -> None:
        for name, features in document["sets"].items():
            screen.heading(f"{name} ({len(features)})")
            screen.line(", ".join(features))
        if "plugins" in document:
            screen.heading(f"added to every set by plugins ({len(document['plugins'])})")
            screen.line(", ".join(document["plugins"]))

    return Answer(document, show)


def _checked(report: Any) -> Answer:
    leaks = [
        {"feature": k.feature, "kind": k.kind, "first_session": k.first_session.isoformat(), "detail": k.detail}
        for k in report.leaks
    ]

    def show(screen: Screen) -> None:
        if leaks:
            screen.table(("feature", "kind", "first session", "detail"), [list(leak.values()) for leak in leaks])
        names = len({leak["feature"] for leak in leaks})
        verdict = f"{names} leak" if names else "none sees the future and every look-back is honest"
        screen.line(f"{report.checked} features checked: {verdict}", style="bold red" if leaks else "green")

    return Answer({"checked": report.checked, "leaks": leaks}, show, exit_code=1 if leaks else 0)


def _computed(document: dict[str, Any]) -> Answer:
    def show(screen: Screen) -> None:
        screen.line(
            f"{document['feature_set']} ({document['config_key']}): {len(document['features'])} features of "
            f"{document['tickers']} tickers, {document['rows']:,} rows, {document['first']} to {document['last']}"
        )
        rows = [(f["name"], f["family"], f"{f['missing']:.1%}") for f in document["features"]]
        screen.table(("feature", "family", "missing"), rows)
        if document["unfed"]:
            screen.line(f"nothing feeds: {', '.join(document['unfed'])}", style="yellow")
        warning_lines(screen, document["warnings"])
        if "output" in document:
            screen.line(f"written to {document['output']}")

    return Answer(document, show)
