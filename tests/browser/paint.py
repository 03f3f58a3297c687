"""Measure how soon each page of a year of nights paints, and take its picture: ``python -m tests.browser.paint``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tests.browser.conftest import ARGUMENTS, NAMES, running
from tests.browser.test_pages import PAGES, SIZES

from marketloop.bench.chronicle import write_year
from marketloop.bench.shop import Shop

PAINTS = "performance.getEntriesByType('paint').map(entry => [entry.name, entry.startTime])"
TALLEST = 2200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    program = next(found for name in NAMES if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "year"
        with Shop.make(root) as shop:
            write_year(shop, tickers=[f"T{place:03d}" for place in range(505)], nights=asked.nights)
        with running(root, "serve") as base, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=program, args=list(ARGUMENTS))
            figures = {name: _visits(browser, base + path, asked.visits) for name, (path, _) in PAGES.items()}
            if asked.pictures is not None:
                asked.pictures.mkdir(parents=True, exist_ok=True)
                for name, (path, _) in PAGES.items():
                    for size, theme in (("desk", "light"), ("phone", "dark")):
                        _picture(browser, base + path, asked.pictures / f"{name}_{size}.png", SIZES[size], theme)
            browser.close()
    sys.stdout.write(json.dumps({"nights": asked.nights, "load": os.getloadavg(), "pages": figures}, indent=1) + "\n")


def _visits(browser: Browser, address: str, count: int) -> dict[str, Any]:
    """Visit a page in windows of their own, nothing kept from one to the next; milliseconds."""
    first, whole = [], []
    for _ in range(count):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(address, timeout=60_000)
        page.wait_for_selector("main h1", timeout=60_000)
        paints = dict(page.evaluate(PAINTS))
        first.append(paints.get("first-paint", 0.0))
        whole.append(paints.get("first-contentful-paint", 0.0))
        context.close()
    return {"first_paint_ms": round(statistics.median(first)), "content_ms": round(statistics.median(whole)),
            "slowest_content_ms": round(max(whole))}  # fmt: skip


def _picture(browser: Browser, address: str, path: Path, size: tuple[int, int], theme: str) -> None:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(address, timeout=60_000)
    page.wait_for_selector("main h1", timeout=60_000)
    page.wait_for_timeout(2500)
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), TALLEST)
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": size[0], "height": height}, full_page=True)
    context.close()


if __name__ == "__main__":
    main()
