from __future__ import annotations

import datetime as dt

import pytest

from marketloop.core.errors import UsageError
from marketloop.runtime.clock import FixedClock, SystemClock
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.threads import cores, set_thread_budget


def test_thread_budget_leaves_what_the_user_set() -> None:
    environ = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "active"}
    assert set_thread_budget(environ=environ) == cores()
    assert (environ["OMP_NUM_THREADS"], environ["OMP_WAIT_POLICY"]) == ("1", "active")
    assert environ["POLARS_MAX_THREADS"] == str(cores())


def test_thread_budget_that_is_named_wins() -> None:
    environ = {"OMP_NUM_THREADS": "8"}
    set_thread_budget(3, environ)
    assert (environ["OMP_NUM_THREADS"], environ["POLARS_MAX_THREADS"]) == ("3", "3")
    assert environ["OMP_WAIT_POLICY"] == "passive"
    assert environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is dt.UTC


def test_fixed_clock_stands_still_and_answers_in_utc() -> None:
    at = dt.datetime(2018, 2, 7, 16, 0, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert FixedClock(at).now() == dt.datetime(2018, 2, 7, 21, 0, tzinfo=dt.UTC)


def test_fixed_clock_refuses_a_time_without_zone() -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        FixedClock(dt.datetime(2018, 2, 7))  # noqa: DTZ001 -- that is the point


def test_peak_rss_is_that_of_a_python_process() -> None:
    assert 5 < peak_rss_mb() < 100_000
