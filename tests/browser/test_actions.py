"""What a person does on the pages: a first visit, a retraining watched to its end, going back, promoting, roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Visit, running

from marketloop.bench.shop import Shop
from marketloop.loop.helm import open_helm
from marketloop.runtime.project import create_project
from marketloop.serving.keeping import create_key, revoke_key

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>"


@pytest.fixture(scope="module")
def up(market: Path) -> Iterator[str]:
    """The address of the simulated market's project, with a loop and a server."""
    with running(market, "up") as base:
        yield base


def test_first_visit_of_an_empty_project_says_what_to_do_next(tmp_path: Path, visit: Visit) -> None:
    create_project(tmp_path / "empty", settings={"tracking.enabled": False})
    with running(tmp_path / "empty", "serve") as base:
        visitor = visit(base)
        page = visitor.go("/")
        expect(page.get_by_text("Nothing is served yet")).to_be_visible()
        expect(page.get_by_text("marketloop retrain", exact=True)).to_be_visible()
        for path, said in (
            ("/predictions", "No predictions yet"),
            ("/drift", "Nothing was scanned yet"),
            ("/quality", "Nothing was examined yet"),
            ("/activity", "Jobs and logs"),
        ):
            visitor.go(path)
            expect(page.get_by_text(said).last).to_be_visible()
        visitor.picture("empty_project")


def test_retraining_is_asked_for_by_the_button_and_watched_to_its_end(up: str, visit: Visit) -> None:
    visitor = visit(up)
    page = visitor.go("/families/price_predictor")
    page.get_by_role("button", name="Retrain now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The champion goes on serving meanwhile.")).to_be_visible()
    dialog.get_by_label("Reason (recorded)").fill("to see it run")
    dialog.get_by_text("Force: skip the skill test").click()
    dialog.get_by_role("button", name="Retrain now").click()
    page.wait_for_url("**/activity/retrain_*")
    expect(page.get_by_text("What was decided")).to_be_visible(timeout=200_000)
    expect(page.locator(".ml-top .ml-chip", has_text="done")).to_be_visible()
    expect(page.get_by_text("to see it run").first).to_be_visible()
    visitor.picture("job_done")


def test_going_back_asks_first_and_shows_at_once(up: str, visit: Visit) -> None:
    visitor = visit(up)
    page = visitor.go("/families/price_predictor")
    before = _serving(page)
    page.get_by_role("button", name="Roll back").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Version {before} serves now.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    assert _serving(page) == before
    page.get_by_role("button", name="Roll back").first.click()
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.locator(".ml-stat", has_text="champion").locator(".value").first).not_to_have_text(f"v{before}")
    expect(page.get_by_text("rolled back from version").first).to_be_visible()


def test_version_is_promoted_by_hand_by_the_loop_and_its_reason_is_shown_as_text(up: str, visit: Visit) -> None:
    visitor = visit(up)
    page = visitor.go("/families/price_predictor")
    serving = _serving(page)
    other = next(number for number in (1, 2, 3) if number != serving)
    visitor.go(f"/families/price_predictor/{other}")
    page.get_by_role("button", name=f"Promote version {other}").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=f"Promote version {other}").click()
    expect(dialog.get_by_text("a promotion by hand needs a reason")).to_be_visible()
    dialog.get_by_label("Reason (recorded)").fill(EVIL)
    dialog.get_by_role("button", name=f"Promote version {other}").click()
    page.wait_for_url("**/activity/retrain_*")
    expect(page.locator(".ml-top .ml-chip", has_text="done")).to_be_visible(timeout=120_000)
    visitor.go("/families/price_predictor")
    expect(page.locator(".ml-stat", has_text="champion").locator(".value").first).to_have_text(f"v{other}")
    expect(page.get_by_text("onerror=").first).to_be_visible()
    visitor.go("/activity")
    expect(page.get_by_text("onerror=").first).to_be_visible()
    assert page.title() == "Jobs and logs - MarketLoop"


def test_pinned_champion_cannot_be_replaced_until_it_is_unpinned(up: str, visit: Visit) -> None:
    visitor = visit(up)
    page = visitor.go("/families/price_predictor")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator(".ml-chip", has_text="pinned")).to_be_visible()
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    page.get_by_role("button", name="Unpin").click()
    page.get_by_role("dialog").get_by_role("button", name="Unpin").click()
    expect(page.locator(".ml-chip", has_text="pinned")).to_have_count(0)


def test_log_in_roles_and_revoked_keys(market: Path, visit: Visit) -> None:
    with open_helm(market) as helm:
        at = helm.clock.now()
        reader = create_key(helm.state, "reader", role="read", at=at)["key"]
        create_key(helm.state, "boss", role="admin", at=at)
    try:
        with running(market, "serve") as base:
            visitor = visit(base)
            page = visitor.page
            page.goto(f"{base}/families/price_predictor")
            assert page.url.startswith(f"{base}/login?next=")
            page.get_by_label("API key").fill("ml_wrong_key")
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_contain_text("not a valid key")
            page.get_by_label("API key").fill(reader)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/families/price_predictor")
            expect(page.get_by_role("button", name="Retrain now")).to_be_disabled()
            expect(page.get_by_role("button", name="Pin", exact=True)).to_be_disabled()
            cookie = next(one for one in page.context.cookies() if one["name"].startswith("marketloop_session_"))
            assert cookie["httpOnly"]
            assert cookie["sameSite"] == "Strict"
            assert reader not in cookie["value"]
            with open_helm(market) as helm:
                revoke_key(helm.state, "reader", at=helm.clock.now())
            page.wait_for_url(re.compile(r"/login"), timeout=30_000)
            visitor.troubles.clear()  # the 401 of the wrong key is one of the browser's own messages
    finally:
        with open_helm(market) as helm:
            revoke_key(helm.state, "boss", at=helm.clock.now())


def test_page_that_is_open_says_when_the_database_goes_away_and_when_it_is_back(tmp_path: Path, visit: Visit) -> None:
    root = tmp_path / "gone"
    with Shop.make(root) as shop:
        shop.crown(("AAPL", "MSFT"), as_of=shop.helm.clock.now().date())
    with running(root, "serve") as base:
        visitor = visit(base)
        page = visitor.go("/")
        expect(page.get_by_role("link", name="Price predictor").first).to_be_visible()
        for name in ("state.db", "scoreboard.db"):
            (root / name).rename(root / f"{name}.away")
        expect(page.get_by_text("What you see is not up to date").first).to_be_visible(timeout=30_000)
        expect(page.get_by_role("link", name="Price predictor").first).to_be_visible()
        for name in ("state.db", "scoreboard.db"):
            (root / f"{name}.away").rename(root / name)
        expect(page.get_by_text("What you see is not up to date")).to_have_count(0, timeout=30_000)


def _serving(page: Page) -> int:
    text = page.locator(".ml-stat", has_text="champion").locator(".value").first.inner_text()
    return int(text.removeprefix("v"))
