"""The text of a new ``marketloop.toml``, and changes to single values that leave the rest of a text as it is."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marketloop.core.errors import UsageError
from marketloop.runtime.files import write_atomic
from marketloop.runtime.layers import read_toml

__all__ = ["TEMPLATE", "record_settings", "set_values", "settings_text", "toml_value"]

TEMPLATE: Final = """\
# Settings of this MarketLoop project. A line "# key = ..." shows a default: take the "#" away to change it.
# `marketloop config` prints what holds and where it was given. Environment (MARKETLOOP_GATE__ALPHA_SKILL=0.01) and
# flags come after this file.

# plugins = []                      # "my_plugin.py" or "package.module": each has a function register(catalog)

[project]
name = "marketloop"
# calendar = "XNYS"                 # trading calendar; "24/7" for crypto
# timezone = "America/New_York"     # schedules are in this zone; the calendar's own unless it is given

[data]
# source = "sample"                 # sample (offline, real), synthetic (simulated), folder (your CSV or Parquet)
# path = "bars.parquet"             # file or folder of source "folder", from this file's folder
# universe = "US"
# tickers = ["AAPL", "MSFT"]
# top = 50                          # only the N largest by traded value
# timeframe = "5y"                  # or start = 2015-01-01 and end = 2020-12-31

[context]                           # a ticker of the source, or a file with date, value[, known_at]
# vix = "vix.csv"
# spx = "spx.csv"
# us10y = "us10y.csv"
# usd = "usd.csv"
# sectors = "sectors.csv"           # ticker, sector
# sector_etfs = "etfs.parquet"      # bars of the sector funds; FILE#NAME picks a column or ticker of a file

[strategy]                          # periods of the configurable indicators, in bars
# rsi_period = 10
# volume_exhaustion_lookback_daily = 20
# support_resistance_lookback_daily = 20

[features]
# set = "extended"                  # legacy 9, basic 20, extended 75
# fill = "forward"                  # or "none"

[family.price_predictor]
# enabled = true
# recipes = ["rank_ridge", "small_trees", "xgboost"]  # one is nominated among them by inner purged validation
# target_days = 5                   # sessions ahead
# threshold = 0.02                  # a move beyond this fraction is BUY or SELL
# schedule = "0 2 * * *"            # minute, hour, day, month, weekday; instead of the profile's schedules
# max_age = 63                      # sessions
# confidence = 0.5                  # likeliest class below this: the signal is HOLD; no such bar unless it is given
# space = {}                        # ranges that tuning searches: {max_depth = [3, 6]}

[gate]
# alpha_skill = 0.025               # probability per year of calling a worthless recipe skilled
# alpha_better = 0.025
# min_skill_sessions = 250
# min_pair_sessions = 40
# refresh_age = 63                  # sessions after which a champion may be replaced by one that is not worse
# z_refresh = -1.28
# harm_window = 63                  # sessions of a champion's own live evidence that the harm alarm reads
# z_harm = -3.1                     # at or below it the champion becomes provisional and says HOLD
# profile = "none"                  # "guide" or "strict" add absolute floors
# floors = {}                       # own ones: {accuracy = 0.6, points_lost = 10}

[guard]                             # a new champion beside the one it replaced; the worse one goes
# enabled = true
# window = 63                       # sessions after a promotion that are watched
# alpha = 0.02                      # probability of taking an equal champion back, all nights together

[monitoring]                        # drift: recent sessions beside those that the champion learned from
# enabled = true
# schedule = "0 6 * * *"            # every day at 06:00 on the exchange's clock
# window = 20                       # recent sessions
# alpha = 0.05                      # chance of a false alarm per scan

[retraining]
# schedule = "default"              # nightly, and in full on Sundays; "calm" is monthly, or "off"
# on_events = false
# min_interval_hours = 24           # between starts that events cause
# data_deadline_hours = 6           # so long a scheduled run waits for the bars of the newest session
# min_new_samples = 100
# training_data_path = "data/ml_training_data.csv"

[registry]
# keep = 10                         # versions of each family that keep their files; champion and previous always do

[serve]
# host = "127.0.0.1"
# port = 8000
# primary = "price_predictor"
# stale_after = 3                   # sessions

[alarms]
# urls = []                         # Apprise addresses; they hold secrets: better kept in MARKETLOOP_ALARMS__URLS
# kinds = ["success", "validation", "degradation", "rollback", "error", "drift", "repair"]
# quiet_hours = 6                   # the same alarm is told once in so many hours
# per_hour = 20                     # more than these go to the ledger and models/alerts.log only
# timeout_s = 10                    # patience with a channel

[state]
# url = "postgresql+psycopg://..."  # SQLite files of this project by default

[tracking]
# enabled = true
# uri = "http://..."                # MLflow; a SQLite file of this project by default

[compute]
# threads = 2                       # all cores by default
"""


def settings_text(values: Mapping[str, Any]) -> str:
    """Return the commented settings of a new project with `values` (by dotted key) filled in."""
    return set_values(TEMPLATE, values)


def record_settings(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` (by dotted key) into the settings file `path`, atomically, and keep every other line.

    Raises
    ------
    UsageError
        The file is no TOML, or is written in a way that cannot be changed line by line.
    """
    text, _ = read_toml(path)
    changed = set_values(text, values)
    if changed != text:
        write_atomic(path, changed.encode())


def set_values(text: str, values: Mapping[str, Any]) -> str:
    r"""Return the TOML `text` with `values` set; comments, order and all other values stay.

    >>> set_values("[data]\n# top = 50  # largest\n", {"data.top": 10})
    '[data]\ntop = 10    # largest\n'
    """
    before = tomllib.loads(text)
    expected = before
    for key, value in values.items():
        *section, name = key.split(".")
        text = _set(text, ".".join(section), name, toml_value(value))
        expected = _with(expected, [*section, name], tomllib.loads(f"v = {toml_value(value)}")["v"])
    try:
        done = tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        done = False
    if not done:
        wanted = ", ".join(f"{k} = {toml_value(v)}" for k, v in values.items())
        raise UsageError(f"the settings file is written in a way that cannot be changed here: set {wanted} by hand")
    return text


def toml_value(value: Any) -> str:
    """Write a value as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case dt.date():
            return value.isoformat()
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return "{" + ", ".join(f"{json.dumps(str(k))} = {toml_value(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
    raise UsageError(f"{value!r} cannot be written into the settings: expected text, number, date, list or table")


def _set(text: str, section: str, name: str, value: str) -> str:
    """Set one key: in place, or over its commented default, or as a new line of its section."""
    lines = text.splitlines()
    start, end = _extent(lines, section)
    if start is None:
        return "\n".join([*lines, "", f"[{section}]", f"{name} = {value}", ""])
    for comment in ("", "#"):
        pattern = re.compile(rf"^\s*{comment}\s*{re.escape(name)}\s*=\s*")
        for number in range(start, end):
            if found := pattern.match(lines[number]):
                lines[number] = _with_remark(f"{name} = {value}", lines[number], found.end())
                return "\n".join([*lines, ""])
    return "\n".join([*lines[:start], f"{name} = {value}", *lines[start:], ""])


def _extent(lines: list[str], section: str) -> tuple[int | None, int]:
    """Return the first line of a section's body and the line after its last."""
    heads = [i for i, line in enumerate(lines) if re.match(r"^\s*\[", line)]
    if not section:
        return 0, heads[0] if heads else len(lines)
    mine = re.compile(rf"^\s*\[\s*{re.escape(section)}\s*\]")
    at = next((i for i in heads if mine.match(lines[i])), None)
    if at is None:
        return None, len(lines)
    return at + 1, next((i for i in heads if i > at), len(lines))


def _with_remark(setting: str, line: str, value_at: int) -> str:
    """Return `setting` with the remark of `line`, in its column if there is room.

    Only a value that stands on one line and holds no ``#`` itself is looked behind.
    """
    found = re.match(r"""^(?:"[^"]*"|'[^']*'|\[[^\]#]*\]|[^#"'\[]*?)\s*(#.*)?$""", line[value_at:])
    if not found or not found[1]:
        return setting
    column = value_at + found.start(1)
    return f"{setting}{' ' * max(2, column - len(setting))}{found[1]}"


def _with(table: Mapping[str, Any], key: list[str], value: Any) -> dict[str, Any]:
    head, *rest = key
    return {**table, head: _with(table.get(head, {}), rest, value) if rest else value}
