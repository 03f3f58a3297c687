"""Asks an application in process, over nothing but ASGI, with its lifespan around."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

import httpx
from fastapi import FastAPI

from marketloop.web.premises import Premises


class Asker:
    """An event loop in a thread of its own in which the application lives; `request` waits for the whole answer."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.premises: Premises = app.state.premises
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer: httpx.Response = self._run(self._client.request(method, path, **given))
        return answer

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    async def _open(self) -> None:
        self._lifespan = self.app.router.lifespan_context(self.app)
        await self._lifespan.__aenter__()
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    async def _close(self) -> None:
        await self._client.aclose()
        await self._lifespan.__aexit__(None, None, None)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
