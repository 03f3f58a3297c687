"""A label that says it is known before it is, is found; the product's own are honest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from marketloop.core.catalog import Catalog, Label, LabelValues
from marketloop.core.errors import FailedError
from marketloop.dataset import LabelSpec
from marketloop.labels import UNKNOWN, Panel, builtin_labels, why_untimely
from marketloop.loop.checks import label_check

HORIZON = 5
Build = Callable[[Panel, int, float | None], LabelValues]


@pytest.fixture(scope="module")
def panel() -> Panel:
    rng = np.random.default_rng(4)
    change = rng.normal(0, 0.02, (260, 12))
    close = 50 * np.exp(np.cumsum(change, axis=0))
    close[:40, 3] = np.nan
    returns = np.full_like(close, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1
    flat = np.full_like(close, 0.02)
    return Panel(
        first=1000,
        tickers=tuple(f"T{at:02d}" for at in range(12)),
        close=close,
        returns=returns,
        beta=flat * 50,
        vol=flat,
        short_vol=flat,
        open=close * 0.999,
        high=close * 1.01,
        low=close * 0.99,
    )


def forward(panel: Panel, early: int) -> LabelValues:
    value = np.full_like(panel.close, np.nan)
    value[:-HORIZON] = panel.close[HORIZON:] / panel.close[:-HORIZON] - 1
    known = panel.first + np.arange(len(value))[:, None] + HORIZON - early
    return LabelValues(value, np.where(np.isfinite(value), known, UNKNOWN).astype(np.int32))


def thirds(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    del horizon, threshold
    plain = forward(panel, 0)
    cuts = np.nanquantile(plain.value, [1 / 3, 2 / 3])
    return LabelValues(np.where(np.isfinite(plain.value), np.searchsorted(cuts, plain.value), np.nan), plain.known_on)


def told(early: int) -> Build:
    def build(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
        del horizon, threshold
        return forward(panel, early)

    return build


LATE: dict[str, Build] = {
    "a session early": told(1),
    "at once": told(HORIZON),
    "thirds of the whole history": thirds,
}


@pytest.mark.parametrize("name", LATE)
def test_label_that_is_known_later_than_it_says_is_found(name: str, panel: Panel) -> None:
    found = why_untimely(Label("late", LATE[name]), panel, HORIZON, None)
    assert "is taken away" in found
    assert "known in session" in found


def test_honest_labels_are_left_alone(panel: Panel) -> None:
    assert why_untimely(Label("own", told(0)), panel, HORIZON, None) == ""
    for label in builtin_labels():
        if label.name != "regime":  # of the index, not of the tickers
            assert why_untimely(label, panel, HORIZON, 0.02) == "", label.name


def test_label_of_a_plugin_fails_the_hard_check_by_name_and_the_products_is_not_asked(panel: Panel) -> None:
    late = Label("late", LATE["at once"])
    catalog = Catalog().add(late)
    spec = LabelSpec(HORIZON, None, late)
    assert label_check(catalog, spec, panel).passed
    catalog.origins["label:late"] = "digest"
    check = label_check(catalog, spec, panel)
    assert (check.name, check.hard, check.passed) == ("leak", True, False)
    assert "the label late: the outcome of T00 in session" in check.detail


def test_label_that_needs_a_long_history_is_not_asked_about_a_short_one(panel: Panel) -> None:
    def build(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
        del horizon, threshold
        if len(panel.close) < 200:
            raise ValueError("window shape cannot be larger than input array shape")
        return forward(panel, 0)

    assert why_untimely(Label("long", build), panel, HORIZON, None) == ""


def test_label_that_fails_is_named_with_the_remedy(panel: Panel) -> None:
    def build(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
        raise KeyError("volume")

    with pytest.raises(FailedError, match=r"the label broken failed: KeyError: 'volume'; mend or remove the label"):
        why_untimely(Label("broken", build), panel, HORIZON, None)
