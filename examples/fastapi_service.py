"""The loop inside somebody else's FastAPI app: it starts and ends with the app, and never takes the app down.

Run it: `uvicorn examples.fastapi_service:app` with MARKETLOOP_PROJECT set to a project (and FastAPI installed).
"""

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from marketloop import RetrainingService

log = logging.getLogger("example")


@asynccontextmanager
async def retraining(service: RetrainingService) -> AsyncIterator[RetrainingService]:
    """Run the service while the block runs; a start that fails is logged, and the app goes on without it."""
    try:
        await asyncio.to_thread(service.start)
    except Exception:
        log.exception("the retraining service did not start; the app goes on without it")
    try:
        yield service
    finally:
        try:
            await asyncio.to_thread(service.close)
        except Exception:
            log.exception("the retraining service did not stop in order")


def create_app(service: RetrainingService) -> Any:
    """Return an app of one's own, with a page that tells where the models stand."""
    fastapi = importlib.import_module("fastapi")

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with retraining(service):
            yield

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.get("/models")
    def models() -> dict[str, Any]:
        return service.stats()

    return app


if "MARKETLOOP_PROJECT" in os.environ:
    app = create_app(RetrainingService())
