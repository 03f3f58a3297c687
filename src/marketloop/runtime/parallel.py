"""The one parallel seam: a map over processes, in order, each with its share of the threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.threads import BUDGET_VARIABLES, cores

__all__ = ["parallel_map", "parallel_mapper", "threaded_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    threads: int | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Apply `function` to each of `items` and return the results in the order of the items.

    Parameters
    ----------
    function : function of one item
        With several workers it travels to other processes, so it must not depend on open files or connections.
    workers : int, at least 1
        Processes; 1 runs in this process.
    threads : int, optional
        Threads that all workers share; each gets its part. All cores of the machine by default.
    on_result : function of (position, result), optional
        Called in this process, in order, as results arrive.

    Raises
    ------
    FailedError
        A worker process died. An error raised by `function` itself is passed on as it is.
    """
    if workers < 1:
        raise UsageError(f"workers = {workers}: expected at least 1")
    todo: Sequence[Item] = list(items)
    workers = min(workers, len(todo))
    if workers <= 1:
        return _collect(map(function, todo), on_result)
    share = max(1, (threads or cores()) // workers)
    try:
        with _budget(share), joblib.parallel_config(backend="loky", inner_max_num_threads=share):
            running = joblib.Parallel(n_jobs=workers, return_as="generator")(joblib.delayed(function)(i) for i in todo)
            return _collect(running, on_result)
    except TerminatedWorkerError as error:
        raise FailedError(
            f"one of {workers} worker processes died, most often for want of memory: lower [compute] threads"
        ) from error


def parallel_mapper(*, workers: int, threads: int | None = None) -> Callable[..., list[Result]]:
    """Return `parallel_map` in the shape of the built-in ``map``: a function of (function, items).

    Quiet rooms take it as their argument ``pmap``.
    """
    return partial(parallel_map, workers=workers, threads=threads)


def threaded_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Generator[Result, None, None]:
    """Apply `function` to each of `items` on threads of this process; yield the results in the order of the items.

    For work that shares large arrays and leaves the interpreter to others most of the time (fits of trees). Nothing is
    begun more than a few items ahead; after an error nothing more is begun.
    """
    waiting = iter(items)
    workers = cores() if workers is None else workers
    if workers <= 1:
        yield from map(function, waiting)
        return
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="map") as pool:
        try:
            running.extend(pool.submit(function, item) for item in islice(waiting, 2 * workers))
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(function, item) for item in islice(waiting, 1))
        finally:
            for future in running:
                future.cancel()


def _collect(results: Iterable[Result], on_result: Callable[[int, Result], None] | None) -> list[Result]:
    done: list[Result] = []
    for position, result in enumerate(results):
        done.append(result)
        if on_result is not None:
            on_result(position, result)
    return done


@contextmanager
def _budget(share: int) -> Iterator[None]:
    """Let processes that start in the block see `share` threads; libraries read these names once, at their import."""
    before = {name: os.environ.get(name) for name in BUDGET_VARIABLES}
    os.environ.update(dict.fromkeys(BUDGET_VARIABLES, str(share)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
