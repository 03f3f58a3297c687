"""A page is one file that asks nobody for anything, and says everything it was given."""

from __future__ import annotations

import datetime as dt
import json
import math
import re

import numpy as np

from marketloop.reports.page import Card, Cards, Cell, Figure, Page, Section, Table, Text, json_values, render


def page(*blocks: Text | Cards | Table | Figure) -> Page:
    return Page("Report", "A <title>", (Section("First", blocks),), "subtitle", "footer")


def figure(name: str = "one") -> Figure:
    return Figure(
        name, "Title", [{"x": [1], "y": np.array([1.0, np.nan]), "line": {"color": "--c1"}}], note="</script>"
    )


def without_library(html: str) -> str:
    """Return the page less the plotting library, which names hosts in its text."""
    return re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)


def test_page_escapes_what_it_is_given() -> None:
    html = render(page(Text("a < b & c", "warning"), Table.of(("", "x"), [["<b>", "1"]])))
    assert "<title>A &lt;title&gt;</title>" in html
    assert '<p class="warning">a &lt; b &amp; c</p>' in html
    assert '<th scope="row">&lt;b&gt;</th>' in html


def test_page_carries_the_library_once_and_only_for_figures() -> None:
    assert render(page(figure("one"), figure("two"))).count("plotly.js v") == 1
    assert len(render(page(Text("words")))) < 20_000


def test_page_forbids_every_request_and_refers_to_no_host() -> None:
    html = render(page(figure()))
    assert "default-src 'none'" in html
    assert "http" not in without_library(html).replace('http-equiv="Content-Security-Policy"', "")


def test_figures_are_json_that_cannot_end_the_script() -> None:
    html = render(page(figure()))
    (text,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    (spec,) = json.loads(text)
    assert spec["name"] == "one"
    assert spec["data"][0]["y"] == [1.0, None]
    assert 'id="one" role="img" aria-label="Title. &lt;/script&gt;"' in html


def test_page_follows_the_readers_colours_and_prints_light() -> None:
    html = render(page(Text("words")))
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    assert 'name="viewport" content="width=device-width' in html


def test_cells_carry_their_tone_and_words_stand_left_of_numbers() -> None:
    table = Table(("", "a", "b"), ((Cell("row"), Cell("words"), Cell("5", -0.5)),), texts=2)
    html = render(page(table))
    assert '<td class="">words</td>' in html
    assert re.search(r'<td class="number\s+down" style="--tone:50%">5</td>', html)


def test_cards_show_label_value_and_note() -> None:
    html = render(page(Cards((Card("Sharpe", "1.2", "goal reached", "good"),))))
    assert "<dt>Sharpe</dt><dd>1.2</dd>" in html
    assert '<dd class="note good">goal reached</dd>' in html


def test_json_values_are_jsons_own() -> None:
    given = {"a": np.array([1.0, math.inf]), "b": (dt.date(2020, 1, 2), None), 3: np.float64(2.5), "c": "x"}
    assert json_values(given) == {"a": [1.0, None], "b": ["2020-01-02", None], "3": 2.5, "c": "x"}
