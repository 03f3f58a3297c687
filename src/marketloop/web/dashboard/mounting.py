"""Makes the page library's application ready to stand beside the API, once per process."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from nicegui import app as page_app
from nicegui import ui
from starlette.types import ASGIApp

from marketloop.core.errors import FailedError
from marketloop.web.dashboard import activity, drift, families, overview, predictions, quality
from marketloop.web.premises import Premises

__all__ = ["Pages", "build_pages"]

ASSETS: Final = Path(__file__).parent / "assets"
PARTS: Final = (overview, families, predictions, drift, quality, activity)
RECONNECT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages as an ASGI application, and what has to run around it."""

    app: ASGIApp
    host: FastAPI

    def running(self) -> AbstractAsyncContextManager[object]:
        """Return the context in which the pages live."""
        return self.host.router.lifespan_context(self.host)


def build_pages(premises: Premises) -> Pages:
    """Return the dashboard of a project.

    The page library keeps one application for the whole process: a second project needs a second process.

    Raises
    ------
    FailedError
        The pages of this process belong to another project.
    """
    known: Premises | None = getattr(page_app.state, "premises", None)
    if known is not None:
        raise FailedError(f"this process already shows the project {known.project.root}: start another server")
    for part in PARTS:
        part.register()
    host = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    page_app.add_static_files("/assets", ASSETS)
    ui.run_with(
        host,
        title="MarketLoop",
        favicon=ASSETS / "favicon.svg",
        dark=None,
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT_S,
        tailwind=False,
        show_welcome_message=False,
    )
    page_app.state.premises = premises
    return Pages(host, host)
