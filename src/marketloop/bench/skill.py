"""How often skill is claimed where there is none, and found where it was planted, on simulated markets."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from marketloop.bench.counts import Count
from marketloop.bench.simulated import Finding, examine_market
from marketloop.core.errors import UsageError
from marketloop.data.synthetic import MarketSpec
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.threads import set_thread_budget

__all__ = ["FIRST_UNSEEN", "markets", "run"]

FIRST_UNSEEN = 9000
"""First of the seeds that nobody looked at while the product was built."""
SESSIONS = 1250
TICKERS_NOISE, TICKERS_SIGNAL = 50, 100
USUAL_LEVEL = 0.05


def run(
    *,
    seeds: int = 100,
    workers: int = 2,
    first_seed: int = FIRST_UNSEEN,
    signal_ic: float = 0.05,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Count claims of skill on `seeds` markets without signal and on as many with a planted one.

    Parameters
    ----------
    seeds : int, at least 1
        Markets of each sort (`markets` says which).
    workers : int, at least 1
        Processes; each examines one market at a time with one thread.
    first_seed : int, at least 0
        Seeds ``first_seed .. first_seed + seeds - 1`` have no signal, the next `seeds` have one.
    signal_ic : float, above 0 to 0.3
        Planted rank IC at the 5-session horizon.
    on_progress : function of (done, total, what), optional

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``, and each market's row
        under ``markets``. `peer` is the usual test, log loss against class shares at 5 %, on the same predictions.

    Raises
    ------
    UsageError
        An argument is out of range.
    """
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: expected at least 1 market of each sort")
    if not 0 < signal_ic <= 0.3:
        raise UsageError(f"signal_ic = {signal_ic}: expected a rank IC above 0 and at most 0.3")
    specs = markets(seeds=seeds, first_seed=first_seed, signal_ic=signal_ic)

    def tell(position: int, finding: Finding) -> None:
        if on_progress is not None:
            on_progress(position + 1, len(specs), f"seed {finding.seed}, {finding.kind}: z {finding.z:.2f}")

    set_thread_budget()  # before workers start: they read it at their imports
    started = time.perf_counter()
    found = parallel_map(examine_market, specs, workers=workers, threads=workers, on_result=tell)
    return {
        "name": "skill",
        "rows": sum(spec.tickers * spec.sessions for spec in specs),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(max(peak_rss_mb(), *(finding.peak_rss_mb for finding in found))),
        "figures": _figures(found, signal_ic),
        "peer": _peer(found),
        "markets": [finding.document() for finding in found],
    }


def markets(*, seeds: int, first_seed: int, signal_ic: float) -> list[MarketSpec]:
    """Return the markets of a run: first those without signal, then the planted ones.

    All have 1,250 sessions. Without signal: 50 tickers; GARCH volatility and t5 shocks for even seeds, a random walk of
    constant volatility with normal shocks for odd ones. Planted: 100 tickers, GARCH.
    """
    last_noise = first_seed + seeds
    noise = [
        MarketSpec(tickers=TICKERS_NOISE, sessions=SESSIONS, seed=seed)
        if seed % 2 == 0
        else MarketSpec(tickers=TICKERS_NOISE, sessions=SESSIONS, seed=seed, volatility="constant", shocks="normal")
        for seed in range(first_seed, last_noise)
    ]
    planted = [
        MarketSpec(tickers=TICKERS_SIGNAL, sessions=SESSIONS, seed=seed, planted_ic=signal_ic)
        for seed in range(last_noise, last_noise + seeds)
    ]
    return noise + planted


def _figures(found: Sequence[Finding], signal_ic: float) -> dict[str, Any]:
    noise = [finding for finding in found if finding.kind != "planted"]
    planted = [finding for finding in found if finding.kind == "planted"]
    return {
        "boundary": {"z_star_low": _low(found, "z_star"), "z_star_high": _high(found, "z_star")},
        "no_signal": {
            "claims_of_skill": _claims(noise),
            "garch": _claims([finding for finding in noise if finding.kind == "garch"]),
            "random_walk": _claims([finding for finding in noise if finding.kind == "random walk"]),
            **_summary(noise),
        },
        "planted": {"rank_ic_planted": signal_ic, "skill_found": _claims(planted), **_summary(planted)},
    }


def _claims(found: Sequence[Finding]) -> dict[str, Any]:
    return Count(sum(finding.proven for finding in found), len(found)).document()


def _summary(found: Sequence[Finding]) -> dict[str, Any]:
    nominees: Counter[str] = sum((finding.nominees for finding in found), Counter())
    blocks = nominees.total()
    return {
        "mean_rank_ic": round(statistics.fmean(finding.rank_ic for finding in found), 4),
        "mean_true_rank_ic": round(statistics.fmean(finding.true_rank_ic for finding in found), 4),
        "mean_z": round(statistics.fmean(finding.z for finding in found), 3),
        "sessions": [min(finding.sessions for finding in found), max(finding.sessions for finding in found)],
        "nominees": {name: round(count / blocks, 3) for name, count in nominees.most_common()},
        "cpu_seconds_per_market": round(statistics.median(finding.cpu_seconds for finding in found), 2),
    }


def _peer(found: Sequence[Finding]) -> dict[str, Any]:
    usual = [finding.log_loss_p <= USUAL_LEVEL for finding in found]
    noise = [hit for hit, finding in zip(usual, found, strict=True) if finding.kind != "planted"]
    planted = [hit for hit, finding in zip(usual, found, strict=True) if finding.kind == "planted"]
    return {
        "name": "log loss against class shares, one-sided 5 %, on the same predictions",
        "no_signal": Count(sum(noise), len(noise)).document(),
        "planted": Count(sum(planted), len(planted)).document(),
    }


def _low(found: Sequence[Finding], name: str) -> float:
    return round(min(float(getattr(finding, name)) for finding in found), 3)


def _high(found: Sequence[Finding], name: str) -> float:
    return round(max(float(getattr(finding, name)) for finding in found), 3)
