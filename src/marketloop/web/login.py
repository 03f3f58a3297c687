"""Log in with an API key and out again: a form that works without any script."""

from __future__ import annotations

import hmac
import secrets
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from marketloop.web.door import visitor_of
from marketloop.web.premises import premises_of
from marketloop.web.reference import policy_of
from marketloop.web.sessions import cookie_of

__all__ = ["login_address", "router"]

router = APIRouter(include_in_schema=False)

STYLE: Final = """
:root { color-scheme: light dark; --ink: #17202e; --page: #f4f6f9; --card: #fff; --line: #d8dee8; --accent: #2456c9;
        --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --page: #0f141c; --card: #18202c; --line: #2c3747;
        --accent: #7aa2ff; --bad: #ff8a80; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
main { width: min(24rem, calc(100vw - 4rem)); background: var(--card); border: 1px solid var(--line);
       border-radius: 12px; padding: 1.5rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; } p { margin: .25rem 0 1rem; } label { font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .6rem; margin: .3rem 0 1rem; font: inherit; color: inherit;
        background: var(--page); border: 1px solid var(--line); border-radius: 8px; }
button { padding: .6rem 1.2rem; font: inherit; font-weight: 600; border: 0; border-radius: 8px; cursor: pointer;
         background: var(--accent); color: var(--card); }
.bad { color: var(--bad); font-weight: 600; } code { overflow-wrap: anywhere; }
"""
POLICY: Final = policy_of(STYLE, forms=True)
WRONG: Final = "That is not a valid key: it may have been mistyped, revoked, or have ended."
OLD: Final = "The form was too old or came from elsewhere; please try again."


def login_address(path: str) -> str:
    """Return the address of the form that leads back to `path`."""
    return f"/login?next={quote(path, safe='/')}"


@router.get("/login")
async def form(request: Request, next: str = "/") -> Response:  # noqa: A002 -- the usual name of the parameter
    """Show the form; who needs no key, or has a session, goes on at once."""
    if visitor_of(request.scope).is_known:
        return RedirectResponse(_inside(next), 303)
    return _page(request, _inside(next))


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Begin a session for a valid key."""
    try:
        given = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return _page(request, "/", OLD, 400)
    key, token, target = (given.get(name, [""])[0].strip() for name in ("key", "token", "next"))
    premises = premises_of(request)
    sessions = premises.sessions
    expected = cookie_of(request.headers.get("cookie", "").encode("latin-1", "replace"), sessions.form_cookie)
    if not expected or not hmac.compare_digest(expected.encode(), token.encode()):
        return _page(request, _inside(target), OLD, 403)
    ring = premises.desk.ring
    owner = None if ring is None else ring.owner(key)
    if owner is None:
        return _page(request, _inside(target), WRONG, 401)
    answer = RedirectResponse(_inside(target), 303)
    answer.set_cookie(
        sessions.cookie,
        sessions.issue(owner, premises.clock.now()),
        max_age=int(sessions.lifetime.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    answer.delete_cookie(sessions.form_cookie, httponly=True, samesite="strict")
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session of this browser, in all of its open pages."""
    premises, visitor = premises_of(request), visitor_of(request.scope)
    if visitor.session and premises.desk.ring is not None:
        premises.sessions.end(visitor.session, premises.desk.ring, premises.clock.now())
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(premises.sessions.cookie, httponly=True, samesite="strict")
    return answer


def _inside(target: str) -> str:
    """Return an address of this server only: whatever else was asked for is the first page."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if plain and target.isprintable() and len(target) <= 500 else "/"


def _page(request: Request, target: str, trouble: str = "", status: int = 200) -> Response:
    token = secrets.token_urlsafe(24)
    said = f'<p class="bad" role="alert">{escape(trouble)}</p>' if trouble else ""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Log in - MarketLoop</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        "<h1>MarketLoop</h1><p>Log in with an API key. The key itself is not kept in the browser.</p>"
        f'{said}<form method="post" action="/login"><label for="key">API key</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus '
        'maxlength="200" placeholder="ml_...">'
        f'<input type="hidden" name="token" value="{token}"><input type="hidden" name="next" value="{escape(target)}">'
        '<button type="submit">Log in</button></form>'
        "<p></p><p>No key yet? On the machine of the server: "
        "<code>marketloop keys create NAME --role read</code></p></main></body></html>"
    )
    answer = Response(
        body,
        status_code=status,
        media_type="text/html",
        # Without a referrer a browser names no origin either, and the door could not tell this form from a stranger's.
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"},
    )
    answer.set_cookie(premises_of(request).sessions.form_cookie, token, max_age=900, httponly=True, samesite="strict")
    return answer
