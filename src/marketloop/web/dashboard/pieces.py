"""What pages are built of: cards, chips, figures beside their baseline, tables, empty states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

__all__ = [
    "TONES",
    "Text",
    "banner",
    "card",
    "chart",
    "chip",
    "code",
    "empty",
    "facts",
    "listing",
    "plain_table",
    "stat",
    "tone_of",
]

TONES: Final[Mapping[str, str]] = {
    "promoted": "good",
    "champion": "good",
    "proven": "good",
    "done": "good",
    "running": "good",
    "success": "good",
    "passed": "good",
    "BUY": "good",
    "monitor": "good",
    "provisional": "warn",
    "waiting": "warn",
    "rollback": "warn",
    "forced": "warn",
    "stale": "warn",
    "pinned": "warn",
    "plan": "warn",
    "drift": "warn",
    "degradation": "warn",
    "validation": "warn",
    "failed": "bad",
    "error": "bad",
    "harm": "bad",
    "SELL": "bad",
    "retrain": "bad",
    "FAILED": "bad",
}
"""Colour of a word; the word always stands there too, so that nobody needs the colour."""
LABEL: Final = '<span class="ml-label">{{ props.col.label }}</span>'
"""The heading of a cell, seen only where rows are stacked because the screen is narrow."""
CELLS: Final[Mapping[str, str]] = {
    "chip": f"""<q-td :props="props">{LABEL}<span v-if="props.value"
  :class="'ml-chip ' + (props.row[props.col.name + '_tone'] || '')">{{{{ props.value }}}}</span></q-td>""",
    "link": f"""<q-td :props="props">{LABEL}<a v-if="props.row[props.col.name + '_href']"
  :href="props.row[props.col.name + '_href']">{{{{ props.value }}}}</a>
  <span v-else>{{{{ props.value }}}}</span></q-td>""",
    "long": f'<q-td :props="props" class="ml-text">{LABEL}{{{{ props.value }}}}</q-td>',
    "text": f'<q-td :props="props">{LABEL}{{{{ props.value }}}}</q-td>',
    "number": f'<q-td :props="props">{LABEL}{{{{ props.value }}}}</q-td>',
}
"""How a cell of each kind is drawn; whatever it holds is text."""
PER_PAGE: Final = 25


class Text(TextElement):
    """One element with a text in it, whatever the text holds."""

    def __init__(self, tag: str, text: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        if classes:
            self.classes(classes)


def tone_of(word: str) -> str:
    """Return the tone of a word: ``good``, ``warn``, ``bad`` or nothing."""
    return TONES.get(word, "")


def card(title: str = "", *, classes: str = "", note: str = "") -> ui.element:
    """Return a card to build in, with its heading."""
    made = ui.element("section").classes(f"ml-card {classes}")
    if title:
        with made:
            Text("h2", title)
            if note:
                Text("p", note, "ml-note")
    return made


def chip(word: str, tone: str | None = None) -> None:
    """Show a short word as a chip in its colour."""
    Text("span", word, f"ml-chip {tone_of(word) if tone is None else tone}")


def stat(name: str, value: str, beside: str = "") -> None:
    """Show one figure large, and beside it what it has to be compared with."""
    with ui.element("div").classes("ml-stat"):
        Text("div", name, "name")
        Text("div", value, "value")
        if beside:
            Text("div", beside, "beside")


def facts(pairs: Mapping[str, str]) -> None:
    """Show names and values, one pair a line; empty values are left out."""
    with ui.element("dl").classes("ml-facts"):
        for name, value in pairs.items():
            if value:
                Text("dt", name)
                Text("dd", value)


def banner(text: str, tone: str = "") -> None:
    """Show what a reader must know before anything else."""
    Text("div", text, f"ml-banner {tone}").props('role="status"')


def code(text: str) -> None:
    """Show a command to copy."""
    Text("code", text, "ml-code").props('tabindex="0"')


def empty(title: str, why: str, steps: Sequence[tuple[str, str]]) -> None:
    """Say that there is nothing yet, why, and what to do next: pairs of a sentence and a command."""
    with card(title, classes="ml-empty"):
        Text("p", why, "ml-note")
        with ui.element("ol"):
            for sentence, command in steps:
                with ui.element("li"):
                    Text("div", sentence)
                    if command:
                        code(command)


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> None:
    """Show a small table; the first `texts` columns are words, the others numbers."""
    with ui.element("div").classes("ml-scroll"), ui.element("table").classes("ml-plain"):
        with ui.element("thead"), ui.element("tr"):
            for place, word in enumerate(head):
                Text("th", word, "" if place < texts else "num").props('scope="col"')
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for place, cell in enumerate(row):
                        Text("td", cell, "" if place < texts else "num")


def listing(
    columns: Sequence[tuple[str, str, str]],
    rows: Sequence[Mapping[str, Any]],
    *,
    label: str,
    key: str = "key",
    search: bool = False,
    per_page: int = PER_PAGE,
    sort: tuple[str, bool] | None = None,
    none: str = "Nothing yet.",
) -> ui.table:
    """Show a long table that can be sorted, searched and turned over.

    Parameters
    ----------
    columns : sequence of (field, heading, kind)
        `kind` is ``text``, ``long`` (wraps), ``number``, ``chip`` (its tone is the row's ``FIELD_tone``) or ``link``
        (its address is the row's ``FIELD_href``).
    sort : pair of field and whether it falls, optional
    """
    shown = [
        {
            "name": name,
            "label": heading,
            "field": name,
            "sortable": True,
            "align": "right" if kind == "number" else "left",
        }
        for name, heading, kind in columns
    ]
    pagination: dict[str, Any] = {"rowsPerPage": per_page}
    if sort is not None:
        pagination |= {"sortBy": sort[0], "descending": sort[1]}
    table = ui.table(columns=shown, rows=[dict(row) for row in rows], row_key=key, pagination=pagination)
    table.props("flat dense")
    table.props["no-data-label"], table.props["aria-label"] = none, label
    table.props["rows-per-page-options"] = [10, 25, 50, 100, 0]
    stacked = any(kind == "long" for _, _, kind in columns)
    if stacked:
        table.classes("ml-stack")
    for name, _, kind in columns:
        if stacked or kind in {"chip", "link"}:
            table.add_slot(f"body-cell-{name}", CELLS[kind])
    if search:
        with table.add_slot("top-left"):
            field = ui.input(placeholder="Search").props("dense outlined clearable")
            field.props["aria-label"] = f"Search {label}"
            field.bind_value_to(table, "filter")
    return table


def chart(option: Mapping[str, Any] | None, *, title: str, note: str = "", tall: bool = False) -> None:
    """Show a chart in a card, with a sentence that says how to read it; nothing where there is nothing to draw."""
    if option is None:
        return
    with card(title):
        drawn = ui.echart(dict(option)).classes("ml-chart tall" if tall else "ml-chart")
        drawn.props["role"], drawn.props["aria-label"] = "img", title
        if note:
            Text("p", note, "ml-note")
