"""What the champions say: one ticker, many, the ranking, the regime."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute

from marketloop.core.errors import did_you_mean
from marketloop.serving.board import Board
from marketloop.web.documents import PredictionDocument, PredictionsDocument, RankingDocument, RegimeDocument
from marketloop.web.premises import Premises, premises_of
from marketloop.web.problems import ProblemError, described

__all__ = ["body_of", "route", "router"]


class TickerConvertor(Convertor[str]):
    """All of the path that is left, a slash or a line feed in it included: there are tickers with a slash."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("ticker", TickerConvertor())
router = APIRouter(tags=["predictions"])

JSON = "application/json"
LEFT_OUT = frozenset({"ticker", "prediction", "low", "high", "assigned", "rollout"})
"""What is said of a ticker and makes no sense of a market."""
Ticker = Annotated[str, Path(min_length=1, max_length=32, description="As collected, e.g. AAPL.", examples=["AAPL"])]
FamilyName = Annotated[
    str | None,
    Query(alias="family", max_length=64, pattern=r"^[a-z][a-z0-9_]*$", description="Default: `[serve] primary`."),
]
ConfigKey = Annotated[
    str | None,
    Query(
        alias="config",
        max_length=128,
        pattern=r"^[A-Za-z0-9_]+$",
        description="Configuration, e.g. rsi14_vol30_support50; the default one answers where it has no champion.",
    ),
]


class Wanted(BaseModel):
    """Which tickers to speak of."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tickers": ["AAPL", "MSFT"]}]})

    tickers: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=32)]],
        Field(max_length=5000, description="All of them when empty."),
    ] = []
    family: Annotated[str | None, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] = None
    config: Annotated[str | None, Field(max_length=128, pattern=r"^[A-Za-z0-9_]+$")] = None


@router.get(
    "/api/predict/{ticker:ticker}",
    response_model=PredictionDocument,
    responses=described(404, 422, 503),
    summary="What the champion says of one ticker",
)
async def predict(request: Request, ticker: Ticker, family: FamilyName = None, config: ConfigKey = None) -> Response:
    """Return the class most likely for the next sessions, its probability, and the signal that follows from them."""
    board, fallback = board_of(premises_of(request), family, config)
    body = _body(board, ticker, fallback=fallback)
    if body is None:
        raise ProblemError(404, unknown_ticker(board, ticker))
    return Response(body, media_type=JSON)


def body_of(premises: Premises, ticker: str) -> bytes | None:
    """Return what `predict` answers on a ticker when nothing else is said, or None where that is a problem."""
    found = premises.desk.view.find(premises.settings.serve.primary)
    return None if found is None else _body(found[0], ticker, fallback=found[1])


def route() -> BaseRoute:
    """Return the route of `predict`."""
    return next(known for known in router.routes if getattr(known, "endpoint", None) is predict)


def _body(board: Board, ticker: str, *, fallback: bool) -> bytes | None:
    return board.body(ticker, fallback=fallback) or board.body(ticker.upper(), fallback=fallback)


@router.post(
    "/api/predict",
    response_model=PredictionsDocument,
    responses=described(404, 413, 422, 503),
    summary="What the champion says of many tickers",
)
async def predict_many(request: Request, wanted: Wanted) -> Response:
    """Return a prediction per ticker; those that are not scored are listed under `unknown`."""
    board, fallback = board_of(premises_of(request), wanted.family, wanted.config)
    names = [name if name in board.answers else name.upper() for name in wanted.tickers]
    return _json(board.document(names, fallback=fallback))


@router.get(
    "/api/ranking",
    response_model=RankingDocument,
    responses=described(404, 422, 503),
    summary="The universe in the order of a champion's score",
)
async def ranking(
    request: Request,
    family: FamilyName = None,
    config: ConfigKey = None,
    top: Annotated[int | None, Query(ge=1, le=100_000, description="Only the first so many.")] = None,
) -> Response:
    """Return the tickers, best first."""
    premises = premises_of(request)
    board, fallback = board_of(premises, family or _ranker(premises), config)
    return _json(board.ranking(top, fallback=fallback))


@router.get(
    "/api/regime",
    response_model=RegimeDocument,
    responses=described(404, 422, 503),
    summary="What the champion says of the market as a whole",
)
async def regime(request: Request, config: ConfigKey = None) -> Response:
    """Return the most likely regime of the coming sessions with the probability of each."""
    board, fallback = board_of(premises_of(request), "regime_classifier", config)
    answer = next(iter(board.answers.values()))
    return _json(
        {
            **{key: value for key, value in answer.items() if key not in LEFT_OUT},
            "regime": answer["prediction"]["class"],
            "probability": answer["prediction"]["probability"],
            "fallback": fallback,
        }
    )


def board_of(premises: Premises, family: str | None, config: str | None) -> tuple[Board, bool]:
    """Return the board that answers, and whether another configuration stands in for the one asked for.

    Raises
    ------
    ProblemError
        503 while nothing serves that family.
    """
    view = premises.desk.view
    name = family or premises.settings.serve.primary
    found = view.find(name, config)
    if found is not None:
        return found
    served = sorted({slot.family for slot in view.boards})
    if served and name not in served and family is not None:
        raise ProblemError(
            404, f'"{name}" has no champion; served are {", ".join(served)}. Make one: `marketloop retrain {name}`'
        )
    why = f"the database cannot be read ({view.trouble})" if view.trouble else "nothing has been trained yet"
    raise ProblemError(
        503,
        f"{name} has no champion yet: {why}; run `marketloop retrain {name}`",
        headers={"Retry-After": "30"},
    )


def unknown_ticker(board: Board, ticker: str) -> str:
    """Return the sentence that says so, with what may have been meant."""
    near = did_you_mean(ticker.upper(), board.answers)
    return f'no prediction for "{ticker}": not among the {len(board.answers)} tickers scored.{near}'


def _ranker(premises: Premises) -> str:
    return "momentum_ranker" if "momentum_ranker" in premises.families else premises.settings.serve.primary


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, allow_nan=False, ensure_ascii=False).encode(), media_type=JSON)
