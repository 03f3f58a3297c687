"""The HTML reports that the loop wrote, handed out as they are, where they can reach nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from marketloop.web.door import Visitor, visitor_of
from marketloop.web.premises import premises_of
from marketloop.web.problems import ProblemError, described

__all__ = ["POLICY", "find_report", "router"]

router = APIRouter(tags=["reports"])

MOST: Final = 1_000
POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report draws its plots with scripts of its own. They run in an origin of their own and without any network, so
that nothing a report holds can ask the API or tell anybody."""


class Report(BaseModel):
    """A report that can be read."""

    name: str = Field(description="Under `/reports/`.", examples=["price_predictor_v7.html"])
    bytes: int
    written_at: str


class ReportsDocument(BaseModel):
    """What there is to read, newest first."""

    reports: list[Report] = Field(description=f"At most {MOST:,}.")


@router.get(
    "/api/reports", response_model=ReportsDocument, responses=described(401), summary="The reports that there are"
)
async def listing(request: Request) -> Response:
    """Return the HTML files under the project's `reports/`, newest first."""
    found = await asyncio.to_thread(_reports, premises_of(request).project.reports)
    return Response(ReportsDocument(reports=found).model_dump_json(), media_type="application/json")


@router.get(
    "/reports/{name:path}",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}}, **described(401, 404, 422)},
    summary="One report",
)
async def report(
    request: Request, name: Annotated[str, PathParameter(max_length=300, description="As the list names it.")]
) -> Response:
    """Return a report as a page that may draw and do nothing else."""
    reader(request)
    path = await asyncio.to_thread(find_report, premises_of(request).project.reports, name)
    if path is None:
        raise ProblemError(404, "there is no such report; /api/reports lists them")
    return FileResponse(
        path,
        media_type="text/html",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "private, no-cache"},
    )


def reader(request: Request) -> Visitor:
    """Return who reads a page: the owner of a key, or of a session.

    Raises
    ------
    ProblemError
        401 for anybody else.
    """
    visitor = visitor_of(request.scope)
    if not visitor.is_known:
        raise ProblemError(
            401,
            "this needs a valid API key or a session of the dashboard: log in there first",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return visitor


def find_report(root: Path, name: str) -> Path | None:
    """Return the file that a report's name means, None where it is none inside `root`, links followed.

    Hidden files and whatever is not HTML are none.
    """
    parts = name.split("/")
    if not name.endswith(".html") or "\\" in name or any(part.startswith(".") or not part for part in parts):
        return None
    try:
        home = root.resolve(strict=True)
        path = home.joinpath(*parts).resolve(strict=True)
        inside = path.is_relative_to(home) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # not there, too long; a loop of links in Python 3.11; a zero byte
        return None
    return path if inside else None


def _reports(root: Path) -> list[Report]:
    found = []
    for path in root.rglob("*.html") if root.is_dir() else ():
        name = path.relative_to(root).as_posix()
        whole = find_report(root, name)
        if whole is not None:
            about = whole.stat()
            found.append((about.st_mtime, name, about.st_size))
    return [
        Report(name=name, bytes=size, written_at=dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds"))
        for at, name, size in sorted(found, reverse=True)[:MOST]
    ]
