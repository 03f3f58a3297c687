"""What every page stands in: who may look, the way around, light or dark, and what is wrong just now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import quote

from nicegui import app as page_app
from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from marketloop.core.errors import MarketLoopError
from marketloop.runtime.logging import get_logger
from marketloop.serving.keys import allows
from marketloop.web.dashboard.pieces import Text, banner, card
from marketloop.web.door import ANYBODY, Visitor, visitor_of
from marketloop.web.login import login_address
from marketloop.web.premises import Premises
from marketloop.web.problems import ProblemError

__all__ = ["Visit", "enter", "live"]

T = TypeVar("T")
NAVIGATION: Final = (
    ("/", "Overview", "space_dashboard"),
    ("/predictions", "Predictions", "leaderboard"),
    ("/drift", "Drift", "waves"),
    ("/quality", "Data quality", "fact_check"),
    ("/activity", "Jobs and logs", "receipt_long"),
)
THEMES: Final = ("auto", "light", "dark")
ICONS: Final = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}
BETWEEN_READS_S: Final = 2.0
LOG_OUT: Final = "fetch('/logout', {method: 'POST'}).finally(() => location.assign('/login'))"
HEAD: Final = '<link rel="stylesheet" href="/assets/dashboard.css">'


@dataclass(frozen=True, slots=True)
class Visit:
    """One open page: the project, who looks, its path, and its whole address."""

    premises: Premises
    visitor: Visitor
    path: str
    address: str

    def may(self, role: str) -> bool:
        """Say whether the visitor may do what `role` may, and is still somebody whose key is valid."""
        return self.is_valid() and allows(self.visitor.role, role)

    def is_valid(self) -> bool:
        """Say whether the key behind the session is still valid; a page that stays open is asked again and again."""
        ring, visitor = self.premises.desk.ring, self.visitor
        if ring is None:  # the keys cannot be read: who was let in stays in
            return True
        if visitor.name == ANYBODY.name:
            return not ring.demanded
        if visitor.session:
            return self.premises.sessions.owner(visitor.session, ring, self.premises.clock.now()) is not None
        return visitor.client in ring.keys


async def enter(request: Request, title: str, build: Callable[[Visit], Awaitable[None]]) -> Response | None:
    """Build a page for somebody who may look at it; send everybody else to the log-in."""
    visitor = visitor_of(request.scope)
    path = request.url.path
    if not visitor.is_known:
        return RedirectResponse(login_address(path[:500]), 303)
    address = path + (f"?{request.url.query}" if request.url.query else "")
    visit = Visit(page_app.state.premises, visitor, path, address)
    theme = request.cookies.get("marketloop_theme", "auto")
    _head(visit, title, theme if theme in THEMES else "auto")
    with ui.element("main").classes("ml-main").props('id="main" tabindex="-1"'):
        try:
            await build(visit)
        except (MarketLoopError, ProblemError) as error:
            with card("This cannot be shown now", classes="urgent"):
                Text("p", str(error), "ml-wrap")
                Text("p", "Reload the page to try again; predictions are served meanwhile.", "ml-note")
        except Exception as error:  # noqa: BLE001 -- the outermost edge of a page: told in the log, never as a traceback
            get_logger("web").error("page failed", path=path[:200], error=f"{type(error).__name__}: {error}")
            with card("Something went wrong here", classes="urgent"):
                Text("p", "It was written to logs/server.log. Reload the page to try again.")
        Text("footer", f"MarketLoop, project {visit.premises.settings.project.name}. Signals are no advice.", "ml-foot")
    return None


async def live(
    visit: Visit, read: Callable[[], T], draw: Callable[[T], None], *, every: float = BETWEEN_READS_S
) -> None:
    """Draw what `read` returns, and again whenever it returns something else; `read` runs beside the answers.

    While it cannot be read the page keeps what it shows, and says so.
    """
    client = ui.context.client
    trouble = ui.element("div")
    place = ui.element("div").classes("ml-main").style("padding:0;margin:0;max-width:none")
    last: list[T] = [await asyncio.to_thread(read)]
    with place:
        draw(last[0])

    async def again() -> None:
        if not visit.is_valid():
            ui.navigate.to(login_address(visit.path))
            return
        try:
            now = await asyncio.to_thread(read)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the page keeps what it shows, and says so
            known = isinstance(error, MarketLoopError | ProblemError)
            get_logger("web").warning("a page is not up to date", path=visit.path[:200], error=repr(error))
            trouble.clear()
            with trouble:
                banner(f"What you see is not up to date: {error if known else 'see logs/server.log'}", "bad")
            return
        trouble.clear()
        if now == last[0] or any(isinstance(one, ui.dialog) and one.value for one in client.elements.values()):
            return  # nothing new, or somebody is being asked: drawn when they are done
        place.clear()
        with place:
            draw(now)
        last[0] = now

    ui.timer(every, again)


def _head(visit: Visit, title: str, theme: str) -> None:
    ui.page_title(f"{title} - MarketLoop")
    ui.add_head_html(HEAD)
    ui.colors(primary="#2456c9")
    dark = ui.dark_mode({"auto": None, "light": False, "dark": True}[theme])
    drawer = ui.left_drawer(value=None).classes("ml-side").props('width=230 breakpoint=1023 aria-label="Pages"')
    with drawer:
        _navigation(visit)
    with ui.header().classes("ml-header"):
        ui.link("Skip to content", "#main").classes("ml-skip")
        ui.button(icon="menu", on_click=drawer.toggle).props('flat round dense aria-label="Show or hide the pages"')
        Text("span", title, "ml-where")
        ui.space()
        _theme_button(dark, theme)
        if visit.visitor.name != ANYBODY.name:
            _account(visit)


def _navigation(visit: Visit) -> None:
    with ui.element("div").classes("ml-brand"):
        Text("span", "Market")
        Text("b", "Loop")
    with ui.element("nav").props('aria-label="Pages"').style("width:100%"):
        for path, name, icon in NAVIGATION:
            _way(path, name, icon, here=visit.path == path)
        families = sorted(visit.premises.families)
        if families:
            Text("div", "Families", "ml-sub")
        for family in families:
            where = f"/families/{family}"
            here = visit.path == where or visit.path.startswith(f"{where}/")
            _way(where, family.replace("_", " "), "model_training", here=here)
        Text("div", "For programs", "ml-sub")
        _way("/docs", "API", "api", here=False)


def _way(path: str, name: str, icon: str, *, here: bool) -> None:
    link = ui.element("a").classes("ml-nav")
    link.props["href"] = quote(path)
    if here:
        link.props["aria-current"] = "page"
    with link:
        ui.icon(icon).props('aria-hidden="true"')
        Text("span", name)


def _theme_button(dark: ui.dark_mode, theme: str) -> None:
    now = [theme]

    def turn() -> None:
        now[0] = THEMES[(THEMES.index(now[0]) + 1) % len(THEMES)]
        dark.value = {"auto": None, "light": False, "dark": True}[now[0]]
        button.props(f'icon={ICONS[now[0]]} aria-label="Colours: {now[0]}"')
        ui.run_javascript(f"document.cookie = 'marketloop_theme={now[0]}; path=/; max-age=31536000; samesite=strict'")

    button = ui.button(icon=ICONS[theme], on_click=turn).props(f'flat round dense aria-label="Colours: {theme}"')


def _account(visit: Visit) -> None:
    button = ui.button(icon="account_circle").props('flat round dense aria-label="Account"')
    with button, ui.menu(), ui.element("div").classes("ml-card").style("border:0"):
        Text("div", f"{visit.visitor.name} ({visit.visitor.role})")
        ui.button("Log out", on_click=lambda: ui.run_javascript(LOG_OUT)).props("flat no-caps")
