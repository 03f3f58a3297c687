"""``marketloop compare``: two versions, or two feature sets, on sessions that neither had seen."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags, names
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines
from marketloop.core.errors import UsageError

__all__ = ["command"]

_UNITS = {
    "accuracy": "accuracy, share of rows",
    "log_loss": "log loss, nats (lower is better)",
    "rank_ic": "rank IC at the label's horizon",
    "ic1": "ic1, rank IC of one session",
    "rmse": "root mean square error (lower is better)",
    "sharpe_ratio": "Sharpe ratio a year, long-short, no costs",
    "max_drawdown": "worst drawdown, long-short, no costs",
}


def command(
    call: Call,
    features: FeatureFlags,
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[FAMILY] A B", help="Two versions; the primary family by default.")
    ] = None,
    feature_sets: Annotated[
        str | None, typer.Option("--feature-sets", metavar="A,B", help="Compare two feature sets instead.")
    ] = None,
) -> Answer:
    """Show two versions side by side with the paired difference and its interval, and the gate's word on B.

    Only sessions and tickers count of which both sides had spoken before the outcome was known. With --feature-sets
    the family's fallback recipe is walked forward on both sets; nothing is stored.
    """
    words = given or []
    with call.open_house(features.settings()) as house, call.telling("comparing") as tell:
        if feature_sets is not None:
            family = _family_alone(words) or house.settings.serve.primary
            chosen = names(feature_sets)
            found = call.room("loop.comparing_sets").compare_feature_sets(house, family, chosen, tell=tell)
        else:
            named, a, b = _versions(words)
            family = named or house.settings.serve.primary
            found = call.room("loop.comparing").compare_versions(house, family, a, b, tell=tell)
    document: dict[str, Any] = found.document()
    return Answer(document, lambda screen: _show(screen, document))


def _family_alone(words: list[str]) -> str | None:
    if len(words) > 1:
        raise UsageError(f"{' '.join(words)}: with --feature-sets expected at most the name of a family")
    return words[0] if words else None


def _versions(words: list[str]) -> tuple[str | None, int, int]:
    """Read ``[FAMILY] A B``."""
    family = words[0] if len(words) == 3 else None
    numbers = words[1:] if family else words
    if len(numbers) != 2:
        raise UsageError(f"compare {' '.join(words)}: expected two versions, e.g. compare price_predictor 6 7".strip())
    versions = []
    for text in numbers:
        plain = text.removeprefix("v")
        if not plain.isdecimal() or int(plain) < 1:
            raise UsageError(f'version "{text}": expected a whole number from 1, e.g. 7')
        versions.append(int(plain))
    return family, versions[0], versions[1]


def _show(screen: Screen, document: dict[str, Any]) -> None:
    a, b, basis = document["a"], document["b"], document["basis"]
    screen.heading(f"{a['family']}: {a['name']} and {b['name']}")
    for side in (a, b):
        if "verdict" in side:
            word = side["verdict"] or "not examined"
            screen.line(
                f"{side['name']}: {word}, {side['status'] or 'candidate'}, recipe {side['recipe']}", style="dim"
            )
    screen.line(
        f"{basis['sessions']} sessions from {basis['first']} to {basis['last']}, {basis['tickers']} tickers: "
        f"{basis['text']}"
    )
    rows = [
        (_UNITS.get(d["metric"], d["metric"]), d["a"], d["b"], d["difference"], _interval(d["interval"]), d["sessions"])
        for d in document["differences"]
    ]
    screen.table(("figure", a["name"], b["name"], f"{b['name']} less {a['name']}", "95 % interval", "sessions"), rows)
    if document["gate"] is not None:
        gate = document["gate"]
        screen.line(f"the gate about {b['name']}: {gate['verdict']} ({gate['reason_code']}), {gate['reason']}")
    warning_lines(screen, document["warnings"])
    screen.line(f"recommendation: {document['recommendation']}", style="bold")


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:+.4g} to {bounds[1]:+.4g}"
