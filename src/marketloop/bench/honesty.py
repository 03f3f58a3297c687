"""How often a year of nights claims skill where there is none, and how soon it finds skill that was planted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from marketloop.bench.kinds import KINDS, SESSIONS
from marketloop.bench.nights import bench_house, play_year
from marketloop.bench.yearbook import append_line, figures_of, read_lines
from marketloop.core.errors import UsageError, unknown_name
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.threads import set_thread_budget

__all__ = ["FIRST_SEED", "Job", "jobs_of", "run"]

FIRST_SEED: Final = 20_000
"""First of the seeds that nobody looked at while the product was built."""
FAMILIES: Final = ("price_predictor", "momentum_ranker")
NO_SIGNAL: Final = ("random_walk", "garch", "mirrored", "mirrored_blocks")
REAL_FILE: Final = Path("../shared/data/sp500_daily_2013_2018.parquet")


@dataclass(frozen=True, slots=True)
class Job:
    """One market with the families that are to play a year on it."""

    kind: str
    seed: int
    families: tuple[str, ...]
    real_file: Path | None


def run(
    *,
    seeds: int = 20,
    kinds: Sequence[str] = NO_SIGNAL,
    families: Sequence[str] = FAMILIES,
    workers: int = 2,
    first_seed: int = FIRST_SEED,
    out: Path | None = None,
    real_file: Path | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Play a year of nights on `seeds` markets of each kind.

    Parameters
    ----------
    seeds : int, at least 0
        Seeds ``first_seed .. first_seed + seeds - 1`` of each kind; 0 only counts what `out` holds.
    kinds : names of `KINDS`
    families : names of families
        ``momentum_ranker:rank_ridge`` restricts the recipes that are nominated among.
    workers : int, at least 1
        Processes; each plays one market at a time with one thread.
    out : Path, optional
        A file to which every market adds a line as soon as it is played; what it holds already is not played again.
    real_file : Path, optional
        Parquet file of real daily bars, for the kinds that are made of them; without one they are passed over and it
        is said.

    Returns
    -------
    dict
        The document of ``marketloop bench``; `figures` count every line of `out`, or what was played without one.

    Raises
    ------
    UsageError
        A kind or family is unknown, or a line of `out` cannot be read.
    """
    jobs, skipped = jobs_of(kinds, families, seeds=range(first_seed, first_seed + seeds), real_file=real_file)
    played = read_lines(out)
    missing = _missing(jobs, played)

    def keep(position: int, line: dict[str, Any]) -> None:
        played.append(line)
        if out is not None:
            append_line(out, line)
        if on_progress is not None:
            on_progress(position + 1, len(missing), f"{line['kind']} {line['seed']}: {_claims(line)}")

    set_thread_budget(1)  # before workers start: they read it at their imports
    started = time.perf_counter()
    parallel_map(_play, missing, workers=workers, threads=workers, on_result=keep)
    return {
        "name": "honesty",
        "rows": sum(line["rows"] for line in played),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(max([peak_rss_mb(), *(line["peak_rss_mb"] for line in played)])),
        "figures": {"skipped": skipped, **figures_of(played)},
        "peer": {},
    }


def jobs_of(
    kinds: Iterable[str], families: Sequence[str], *, seeds: range, real_file: Path | None
) -> tuple[list[Job], list[str]]:
    """Return a job per seed and kind, the kinds taking turns, and what was passed over, in words."""
    if seeds.start < 0:
        raise UsageError(f"the first seed is {seeds.start}: expected at least 0")
    chosen = list(kinds)
    for name in chosen:
        if name not in KINDS:
            raise unknown_name("kind of market", name, KINDS)
    catalog = bench_house().catalog
    for name in families:
        catalog.family(name.partition(":")[0])
    file = real_file if real_file is not None else (REAL_FILE if REAL_FILE.is_file() else None)
    skipped = [name for name in chosen if KINDS[name].real and file is None]
    playable = [name for name in chosen if name not in skipped]
    file = None if file is None else file.absolute()
    jobs = [Job(name, seed, tuple(families), file) for seed in seeds for name in playable]
    return jobs, [f"{name}: no file of real bars (--real-file)" for name in skipped]


def _missing(jobs: Iterable[Job], played: Iterable[dict[str, Any]]) -> list[Job]:
    done = {(line["kind"], line["seed"], family) for line in played for family in line["families"]}
    left = (
        Job(job.kind, job.seed, tuple(f for f in job.families if (job.kind, job.seed, f) not in done), job.real_file)
        for job in jobs
    )
    return [job for job in left if job.families]


def _play(job: Job) -> dict[str, Any]:
    """Play one market; the catalog is built here, so this function may run in another process."""
    began = time.process_time()
    kind, house = KINDS[job.kind], bench_house()
    rows = 0
    found: dict[str, Any] = {}
    for unit, scale in (("ticker", kind.scale), ("session", SESSIONS)):
        asked = tuple(f for f in job.families if house.catalog.family(f.partition(":")[0]).unit == unit)
        if asked:
            ground = kind.build(job.seed, scale, job.real_file)
            rows += len(ground.bars)
            found |= play_year(house, ground, asked)
    return {
        "kind": job.kind,
        "seed": job.seed,
        "rows": rows,
        "cpu_seconds": round(time.process_time() - began, 2),
        "peak_rss_mb": round(peak_rss_mb()),
        "families": found,
    }


def _claims(line: dict[str, Any]) -> str:
    nights = {name: found["proven_night"] for name, found in line["families"].items()}
    return ", ".join(f"{name} {'-' if night is None else f'night {night}'}" for name, night in nights.items())
