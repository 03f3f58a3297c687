from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.runtime.parallel import parallel_map, parallel_mapper

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
