"""Every page, in light and dark, on a desk and on a phone: nothing breaks, overflows, or leaves this host."""

from __future__ import annotations

import pytest
from tests.browser.conftest import EVIL_TICKER, Visit

PAGES = {
    "overview": ("/", "where it stands"),
    "family": ("/families/price_predictor", "Price predictor"),
    "version": ("/families/price_predictor/20", "version 20"),
    "predictions": ("/predictions", "Predictions and ranking"),
    "drift": ("/drift", "Drift"),
    "quality": ("/quality", "Data quality"),
    "activity": ("/activity", "Jobs and logs"),
}
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_shows_without_errors_and_without_overflow(year: str, visit: Visit, theme: str, size: str) -> None:
    width, height = SIZES[size]
    visitor = visit(year, theme=theme, width=width, height=height)
    for name, (path, title) in PAGES.items():
        page = visitor.go(path)
        assert title in page.locator("h1").first.inner_text()
        page.wait_for_timeout(700)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
        dark = page.evaluate("document.body.classList.contains('body--dark')")
        assert dark == (theme == "dark"), f"{name} is not {theme}"
        visitor.picture(f"{name}_{theme}_{size}")


def test_every_control_has_a_name_that_can_be_read_aloud(year: str, visit: Visit) -> None:
    visitor = visit(year)
    for path, _ in PAGES.values():
        page = visitor.go(path)
        page.wait_for_timeout(500)
        nameless = page.evaluate(
            """[...document.querySelectorAll('button, a, input, [role=img]')].filter(e => e.offsetParent !== null
               && !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !e.getAttribute('placeholder')
               && !e.closest('label') && !e.closest('.q-table__control')).map(e => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], path


def test_pages_are_reached_by_keyboard_alone(year: str, visit: Visit) -> None:
    visitor = visit(year)
    page = visitor.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to content"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/drift":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/drift")
    assert page.locator("h1").first.inner_text() == "Drift"


def test_chosen_colours_stay_from_page_to_page(year: str, visit: Visit) -> None:
    visitor = visit(year, theme="light")
    page = visitor.go("/")
    page.get_by_label("Colours: auto").click()
    page.get_by_label("Colours: light").click()
    page.get_by_label("Colours: dark").wait_for()
    visitor.go("/drift")
    page.wait_for_function("document.body.classList.contains('body--dark')")


def test_way_to_the_pages_opens_on_a_phone(year: str, visit: Visit) -> None:
    visitor = visit(year, width=390, height=844)
    page = visitor.go("/")
    assert not page.get_by_role("link", name="Predictions", exact=True).is_visible()
    page.get_by_label("Show or hide the pages").click()
    page.get_by_role("link", name="Predictions", exact=True).click()
    page.wait_for_url("**/predictions")


def test_why_a_version_was_refused_is_three_clicks_away(year: str, visit: Visit) -> None:
    visitor = visit(year)
    page = visitor.go("/")
    page.get_by_role("link", name="price predictor", exact=True).click()
    page.get_by_label("Search decisions").fill("version 20")
    page.get_by_role("link", name="version 20").first.click()
    page.wait_for_url("**/families/price_predictor/20**")
    page.get_by_text("no skill shown yet: z 1.21 over 714 sessions").first.wait_for()
    assert page.get_by_text("To pass the skill test it would take").is_visible()


def test_which_feature_drifted_is_one_click_away(year: str, visit: Visit) -> None:
    page = visit(year).go("/")
    page.get_by_role("link", name="Drift", exact=True).click()
    page.get_by_text("Drifted: hist_vol_30.").wait_for()


def test_whether_a_run_is_due_stands_on_the_first_page(year: str, visit: Visit) -> None:
    page = visit(year).go("/")
    assert page.get_by_text("not running", exact=True).is_visible()
    assert page.get_by_text("nothing is retrained by itself without it").is_visible()


def test_ranking_is_searched_and_sorted(year: str, visit: Visit) -> None:
    visitor = visit(year)
    page = visitor.go("/predictions")
    rows = page.locator(".q-table tbody tr")
    assert rows.first.locator("td").first.inner_text() == "1"
    page.get_by_label("Search ranking").fill("T007")
    page.wait_for_function("document.querySelectorAll('.q-table tbody tr').length === 1")
    assert "T007" in rows.first.inner_text()
    page.get_by_label("Search ranking").fill("")
    page.wait_for_function("document.querySelectorAll('.q-table tbody tr').length > 10")
    page.get_by_role("columnheader", name="Ticker").click()
    cells = page.locator(".q-table tbody tr td:nth-child(2)")
    page.wait_for_function("document.querySelectorAll('.q-table tbody tr td:nth-child(2)')[1].innerText === 'T000'")
    assert cells.first.inner_text() == EVIL_TICKER  # "<" stands before letters


def test_which_rows_were_set_aside_and_why_stands_on_one_page(year: str, visit: Visit) -> None:
    page = visit(year).go("/")
    page.get_by_role("link", name="Data quality").click()
    page.get_by_text("high 9.0 is below low 11.0").first.wait_for()
    assert page.get_by_text("+52 %").is_visible()


def test_what_came_of_the_last_job_is_two_clicks_away(year: str, visit: Visit) -> None:
    page = visit(year).go("/")
    page.get_by_role("link", name="Jobs and logs").click()
    page.locator(".q-table tbody a").first.click()
    page.wait_for_url("**/activity/retrain_*")
    page.get_by_text("What was decided").wait_for()
    assert page.get_by_text("no skill shown yet").first.is_visible()


def test_figures_of_a_version_stand_beside_no_skill_and_the_champion(year: str, visit: Visit) -> None:
    page = visit(year).go("/families/price_predictor/20")
    table = page.locator(".ml-plain").first
    head = [cell.inner_text() for cell in table.locator("th").all()]
    assert head[:3] == ["out of sample", "version 20", "no skill"]
    assert head[3].startswith("champion v")
    accuracy = table.locator("tr", has_text="Accuracy").locator("td").all()
    assert [cell.inner_text()[-1] for cell in accuracy[1:]] == ["%", "%", "%"]
    assert page.get_by_text("How sure is it").is_visible()


def test_ticker_that_is_markup_is_shown_as_text(year: str, visit: Visit) -> None:
    visitor = visit(year)
    page = visitor.go("/predictions")
    page.on("dialog", lambda _: visitor.troubles.append("a script of a ticker ran"))
    page.get_by_label("Search ranking").fill("onerror")
    page.wait_for_function("document.querySelectorAll('.q-table tbody tr').length === 1")
    assert page.get_by_text(EVIL_TICKER).is_visible()
    assert page.locator("main img").count() == 0


def test_unknown_pages_families_and_versions_say_so(year: str, visit: Visit) -> None:
    visitor = visit(year)
    page = visitor.go("/families/no_such_family")
    assert page.get_by_text("there is no version of no_such_family yet").is_visible()
    page = visitor.go("/families/price_predictor/99999")
    assert page.get_by_text("there is no version 99999").is_visible()
    page = visitor.go("/families/price_predictor/zero")
    assert page.get_by_text('"zero" is no version number').is_visible()
    page = visitor.go("/activity/no_such_job")
    assert page.get_by_text('there is no job "no_such_job"').is_visible()
