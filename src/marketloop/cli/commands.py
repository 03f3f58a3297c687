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
    "collect": Entry("marketloop.cli.collect", "Fetch the bars that are missing."),
    "quality": Entry("marketloop.cli.quality", "Report what the rules found in the stored bars."),
    "features": Entry("marketloop.cli.features", "Compute, list or check features."),
    "train": Entry("marketloop.cli.train", "Make a candidate and show its figures; promotes nothing."),
    "tune": Entry("marketloop.cli.tune", "Search the hyperparameters of a family on purged folds."),
    "validate": Entry("marketloop.cli.validate", "Show the evidence about a version."),
    "compare": Entry("marketloop.cli.compare", "Show two versions, or two feature sets, side by side."),
    "importance": Entry("marketloop.cli.importance", "Show which features a version leans on."),
    "backtest": Entry("marketloop.cli.backtest", "Show what the signals of a version would have earned."),
    "retrain": Entry("marketloop.cli.retrain", "Refresh, train, examine, and promote what passes the gate."),
    "promote": Entry("marketloop.cli.promote", "Make a version the champion by hand."),
    "rollback": Entry("marketloop.cli.rollback", "Let an earlier version serve again."),
    "pin": Entry("marketloop.cli.pin", "Serve exactly one version and train nothing more."),
    "rollout": Entry("marketloop.cli.rollout", "Try a second version: shadow, canary, A/B."),
    "models": Entry("marketloop.cli.models", "List versions with their figures."),
    "champion": Entry("marketloop.cli.champion", "Show who serves, now or at an earlier time."),
    "export": Entry("marketloop.cli.export", "Copy a version out, or write the file views again."),
    "rebuild": Entry("marketloop.cli.rebuild", "Train a kept version again and compare; restore lost scores."),
    "predict": Entry("marketloop.cli.predict", "Show what the champion says of tickers."),
    "rank": Entry("marketloop.cli.rank", "Order the tickers by the score of a champion."),
    "regime": Entry("marketloop.cli.regime", "Show what the champion says of the market's regime."),
    "accuracy": Entry("marketloop.cli.accuracy", "Show how good the served predictions turned out to be."),
    "drift": Entry("marketloop.cli.drift", "Scan the champions for drift and say what it asks for."),
    "replay": Entry("marketloop.cli.replay", "Live the history again under other retraining policies."),
    "status": Entry("marketloop.cli.status", "Show where the project stands."),
    "events": Entry("marketloop.cli.events", "Publish what happened, or list it and what came of it."),
    "serve": Entry("marketloop.cli.serve", "Serve predictions, status and jobs over HTTP."),
    "keys": Entry("marketloop.cli.keys", "Make, list, rotate and revoke the keys of the API."),
    "loop": Entry("marketloop.cli.loop", "Plan, react and retrain by itself until it is stopped."),
    "up": Entry("marketloop.cli.up", "Run everything that a project needs, and restart what dies."),
    "demo": Entry("marketloop.cli.demo", "Take real sample data through the whole road."),
    "bench": Entry("marketloop.cli.bench", "Measure speed and honesty on this machine."),
}
"""In the order in which a user meets them."""
