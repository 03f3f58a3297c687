"""One HTML page in one file: text, cards, tables and figures in the reader's own colours, and no request to any host.

A page is a value; `render` writes it. Light or dark follows the reader's system, print is always light. The plotting
library is embedded once, only where there is a figure, and the page's own policy forbids every request.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

__all__ = ["Block", "Card", "Cards", "Cell", "Figure", "Page", "Section", "Table", "Text", "json_values", "render"]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `tone` is ``lead``, ``warning``, ``note`` or nothing."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure in large letters; `tone` of its note is ``good``, ``bad`` or nothing."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards in a row that wraps."""

    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table; `tone` from -1 to 1 colours it from a loss to a gain."""

    text: str
    tone: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the first cell of a row names it.

    The first `texts` columns are words and aligned to the left, the others numbers, to the right.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    texts: int = 1
    compact: bool = False

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        title: str = "",
        texts: int = 1,
        prose: bool = False,
    ) -> Table:
        """Make a table of plain texts; with `prose` all of its columns are words."""
        cells = tuple(tuple(Cell(text) for text in row) for row in rows)
        return cls(tuple(columns), cells, title, len(columns) if prose else texts)


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot in Plotly's own terms.

    Parameters
    ----------
    name : str
        Unique on the page.
    title, note : str
        What is drawn, and how to read it; both are also read aloud.
    data, layout : sequence of mappings, mapping
        Traces and layout. A colour is one of the page's, ``--c1`` to ``--c5``, ``--good``, ``--bad``, ``--ink``,
        ``--muted``, ``--line``, with ``/0.2`` behind it for a transparent one; it changes with light and dark.
    height : int
        In pixels.
    """

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    height: int = 320


Block = Text | Cards | Table | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `kind` says what sort of report it is, `footer` what a reader must know of all of it."""

    kind: str
    title: str
    sections: tuple[Section, ...]
    subtitle: str = ""
    footer: str = ""


def render(page: Page) -> str:
    """Return `page` as one HTML document."""
    figures = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    specs = [
        {"name": figure.name, "data": list(figure.data), "layout": dict(figure.layout), "height": figure.height}
        for figure in figures
    ]
    embedded = json.dumps(json_values(specs), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    text: str = _TEMPLATES.get_template("page.html").render(
        page=page, figures=embedded if figures else "", plotly=get_plotlyjs() if figures else ""
    )
    return text


def json_values(value: Any) -> Any:
    """Return `value` in JSON's own types: arrays as lists, dates as text, and null for what is no number."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
