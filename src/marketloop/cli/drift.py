"""``marketloop drift``: which features have drifted, what the champions have lost, and what that asks for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command"]

_COLUMNS = ("feature", "state", "p adjusted", "moved, sd", "PSI", "KS", "Wasserstein, sd", "importance")
_ASKS = {"monitor": "nothing to do", "plan": "plan a retraining", "retrain": "retrain now"}


def command(
    call: Call,
    family: Annotated[str | None, typer.Argument(metavar="[FAMILY]", help="All that have a champion.")] = None,
    request: Annotated[bool, typer.Option("--request", help="Ask for a cycle where a scan calls for one.")] = False,
    history: Annotated[bool, typer.Option("--history", help="With the last scans, features by scans.")] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="How many features to show.")] = 10,
    only_new: Annotated[bool, typer.Option("--only-new", help="Pass over what was scanned already.")] = False,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Compare the recent sessions with those that each champion learned from, and its predictions with its examination.

    The adjusted p-value of a feature is that of its distance among windows of the training data themselves: one in
    twenty scans of a market in which nothing has changed says anything, however slow or alike the features are.
    """
    stopping = call.room("runtime.stopping")
    stopping.raise_on_signals()
    if tied:
        stopping.tie_to_parent()
    with call.open_house() as house, call.progress("scanning for drift") as update:
        update(0, None)
        document: dict[str, Any] = call.room("loop.drift_report").scan_all(
            house, family, ask=request, only_new=only_new, history=history
        )
    return Answer(document, lambda screen: _show(screen, document, top))


def _show(screen: Screen, document: dict[str, Any], top: int) -> None:
    for scan in document["families"]:
        _family(screen, scan, top)
    if not document["families"] and not document["errors"]:
        screen.line("no champion to scan, or nothing new since the last scan: run `marketloop retrain`")
    asked = document.get("request")
    if asked is not None:
        why = f": {asked['why_not']}" if asked["why_not"] else ""
        screen.line(f"request {asked['id']} for {', '.join(asked['families'])} is {asked['state']}{why}")
    warning_lines(screen, [f"{family}: {error}" for family, error in document["errors"].items()])


def _family(screen: Screen, scan: dict[str, Any], top: int) -> None:
    recent, reference = scan["recent_sessions"], scan["reference_sessions"]
    screen.table(
        _COLUMNS,
        [_row(feature) for feature in scan["features"][:top]],
        title=(
            f"{scan['family']} v{scan['version']} ({scan['config_key']}): {recent['first']} to {recent['last']} beside "
            f"{reference['count']} sessions from {reference['first']} to {reference['last']}"
        ),
    )
    for finding in scan["findings"]:
        screen.line(f"{finding['about']}: {finding['reason']}", style="dim" if finding["action"] == "monitor" else "")
    until = f" by {scan['retrain_by']}" if scan["retrain_by"] else ""
    screen.line(f"feature drift {scan['feature_drift']}; {_ASKS[scan['action']]}{until}", style="bold")
    warning_lines(screen, scan["notes"])


def _row(feature: dict[str, Any]) -> tuple[Any, ...]:
    told, importance = feature["p_adjusted"], feature["importance"]
    return (
        feature["name"],
        feature["state"],
        None if told is None else f"{told:.4f}",
        None if feature["shift"] is None else f"{feature['shift']:+.2f}",
        feature["psi"],
        feature["ks"],
        feature["wasserstein"],
        None if importance is None else f"{importance:.1%}",
    )
