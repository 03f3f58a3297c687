"""The sections of ``marketloop.toml``: every setting with its type, range and default."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from marketloop.core.errors import did_you_mean
from marketloop.core.strategy import StrategyConfig

__all__ = [
    "AlarmsSection",
    "ComputeSection",
    "ContextSection",
    "DataSection",
    "FamilySection",
    "FeaturesSection",
    "GateSection",
    "GuardSection",
    "MonitoringSection",
    "ProjectSection",
    "RegistrySection",
    "RetrainingSection",
    "Section",
    "ServeSection",
    "StateSection",
    "StrategySection",
    "TrackingSection",
]


def _split(value: Any) -> Any:
    """Read ``A,B`` as a list, the way flags and environment variables write one."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_addresses(value: Any) -> Any:
    """Read several addresses in one string: a comma or space separates them only before the next ``scheme://``."""
    if not isinstance(value, str):
        return value
    return [part for part in re.split(r"[,\s]+(?=[\w+.-]+://)", value.strip()) if part]


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise PydanticCustomError("zone", "{said}", {"said": _no_zone(name)}) from error


def _no_zone(name: str) -> str:
    return f"expected a time zone such as America/New_York or UTC.{did_you_mean(name, available_timezones())}"


Zone = Annotated[str, AfterValidator(_zone)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_split_addresses)]


class Section(BaseModel):
    """A frozen group of settings; a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)


class ProjectSection(Section):
    """Who the project is and on which exchange's time it lives; the time zone is the calendar's unless it is given."""

    name: str = Field(default="marketloop", min_length=1)
    calendar: str = "XNYS"
    timezone: Zone = "America/New_York"


class DataSection(Section):
    """Where bars come from and which of them are wanted; `options` belong to the source."""

    source: str = "sample"
    path: Path | None = None
    universe: str | None = None
    tickers: Names = ()
    top: int | None = Field(default=None, ge=1)
    timeframe: str | None = Field(default=None, pattern=r"^[1-9]\d*(y|mo|w|d)$")
    start: dt.date | None = None
    end: dt.date | None = None
    adjustment: str | None = None
    options: dict[str, Any] = {}


class ContextSection(Section):
    """Market series, each a stored ticker or a CSV/Parquet file ``date, value[, known_at]`` (``file#COLUMN`` selects).

    `sectors` is a table ``ticker, sector``, `sector_etfs` a file with the bars of the sector funds.
    """

    vix: str | None = None
    spx: str | None = None
    us10y: str | None = None
    usd: str | None = None
    sectors: str | None = None
    sector_etfs: str | None = None


class StrategySection(Section):
    """Periods of the configurable indicators, in bars (ranges as in `StrategyConfig`)."""

    rsi_period: int = Field(default=10, ge=2, le=100)
    volume_exhaustion_lookback_daily: int = Field(default=20, ge=2, le=250)
    support_resistance_lookback_daily: int = Field(default=20, ge=2, le=250)

    @property
    def config(self) -> StrategyConfig:
        """The value that rooms take."""
        return StrategyConfig(**self.model_dump())


class FeaturesSection(Section):
    """Which feature set is computed and how gaps are filled."""

    set: str = "extended"
    fill: Literal["forward", "none"] = "forward"


class GateSection(Section):
    """What a promotion must show (GATE.md, section 4); probabilities one-sided, lengths in sessions.

    `harm_window` newest live terms of a proven champion at or below `z_harm` take it out of service. `floors` are the
    user's own wishes, e.g. ``{accuracy = 0.6, points_lost = 10}``; the profiles ``guide`` and ``strict`` set the usual
    ones.
    """

    alpha_skill: float = Field(default=0.025, gt=0, le=0.05)
    alpha_better: float = Field(default=0.025, gt=0, le=0.05)
    alpha_scope: Literal["family", "project"] = "family"
    block_sessions: int | None = Field(default=None, ge=1, le=250)
    min_skill_sessions: int = Field(default=250, ge=40)
    min_pair_sessions: int = Field(default=40, ge=40)
    refresh_age: int = Field(default=63, ge=50)
    z_refresh: float = Field(default=-1.28, le=0)
    harm_window: int = Field(default=63, ge=40)
    z_harm: float = Field(default=-3.1, lt=0)
    plausibility_ic: float | None = Field(default=None, gt=0, le=1)
    profile: Literal["none", "guide", "strict"] = "none"
    floors: dict[str, float] = {}


class GuardSection(Section):
    """The watch over a new champion: `window` terms after a promotion, `alpha` for all its nights together.

    An `alpha` of 0.02 takes one of fifty champions back that are no worse than the one before.
    """

    enabled: bool = True
    window: int = Field(default=63, ge=40, le=250)
    alpha: float = Field(default=0.02, gt=0, le=0.05)


class MonitoringSection(Section):
    """The daily scan for drift: the last `window` sessions of every champion beside those that it learned from.

    `schedule` is a cron line in the project's time zone, as that of a family. `alpha` is the chance that a scan of a
    market in which nothing has changed says anything, and the share of false ones among the features it names.
    """

    enabled: bool = True
    schedule: str = "0 6 * * *"
    window: int = Field(default=20, ge=10, le=60)
    alpha: float = Field(default=0.05, gt=0, le=0.2)


class FamilySection(Section):
    """One family of models; what is left out follows the family's own default.

    `threshold` is a fraction (0.02 is 2 %), `target_days` counts sessions, `lookback` those of the market series,
    `schedule` is a cron line in the project's time zone, e.g. ``30 18 * * mon-fri``; the profile's schedules then leave
    the family out. `max_age` is the age in sessions from which an equal may
    replace a champion (``[gate] refresh_age``). With a likeliest class below `confidence` the signal is HOLD. `space`
    holds ranges that tuning searches, e.g. ``{max_depth = [3, 6]}``. `gate` overrides single settings of ``[gate]``.
    """

    enabled: bool | None = None
    recipes: Names | None = None
    target_days: int | None = Field(default=None, ge=1, le=250)
    lookback: int | None = Field(default=None, ge=5, le=250)
    threshold: float | None = Field(default=None, gt=0, lt=1)
    schedule: str | None = None
    max_age: int | None = Field(default=None, ge=50)
    confidence: float | None = Field(default=None, ge=0, le=1)
    space: dict[str, tuple[float, float]] = {}
    gate: GateSection = GateSection()


class RetrainingSection(Section):
    """When a retraining may run; `min_new_samples` counts matured rows since the last training.

    A scheduled run waits up to `data_deadline_hours` after its time for the bars of the newest session;
    `min_interval_hours` keeps events apart, from start to start.
    """

    schedule: Literal["default", "calm", "off"] = "default"
    on_events: bool = False
    min_interval_hours: float = Field(default=24, ge=0)
    data_deadline_hours: float = Field(default=6, ge=0, le=168)
    min_new_samples: int = Field(default=100, ge=0)
    training_data_path: Path | None = None


class RegistrySection(Section):
    """How many versions keep their files, per family and configuration; those that serve or served last always do."""

    keep: int = Field(default=10, ge=3)


class ServeSection(Section):
    """Where predictions are served; `stale_after` counts sessions.

    `hosts` are names under which the server may be called besides those of this machine and `host`. A client may read
    `reads_per_second`, and ask the loop for something `asks_per_minute`; bodies have at most `body_kb`.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    primary: str = "price_predictor"
    stale_after: int = Field(default=3, ge=1)
    hosts: Names = ()
    reads_per_second: float = Field(default=2000, gt=0)
    asks_per_minute: float = Field(default=30, gt=0)
    body_kb: int = Field(default=1000, ge=1, le=100_000)


AlarmKind = Literal["success", "validation", "degradation", "rollback", "error", "drift", "repair"]
AlarmKinds = Annotated[tuple[AlarmKind, ...], BeforeValidator(_split)]


class AlarmsSection(Section):
    """Where alarms go: `urls` are Apprise addresses, which hold secrets and are never printed.

    The same alarm is told once in `quiet_hours`; after `per_hour` alarms within an hour the channels hear no more of
    them, of urgent ones after twice as many; `kinds` are those that the channels hear of. Ledger and
    ``models/alerts.log`` get every alarm. A channel that has not answered within `timeout_s` seconds has failed and is
    tried again later.
    """

    urls: Addresses = ()
    kinds: AlarmKinds = ("success", "validation", "degradation", "rollback", "error", "drift", "repair")
    quiet_hours: float = Field(default=6, ge=0, le=24 * 30)
    per_hour: int = Field(default=20, ge=1, le=1000)
    timeout_s: float = Field(default=10, gt=0, le=60)


class StateSection(Section):
    """Database of ledger and scoreboards; SQLite files of the project by default."""

    url: str | None = None


class TrackingSection(Section):
    """MLflow mirror; a SQLite file of the project by default."""

    enabled: bool = True
    uri: str | None = None


class ComputeSection(Section):
    """Threads of this machine (all by default) and the address of a Dask cluster."""

    threads: int | None = Field(default=None, ge=1, le=1024)
    dask: str | None = None
