"""The application: endpoints behind the door, a desk that is kept fresh, problems instead of tracebacks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from importlib import metadata

from fastapi import FastAPI

from marketloop.runtime.logging import get_logger
from marketloop.web import events, health, login, model, predictions, reference, reports, retraining
from marketloop.web.dashboard.mounting import Pages
from marketloop.web.door import Door, Rules
from marketloop.web.figures import Served
from marketloop.web.fork import Fork
from marketloop.web.ledger import Ledger
from marketloop.web.premises import Premises
from marketloop.web.problems import Problem, add_problem_handlers, described
from marketloop.web.shortcut import Shortcut

__all__ = ["build_app", "look"]

BETWEEN_LOOKS_S = 1.0
AT_THE_DOOR = (400, 401, 421, 429, 503)
AT_THE_DOOR_FOR_BODIES = (403, 408, 413)
DESCRIPTION = """
Predictions of the champions, their evidence, and the wheel that keeps them fresh.

Every answer names the version that gave it. Signals are HOLD while no skill is proven (`provisional`), and where the
model is not sure enough (`abstained`). Errors are `application/problem+json`.
"""


def build_app(premises: Premises, rules: Rules, pages: Pages | None = None) -> FastAPI:
    """Return the ASGI application of a project.

    Parameters
    ----------
    premises : Premises
    rules : Rules
        What the door asks of a visitor.
    pages : Pages, optional
        The dashboard; without it there is only the API.
    """
    ledger = Ledger(premises)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # A thread of its own: a database that keeps others waiting may not keep the looks waiting with them.
        with ThreadPoolExecutor(1, thread_name_prefix="look") as eyes:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(eyes, look, premises)
            await loop.run_in_executor(eyes, ledger.look)
            looking = asyncio.create_task(_keep_looking(premises, ledger, eyes))
            try:
                async with contextlib.nullcontext() if pages is None else pages.running():
                    yield
            finally:
                looking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await looking
        premises.desk.close()

    app = FastAPI(
        title="MarketLoop",
        version=metadata.version("marketloop"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the usual page loads its scripts from another host; `reference` has one that does not
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.premises = premises
    premises.meters.watch(Served(premises.desk, premises.clock))
    premises.meters.watch(ledger)
    for part in (predictions, retraining, model, events, reports, health, reference, login):
        app.include_router(part.router)
    add_problem_handlers(app)
    _describe(app)
    if pages is not None:
        app.add_middleware(Fork, pages=pages.app)
    app.add_middleware(Shortcut, body_of=partial(predictions.body_of, premises), route=predictions.route())
    app.add_middleware(Door, rules=rules, meters=premises.meters)
    return app


async def _keep_looking(premises: Premises, ledger: Ledger, eyes: Executor) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(BETWEEN_LOOKS_S)
        await loop.run_in_executor(eyes, look, premises)
        await loop.run_in_executor(eyes, ledger.look)


def look(premises: Premises) -> None:
    """Swap newer scoreboards in; trouble stays in the view, where every answer can say so."""
    at = premises.clock.now()
    try:
        swapped = premises.desk.refresh(at)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the desk answers on and looks again
        get_logger("web").error("the scoreboards cannot be read", error=f"{type(error).__name__}: {error}")
        premises.desk.lose(f"{type(error).__name__}, see logs/server.log", at)
        return
    if swapped:
        premises.meters.swaps.inc()


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what is true of every endpoint: the key, and the shape of a problem."""
    plain = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = plain()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `ml_...`."}
            }
            document["security"] = [{"bearer": []}, {}]
            for methods in document["paths"].values():
                for method, operation in methods.items():
                    at_the_door = (*AT_THE_DOOR, *(AT_THE_DOOR_FOR_BODIES if method == "post" else ()))
                    known = {str(code): answer for code, answer in described(*at_the_door).items()}
                    operation["responses"] = {**known, **operation["responses"]}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
