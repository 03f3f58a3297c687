"""The shapes of all answers, for the OpenAPI document: every field with its unit and what null means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "JobDocument",
    "PredictionDocument",
    "PredictionsDocument",
    "RankingDocument",
    "RegimeDocument",
    "RollbackDocument",
    "StatusDocument",
    "TriggerDocument",
]

Signal = Literal["BUY", "HOLD", "SELL"]
Probability = Annotated[float, Field(ge=0, le=1)]
Day = Annotated[str, Field(description="ISO date of a session.", examples=["2026-01-30"])]

PREDICTION_EXAMPLE: dict[str, Any] = {
    "ticker": "AAPL",
    "prediction": {"probability": 0.41, "signal": "HOLD", "class": "HOLD"},
    "classes": {"SELL": 0.29, "HOLD": 0.41, "BUY": 0.3},
    "score": 0.01,
    "low": None,
    "high": None,
    "horizon": 5,
    "as_of": "2026-01-30",
    "family": "price_predictor",
    "model_version": 7,
    "config_key": "rsi10_vol20_support20",
    "fallback": False,
    "provisional": False,
    "abstained": False,
    "stale": False,
    "assigned": 7,
    "rollout": None,
}


class Said(BaseModel):
    """The word on a ticker."""

    probability: Probability | None = Field(description="Of the most likely class; null where a value is predicted.")
    signal: Signal = Field(description="By the family's rule; HOLD while provisional or abstained.")
    class_: str | None = Field(alias="class", description="The most likely class.")


class RolloutPart(BaseModel):
    """A second version that takes part."""

    mode: Literal["shadow", "canary", "ab"]
    version: int | None
    share: Probability


class PredictionDocument(BaseModel):
    """What is said of one ticker, by which model, as of which session."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION_EXAMPLE]})

    ticker: str
    prediction: Said
    classes: dict[str, Probability] = Field(description="Probability of each class; empty where a value is predicted.")
    score: float = Field(description="Directional, higher is more bullish.")
    low: float | None = Field(description="Lower end of the prediction interval of a return (a fraction), or null.")
    high: float | None = Field(description="Upper end of it, or null.")
    horizon: int | None = Field(description="Sessions ahead.")
    as_of: Day
    family: str
    model_version: int
    config_key: str
    fallback: bool = Field(description="Another configuration answers than the one asked for.")
    provisional: bool = Field(description="No skill is proven: every signal is HOLD.")
    abstained: bool = Field(description="Not sure enough to act on, or provisional.")
    stale: bool = Field(
        description="The newest session lies further back than [serve] stale_after, or the database is away."
    )
    assigned: int = Field(description="Version that a roll-out draws for this ticker; the champion without one.")
    rollout: RolloutPart | None = Field(description="The roll-out that goes on, or null.")


class PredictionsDocument(BaseModel):
    """What is said of many tickers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-01-30",
                    "family": "price_predictor",
                    "model_version": 7,
                    "predictions": [PREDICTION_EXAMPLE],
                    "unknown": ["APPL"],
                }
            ]
        }
    )

    as_of: Day
    family: str
    model_version: int
    predictions: list[PredictionDocument]
    unknown: list[str] = Field(description="Asked for and not scored.")


class Place(BaseModel):
    """A ticker's place in the ranking."""

    rank: int = Field(ge=1)
    ticker: str
    score: float
    percentile: Probability = Field(description="1 for the first, 0 for the last of all tickers.")
    signal: Signal
    abstained: bool
    model_version: int


class RankingDocument(BaseModel):
    """The universe in order."""

    as_of: Day
    family: str
    model_version: int
    config_key: str
    fallback: bool
    provisional: bool
    stale: bool
    tickers: int = Field(description="How many are ranked in all.")
    ranking: list[Place]


class RegimeDocument(BaseModel):
    """What is said of the market."""

    regime: str | None
    probability: Probability | None
    classes: dict[str, Probability]
    score: float
    horizon: int | None
    as_of: Day
    family: str
    model_version: int
    config_key: str
    fallback: bool
    provisional: bool
    abstained: bool
    stale: bool


class TriggerDocument(BaseModel):
    """A retraining has been asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": "retrain_20260130T210000_1a2b3c4d",
                    "status": "started",
                    "message": "Retraining job started in background",
                }
            ]
        }
    )

    job_id: str
    status: Literal["started"]
    message: str


class JobDocument(BaseModel):
    """Where a retraining stands."""

    job_id: str
    state: Literal["waiting", "running", "done", "skipped", "failed"]
    trigger: str
    reason: str
    families: list[str] = Field(description="Empty: all enabled ones.")
    force: bool
    requested_by: str
    requested_at: str
    claimed_at: str | None
    ended_at: str | None
    cycle_id: str | None
    progress: dict[str, Any] = Field(description="what, done, total.")
    outcome: str
    why_not: str


class RollbackDocument(BaseModel):
    """An earlier version serves again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": True,
                    "message": "Successfully rolled back to previous model version",
                    "family": "price_predictor",
                    "version": 6,
                }
            ]
        }
    )

    success: bool
    message: str
    family: str
    version: int


class StatusDocument(BaseModel):
    """Where the project stands; further fields as `marketloop status --json` describes them."""

    model_config = ConfigDict(extra="allow")

    running: bool = Field(description="A loop worker is alive.")
    current_metrics: dict[str, float | None]
    next_retraining: str | None
    scheduled_jobs: list[Any]
    model_path: str | None
    backup_path: str | None
    families: list[dict[str, Any]]
