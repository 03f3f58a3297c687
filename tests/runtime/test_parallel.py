from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.runtime.parallel import parallel_map, parallel_mapper, threaded_map

pytestmark = pytest.mark.xdist_group("parallel")


def functions() -> SimpleNamespace:
    """Functions made on the spot: workers get them by value, because they cannot import this file."""

    def square(value: int) -> int:
        return value * value

    def budget(_: int) -> tuple[str | None, str | None]:
        return os.environ.get("POLARS_MAX_THREADS"), os.environ.get("OMP_NUM_THREADS")

    def refuse(value: int) -> int:
        raise RefusedError(f"no {value}")

    def die(value: int) -> int:
        os._exit(value)

    return SimpleNamespace(square=square, budget=budget, refuse=refuse, die=die)


F = functions()


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_map_returns_results_in_order_and_reports_each(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    found = parallel_map(F.square, range(5), workers=workers, on_result=lambda i, r: seen.append((i, r)))
    assert found == [0, 1, 4, 9, 16]
    assert seen == list(enumerate(found))


def test_parallel_map_runs_in_this_process_with_one_worker() -> None:
    assert parallel_map(lambda _: os.getpid(), [0], workers=1) == [os.getpid()]


def test_parallel_map_gives_each_worker_its_share_of_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "7")
    assert parallel_map(F.budget, [0, 1], workers=2, threads=6) == [("3", "3")] * 2
    assert os.environ["POLARS_MAX_THREADS"] == "7"


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_map_passes_on_the_error_of_the_function(workers: int) -> None:
    with pytest.raises(RefusedError, match="no 1"):
        parallel_map(F.refuse, [1, 1], workers=workers)


def test_parallel_map_says_so_when_a_worker_dies() -> None:
    with pytest.raises(FailedError, match="one of 2 worker processes died"):
        parallel_map(F.die, [1, 1], workers=2)


def test_parallel_map_of_nothing_is_nothing() -> None:
    assert parallel_map(F.square, [], workers=2) == []


def test_parallel_map_refuses_no_workers() -> None:
    with pytest.raises(UsageError, match="workers = 0: expected at least 1"):
        parallel_map(F.square, [1], workers=0)


def test_parallel_mapper_has_the_shape_of_map() -> None:
    pmap = parallel_mapper(workers=1)
    assert list(pmap(F.square, [3])) == list(map(F.square, [3]))


def test_threaded_map_keeps_the_order_and_works_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(item: int) -> tuple[int, bool]:
        both.wait()
        return item, threading.current_thread() is threading.main_thread()

    assert list(threaded_map(meet, range(6), workers=2)) == [(n, False) for n in range(6)]


def test_threaded_map_of_one_worker_stays_in_its_thread_and_is_lazy() -> None:
    begun: list[int] = []

    def where(item: int) -> threading.Thread:
        begun.append(item)
        return threading.current_thread()

    results = threaded_map(where, range(3), workers=1)
    assert next(results) is threading.current_thread()
    assert begun == [0]


def test_threaded_map_begins_nothing_more_after_an_error() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ValueError("item 1")
        return item

    with pytest.raises(ValueError, match="item 1"):
        list(threaded_map(work, range(1000), workers=2))
    assert len(begun) < 20


def test_threaded_map_reads_its_items_only_a_little_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1000):
            read.append(n)
            yield n

    results = threaded_map(abs, items(), workers=2)
    assert next(results) == 0
    assert len(read) <= 5
    results.close()
