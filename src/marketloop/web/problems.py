"""Errors as documents (RFC 9457): what is wrong, with what, and what to do; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from marketloop.core.errors import MarketLoopError, RefusedError, UsageError
from marketloop.runtime.logging import get_logger

__all__ = ["MEDIA_TYPE", "Problem", "ProblemError", "add_problem_handlers", "described", "problem"]

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": 'no prediction for "APPL": not among the 505 tickers scored. Did you mean "AAPL"?',
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str = Field(description="Name of the status.")
    status: int
    detail: str = Field(description="What is wrong, with what, and what to do.")
    errors: list[dict[str, Any]] | None = Field(default=None, description="One entry per wrong field.")


class ProblemError(Exception):
    """An answer that is a problem, with its status."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that holds a problem."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        document["errors"] = list(errors)
    return Response(
        json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def described(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the entry ``responses=`` of an endpoint that may answer with these problems."""
    return {
        code: {
            "description": HTTPStatus(code).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for code in codes
    }


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(ProblemError, _known)
    app.add_exception_handler(MarketLoopError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(_: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return problem(error.status, error.detail, headers=error.headers)


async def _ours(_: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, UsageError) else 409 if isinstance(error, RefusedError) else 503
    return problem(status, str(error))


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        {"where": ".".join(map(str, item["loc"]))[:200], "message": str(item["msg"])[:500]}
        for item in error.errors()[:20]
    ]
    first = found[0] if found else {"where": "request", "message": "not as described"}
    return problem(422, f"{first['where']}: {first['message']}", errors=found)


async def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = {
        404: "there is nothing at this address; see /docs for what there is",
        405: "this address does not take that method; see /docs",
    }.get(error.status_code, str(error.detail))
    return problem(error.status_code, detail, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    get_logger("web").error("request failed", path=request.url.path[:200], error=f"{type(error).__name__}: {error}")
    return problem(500, "something went wrong here, and was written to logs/server.log; try again")
