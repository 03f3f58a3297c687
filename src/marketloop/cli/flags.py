"""Groups of flags that several commands share, each a value; a command takes one by naming it as an argument."""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from marketloop.core.errors import UsageError

__all__ = ["CollectFlags", "FeatureFlags", "RecipeFlags", "day", "gathered", "moment", "pairs", "spread"]


@dataclass(frozen=True, slots=True)
class FeatureFlags:
    """Which features, and the periods of the configurable ones (F10)."""

    feature_set: Annotated[
        str | None, typer.Option("--feature-set", help="legacy, basic or extended.", show_default=False)
    ] = None
    rsi_period: Annotated[
        int | None, typer.Option("--rsi-period", help="Period of RSI, in bars.", show_default=False)
    ] = None
    vol_lookback: Annotated[
        int | None, typer.Option("--vol-lookback", help="Bars of average volume.", show_default=False)
    ] = None
    support_lookback: Annotated[
        int | None, typer.Option("--support-lookback", help="Bars of support and resistance.", show_default=False)
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return the settings that these flags win over, by dotted key."""
        return {
            "features.set": self.feature_set,
            "strategy.rsi_period": self.rsi_period,
            "strategy.volume_exhaustion_lookback_daily": self.vol_lookback,
            "strategy.support_resistance_lookback_daily": self.support_lookback,
        }


@dataclass(frozen=True, slots=True)
class CollectFlags:
    """Which bars are wanted (D1); what is left out follows the last collection, then the settings."""

    tickers: Annotated[str | None, typer.Option("--tickers", metavar="A,B", help="These tickers.")] = None
    region: Annotated[
        str | None, typer.Option("--region", "--universe", metavar="NAME", help="A named universe: US, IN, ..., all.")
    ] = None
    top: Annotated[int | None, typer.Option("--top", min=1, help="Only the N largest by traded value.")] = None
    timeframe: Annotated[str | None, typer.Option("--timeframe", help="Length of the history, e.g. 5y or 18mo.")] = None
    start: Annotated[
        str | None, typer.Option("--start", "--start-date", metavar="YYYY-MM-DD", help="First day wanted.")
    ] = None
    end: Annotated[str | None, typer.Option("--end", "--end-date", metavar="YYYY-MM-DD", help="Last day.")] = None
    source: Annotated[str | None, typer.Option("--source", help="sample, synthetic, folder, or a plugin's.")] = None
    path: Annotated[Path | None, typer.Option("--path", help="File or folder that the source folder reads.")] = None
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Option of the source; may be repeated.")
    ] = None

    @property
    def given(self) -> bool:
        """Whether any of them was given."""
        return any(getattr(self, f.name) for f in dataclasses.fields(self))

    def request(self) -> dict[str, Any]:
        """Return the arguments of a `CollectRequest`.

        Raises
        ------
        UsageError
            A date or an option cannot be read.
        """
        return {
            "source": self.source or ("folder" if self.path else None),
            "path": self.path.expanduser() if self.path else None,
            "tickers": names(self.tickers),
            "universe": self.region,
            "top": self.top,
            "start": day("--start", self.start),
            "end": day("--end", self.end),
            "timeframe": self.timeframe,
            "options": pairs("--option", self.option),
        }


@dataclass(frozen=True, slots=True)
class RecipeFlags:
    """How to learn, and what to learn."""

    algorithm: Annotated[
        str | None, typer.Option("--algorithm", metavar="NAME", help="This recipe instead of the nominated one.")
    ] = None
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Hyperparameter; may be repeated.")
    ] = None
    early_stopping_rounds: Annotated[
        int | None, typer.Option("--early-stopping-rounds", min=0, help="Rounds without gain before trees stop.")
    ] = None
    target_days: Annotated[
        int | None, typer.Option("--target-days", min=1, max=250, help="Horizon of the label, in sessions.")
    ] = None
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Move beyond which a label is BUY or SELL; 0.02 is 2 %.")
    ] = None
    lookback: Annotated[
        int | None, typer.Option("--lookback", min=5, max=250, help="Sessions that regime_classifier looks back on.")
    ] = None

    def choices(self) -> dict[str, Any]:
        """Return the arguments of `Choices`.

        Raises
        ------
        UsageError
            A hyperparameter cannot be read, or the threshold is no fraction.
        """
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UsageError(f"--threshold {self.threshold:g}: expected a fraction between 0 and 1, e.g. 0.02 for 2 %")
        params = pairs("--set", self.set_)
        if self.early_stopping_rounds is not None:
            params["early_stopping_rounds"] = self.early_stopping_rounds
        return {
            "recipes": () if self.algorithm is None else (self.algorithm,),
            "params": params or None,
            "target_days": self.target_days,
            "threshold": self.threshold,
            "lookback": self.lookback,
        }


def names(text: str | None) -> tuple[str, ...]:
    """Read ``A, B`` as two names."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def pairs(flag: str, given: Sequence[str] | None) -> dict[str, Any]:
    """Read ``NAME=VALUE``, once or more; the flag is named in the error."""
    found: dict[str, Any] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f'{flag} "{text}": expected NAME=VALUE, e.g. {flag} max_depth=5')
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def moment(flag: str, text: str) -> dt.datetime:
    """Read a date, which stands for its end, or a time; without a zone it is UTC."""
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'{flag} "{text}": expected a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM') from None
    if len(text) <= len("YYYY-MM-DD"):
        read = dt.datetime.combine(read.date(), dt.time.max)
    return read if read.tzinfo is not None else read.replace(tzinfo=dt.UTC)


def spread(parameters: Sequence[inspect.Parameter]) -> Iterator[inspect.Parameter]:
    """Put the flags of each group in the place of the argument that names the group."""
    for parameter in parameters:
        if not _is_group(parameter):
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        hints = get_type_hints(parameter.annotation, include_extras=True)
        for field in dataclasses.fields(parameter.annotation):
            yield inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )


def gathered(parameters: Sequence[inspect.Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Put the values of a group's flags back into one value of the group; the inverse of `spread`."""
    arguments = {}
    for parameter in parameters:
        if _is_group(parameter):
            own = {field.name: values[field.name] for field in dataclasses.fields(parameter.annotation)}
            arguments[parameter.name] = parameter.annotation(**own)
        else:
            arguments[parameter.name] = values[parameter.name]
    return arguments


def _is_group(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation, type) and dataclasses.is_dataclass(parameter.annotation)


def day(flag: str, text: str | None) -> dt.date | None:
    """Read a date; None stays None."""
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f'{flag} "{text}": expected a date as YYYY-MM-DD') from None
