"""What an event of each type carries: a model per type with bounded sizes, and nothing that it does not name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from marketloop.core.errors import UsageError, did_you_mean, unknown_name

__all__ = ["PAYLOADS", "EventType", "Payload", "event_type", "payload_of"]


class EventType(StrEnum):
    """What may happen; the value is the name."""

    BACKTEST_COMPLETED = "BACKTEST_COMPLETED"
    ANALYSIS_COMPLETED = "ANALYSIS_COMPLETED"
    DATA_ARRIVED = "DATA_ARRIVED"
    DRIFT_DETECTED = "DRIFT_DETECTED"
    MARKET_SHOCK = "MARKET_SHOCK"
    MARKET_EVENT = "MARKET_EVENT"
    RETRAINING_COMPLETED = "RETRAINING_COMPLETED"
    MODEL_PROMOTED = "MODEL_PROMOTED"
    MODEL_ROLLED_BACK = "MODEL_ROLLED_BACK"


Name = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Names = Annotated[tuple[Name, ...], Field(max_length=10_000)]
Figures = Annotated[dict[Name, Number | Text | None], Field(max_length=100)]


class Payload(BaseModel):
    """What every event may carry: the families that it is about (all enabled ones when empty), and a note."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    families: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    note: Text = ""


class BacktestCompleted(Payload):
    """A backtest ended: its tickers and its figures by name."""

    tickers: Names = ()
    results: Figures = {}
    version: Count | None = None
    report: Text | None = None


class AnalysisCompleted(Payload):
    """Somebody analysed `batch_size` tickers."""

    batch_size: Count
    tickers: Names = ()


class DataArrived(Payload):
    """New bars are there."""

    new_rows: Count | None = None
    data_version: Count | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    tickers: Names = ()


class DriftDetected(Payload):
    """A champion or its features have drifted; `action` is what the finding asks for."""

    action: Literal["monitor", "plan", "retrain"] = "retrain"
    severity: Literal["low", "medium", "high"] | None = None
    points_lost: Number | None = None
    features: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()


class MarketShock(Payload):
    """The market is in turmoil: `vix` is the level of the VIX in points."""

    vix: Annotated[Number, Field(ge=0, le=1000)]


class MarketEvent(Payload):
    """Somebody says that the world has changed."""

    kind: Literal["crash", "policy", "structural"]


class RetrainingCompleted(Payload):
    """A cycle ended."""

    cycle_id: Name
    trigger: Name
    outcome: Name
    verdicts: Annotated[dict[Name, Name], Field(max_length=100)] = {}
    duration_s: Annotated[Number, Field(ge=0)] | None = None
    error: Text | None = None


class ModelPromoted(Payload):
    """A version began to serve; `what` is the verdict, `decision` the number of its record."""

    family: Name
    config_key: Name
    version: Count
    what: Name = "promoted"
    decision: Count = 0


class ModelRolledBack(ModelPromoted):
    """An earlier version serves again."""

    what: Name = "rollback"


PAYLOADS: Final[Mapping[EventType, type[Payload]]] = {
    EventType.BACKTEST_COMPLETED: BacktestCompleted,
    EventType.ANALYSIS_COMPLETED: AnalysisCompleted,
    EventType.DATA_ARRIVED: DataArrived,
    EventType.DRIFT_DETECTED: DriftDetected,
    EventType.MARKET_SHOCK: MarketShock,
    EventType.MARKET_EVENT: MarketEvent,
    EventType.RETRAINING_COMPLETED: RetrainingCompleted,
    EventType.MODEL_PROMOTED: ModelPromoted,
    EventType.MODEL_ROLLED_BACK: ModelRolledBack,
}


def event_type(name: str) -> EventType:
    """Return the type called `name`, written in any case and with dashes or underscores.

    Raises
    ------
    UsageError
        There is none.
    """
    wanted = str(name).strip().upper().replace("-", "_")
    if wanted not in EventType.__members__:
        raise unknown_name("event", str(name), [*EventType.__members__]) from None
    return EventType(wanted)


def payload_of(kind: EventType, data: Mapping[str, Any]) -> Payload:
    """Return `data` as the payload of its type.

    Raises
    ------
    UsageError
        A field is missing, unknown or wrong: the message names event, field, value and what was expected.
    """
    model = PAYLOADS[kind]
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise _complaint(kind, model, data, error) from None


def _complaint(kind: EventType, model: type[Payload], data: Mapping[str, Any], error: ValidationError) -> UsageError:
    """Put the first thing that pydantic found into one sentence."""
    details = sorted(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    first = details[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" ({len(details) - 1} more wrong after this one)" if len(details) > 1 else ""
    fields = [*model.model_fields]
    if first["type"] == "extra_forbidden":
        known = ", ".join(fields)
        return UsageError(
            f'event {kind}: unknown field "{field}": expected {known}.{did_you_mean(field, fields)}{more}'
        )
    if first["type"] == "missing":
        return UsageError(f'event {kind}: field "{field}" is missing: expected {_expected(model, field)}{more}')
    given = data.get(str(first["loc"][0])) if first["loc"] else data
    return UsageError(f"event {kind}: {field} = {_shown(given)}: {_words(first)}{more}")


def _expected(model: type[Payload], field: str) -> str:
    about = model.model_fields[field]
    kind = about.annotation
    return {int: "a whole number of at least 0", float: "a number"}.get(kind, _choices(kind))  # type: ignore[arg-type]


def _choices(kind: Any) -> str:
    options = getattr(kind, "__args__", ())
    return f"one of {', '.join(map(str, options))}" if options else "text"


def _words(found: ErrorDetails) -> str:
    said = found["msg"]
    return "expected " + said.removeprefix("Input should be ") if said.startswith("Input should be ") else said.lower()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
