"""``/docs``: the API's own description as one page that loads nothing from elsewhere and runs no script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request, Response

__all__ = ["page_of", "policy_of", "router"]

router = APIRouter(include_in_schema=False)

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.5rem 0 0; border-bottom: 1px solid var(--line); }
h3 { margin: 1.8rem 0 .3rem; font: 600 1rem ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); font-size: .85rem; }
p { margin: .4rem 0; } small { color: var(--dim); }
"""
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def policy_of(style: str, *, forms: bool = False) -> str:
    """Return the policy of a page without scripts that has this one style sheet in it, and perhaps a form."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    action = "'self'" if forms else "'none'"
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action {action}; "
        "frame-ancestors 'none'"
    )


POLICY: Final = policy_of(STYLE)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return the page."""
    page = page_of(request.app.openapi())
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def page_of(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as HTML: operations by tag, then the shapes that they speak of."""
    about = document["info"]
    operations = [
        (operation.get("tags", ["other"])[0], method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
    parts = [f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"]
    parts += [f"<p>{escape(part)}</p>" for part in about.get("description", "").strip().split("\n\n")]
    parts.append('<p>The same for programs: <a href="/openapi.json">openapi.json</a>.</p>')
    for tag in dict.fromkeys(tag for tag, *_ in operations):
        parts.append(f"<h2>{escape(tag)}</h2>")
        for of, method, path, operation in operations:
            if of == tag:
                parts += _operation(method, path, operation)
    parts.append("<h2>shapes</h2>")
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        parts += _shape(name, schema)
    title = escape(about["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h3>{method.upper()} {escape(path)}</h3><p>{escape(operation.get('summary', ''))}.</p>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    rows = [
        (entry["name"], entry["in"], _kind(entry["schema"]), entry.get("description", ""))
        for entry in operation.get("parameters", ())
    ]
    if rows:
        yield _table(("parameter", "in", "kind", ""), rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: {escape(kind)}, {_kind(content['schema'])}</p>"
    answers = []
    for code, answer in operation["responses"].items():
        kinds = [
            _kind(content.get("schema", {})) or escape(kind) for kind, content in answer.get("content", {}).items()
        ]
        answers.append((code, answer.get("description", ""), ", ".join(kinds), ""))
    yield _table(("status", "meaning", "shape", ""), answers)


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
    needed = set(schema.get("required", ()))
    rows = [
        (field, "always" if field in needed else "", _kind(inner), inner.get("description", ""))
        for field, inner in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("field", "", "kind", ""), rows)
    for example in schema.get("examples", ()):
        yield f"<pre>{escape(json.dumps(example, indent=1, ensure_ascii=False))}</pre>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what kind of value a schema describes, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(escape(str(value)) for value in schema["enum"])
    kind = escape(str(schema.get("type", "")))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {})) or 'anything'}"
    bounds = [f"{word} {escape(str(schema[key]))}" for key, word in _BOUNDS.items() if key in schema]
    return f"{kind} <small>{', '.join(bounds)}</small>" if bounds else kind


_BOUNDS: Final = {
    "minimum": "from",
    "maximum": "to",
    "minLength": "length from",
    "maxLength": "length to",
    "pattern": "like",
    "default": "else",
}


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> str:
    """Return a table; the third column is HTML already, the others are text."""
    top = "".join(f"<th>{escape(word)}</th>" for word in head)
    lines = "".join(
        f"<tr><td>{escape(a)}</td><td>{escape(b)}</td><td>{html}</td><td>{escape(c)}</td></tr>"
        for a, b, html, c in rows
    )
    return f"<table><tr>{top}</tr>{lines}</table>"
