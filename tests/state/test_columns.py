from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from marketloop.core.errors import UsageError
from marketloop.state import Slot
from marketloop.state.columns import decode, encode, stamp


def test_document_has_sorted_keys_and_plain_values() -> None:
    document = {"z": np.float32(0.5), "a": (1, float("inf")), "day": dt.date(2026, 1, 2), "m": {"y": True, "x": None}}
    assert encode(document) == '{"a": [1, null], "day": "2026-01-02", "m": {"x": null, "y": true}, "z": 0.5}'
    assert decode(encode(document))["m"] == {"x": None, "y": True}


def test_document_refuses_what_is_not_plain() -> None:
    with pytest.raises(TypeError, match="not object"):
        encode({"a": object()})


def test_stamp_orders_moments_of_all_time_zones() -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    early, late = dt.datetime(2026, 1, 2, 8, 0, tzinfo=tokyo), dt.datetime(2026, 1, 2, 0, 0, tzinfo=dt.UTC)
    assert stamp(early) == "2026-01-01T23:00:00.000000Z"
    assert stamp(early) < stamp(late)


def test_stamp_refuses_a_moment_without_time_zone() -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        stamp(dt.datetime(2026, 1, 2))  # noqa: DTZ001 - that is the case


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", "prix_élevé"])
def test_slot_refuses_names_that_are_no_folder(name: str) -> None:
    with pytest.raises(UsageError, match="it names a folder"):
        Slot(name, "rsi10_vol20_support20")
