"""Scans for drift on markets whose truth is known: false alarms where nothing changed, alarms where something did."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketloop.bench.counts import Count
from marketloop.bench.ground import Prepared, ground_of
from marketloop.core.errors import UsageError
from marketloop.core.strategy import StrategyConfig
from marketloop.core.values import Matrix
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.loop.house import House
from marketloop.loop.plugins import build_catalog
from marketloop.loop.preparing import choose
from marketloop.monitoring import FeatureScan, adjusted, scan_features
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.project import Project
from marketloop.runtime.settings import load_settings
from marketloop.runtime.threads import set_thread_budget

__all__ = ["FIRST_UNSEEN", "run", "slow_panel"]

FIRST_UNSEEN: Final = 20_000
"""First of the seeds that nobody looked at while the scan was built."""
TICKERS, SESSIONS, WINDOW = 25, 1250, 20
KINDS: Final = ("garch", "random_walk", "regimes", "volatile", "ar1")
SHIFTED: Final = ("volume_spike", "rsi", "ret_20", "ret_60")
"""Features that a shift is planted in, from quick to slow."""
SHIFTS: Final = (0.5, 1.0, 2.0)
PERSISTENCE: Final = (0.0, 0.5, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
ALPHA: Final = 0.05
PEER: Final = {
    "evidently_0.7.23_default_s": [8, 17],
    "scipy_alone_s": [0.08, 0.24],
    "evidently_false_alarms": "30 of 30",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One market to scan: `kind` is one of `KINDS`."""

    kind: str
    seed: int
    shifts: bool = False
    tickers: int = TICKERS
    sessions: int = SESSIONS


@dataclass(frozen=True, slots=True)
class Heard:
    """What the scan of one market said.

    Parameters
    ----------
    level : str
    drifted : names of the features that drifted
    told : float
        Share of the features of which it can be told.
    usual : bool
        Whether the two-sample KS test on the same rows, adjusted by Benjamini and Hochberg, called drift.
    found : mapping of planted shift, in sd, to the names that were found among `SHIFTED`
    rows : int
    seconds : float
        Of the scan alone.
    """

    kind: str
    seed: int
    level: str
    drifted: tuple[str, ...]
    told: float
    usual: bool
    found: dict[str, tuple[str, ...]]
    rows: int
    seconds: float


def run(
    *,
    seeds: int = 200,
    workers: int = 2,
    first_seed: int = FIRST_UNSEEN,
    kinds: Sequence[str] | None = None,
    out: Path | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Scan `seeds` markets of each kind, and 10,000 rows of 75 features against the clock.

    Parameters
    ----------
    seeds : int, at least 1
        Markets of a kind; of ``regimes`` and ``volatile`` a quarter as many.
    kinds : sequence of str, optional
        ``garch`` and ``random_walk`` are stationary, 1,250 sessions of 25 tickers with all features of `extended`;
        ``ar1`` are 75 made-up features of any persistence, alone or moved by one factor; ``regimes`` switch the
        market's volatility now and then for good reason; in ``volatile`` volatility rises by half 20 sessions before
        the end. All by default.
    out : path, optional
        A line per market goes there as it is scanned; a run goes on where an earlier one of the same file stopped.

    Returns
    -------
    dict
        The document of ``marketloop bench``: counts of scans that said anything, with Wilson's interval.

    Raises
    ------
    UsageError
        An argument is out of range.
    """
    chosen = tuple(kinds or KINDS)
    unknown = [kind for kind in chosen if kind not in KINDS]
    if seeds < 1 or unknown:
        raise UsageError(f"bench drift: {seeds} seeds of {', '.join(chosen)}: at least 1 of {', '.join(KINDS)}")
    asks = [
        Ask(kind, first_seed + n, shifts=kind == "garch" and n % 4 == 0)
        for kind in chosen
        for n in range(max(1, seeds // 4) if kind in {"regimes", "volatile"} else seeds)
    ]

    done = _read(out)
    todo = [ask for ask in asks if (ask.kind, ask.seed) not in done]

    def tell(position: int, heard: Heard) -> None:
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(asdict(heard)) + "\n")
        if on_progress is not None:
            on_progress(position + 1, len(todo), f"{heard.kind}: {heard.level}")

    set_thread_budget()
    started = time.perf_counter()
    fresh = parallel_map(scan_market, todo, workers=workers, threads=workers, on_result=tell)
    found = [*done.values(), *fresh]
    figures: dict[str, Any] = {kind: _figures([h for h in found if h.kind == kind]) for kind in chosen}
    figures["scan_10000_x_75"] = clocked()
    return {
        "name": "drift",
        "rows": sum(heard.rows for heard in found),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": figures,
        "peer": dict(PEER),
    }


def scan_market(ask: Ask) -> Heard:
    """Scan the last 20 sessions of one market against all before."""
    matrix = slow_panel(ask.seed) if ask.kind == "ar1" else _market(ask)
    sessions = np.unique(matrix.session)
    late = matrix.session >= sessions[-WINDOW]
    reference, recent = matrix.take(~late), matrix.take(late)
    began = time.perf_counter()
    scan = scan_features(reference, recent)
    seconds = time.perf_counter() - began
    planted = {f"{size:g}": _planted(reference, recent, size) for size in SHIFTS} if ask.shifts else {}
    return Heard(
        kind=ask.kind,
        seed=ask.seed,
        level=scan.level,
        drifted=tuple(feature.name for feature in scan.drifted) + _broken(scan),
        told=sum(feature.p_adjusted is not None for feature in scan.features) / len(scan.features),
        usual=_usual(scan, len(reference), len(recent)),
        found=planted,
        rows=len(matrix),
        seconds=seconds,
    )


def slow_panel(seed: int, *, features: int = 75, sessions: int = 1000, tickers: int = 10) -> Matrix:
    """Return made-up features without drift: AR(1) levels that all tickers share, and noise of their own.

    Persistence is drawn per feature from `PERSISTENCE`; a share of the level, which is none, half or nearly all of it,
    comes from one factor of each persistence.
    """
    rng = np.random.default_rng([seed, 7])
    which = rng.integers(len(PERSISTENCE), size=features)
    total, common, loud = sessions + WINDOW, rng.choice([0.0, 0.5, 0.95]), rng.choice([0.3, 1.0, 3.0])
    factors = np.column_stack([_autoregressive(rng, total, phi, 1)[:, 0] for phi in PERSISTENCE])
    own = np.column_stack([_autoregressive(rng, total, PERSISTENCE[n], 1)[:, 0] for n in which])
    level = loud * (np.sqrt(common) * factors[:, which] + np.sqrt(1 - common) * own)
    X = (level[:, None, :] + rng.normal(size=(total, tickers, features))).reshape(-1, features)
    return _matrix(X.astype(np.float32), np.repeat(np.arange(total), tickers), tickers)


def _read(out: Path | None) -> dict[tuple[str, int], Heard]:
    if out is None or not out.is_file():
        return {}
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = [Heard(**{**row, "drifted": tuple(row["drifted"])}) for row in rows]
    return {(heard.kind, heard.seed): heard for heard in found}


def clocked(*, repeats: int = 5) -> dict[str, float]:
    """Return the median seconds of a scan of 10,000 rows x 75 features: 40 tickers, 230 sessions and 20 recent ones."""
    matrix = slow_panel(0, sessions=230, tickers=40)
    late = matrix.session >= 230
    reference, recent = matrix.take(~late), matrix.take(late)
    wall, cpu = [], []
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        scan_features(reference, recent)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"median_s": round(statistics.median(wall), 3), "cpu_median_s": round(statistics.median(cpu), 3)}


def _market(ask: Ask) -> Matrix:
    laws: dict[str, dict[str, Any]] = {
        "random_walk": {"volatility": "constant", "shocks": "normal"},
        "regimes": {"regimes": True},
        "volatile": {"drift_at": ask.sessions - WINDOW, "drift": "features"},
    }
    settings = load_settings(None, environ={}, flags={"compute.threads": 1})
    house = House(Project(Path()), settings, build_catalog(StrategyConfig()))  # makes and reads no files
    spec = MarketSpec(tickers=ask.tickers, sessions=ask.sessions, seed=ask.seed, **laws.get(ask.kind, {}))
    matrix = Prepared(house, ground_of(simulate(spec))).matrix(choose(house, "price_predictor"))
    known = [name for at, name in enumerate(matrix.names) if np.isfinite(matrix.X[:, at]).any()]
    return matrix.select(known)


def _planted(reference: Matrix, recent: Matrix, size: float) -> tuple[str, ...]:
    """Return the features that are called drifted among those whose recent values were moved by `size` sd."""
    at = [recent.names.index(name) for name in SHIFTED]
    X = recent.X.copy()
    X[:, at] += size * np.nanstd(reference.X[:, at], axis=0)
    scan = scan_features(reference, replace(recent, X=X))
    return tuple(feature.name for feature in scan.drifted if feature.name in SHIFTED)


def _usual(scan: FeatureScan, reference: int, recent: int) -> bool:
    """Say whether the two-sample Kolmogorov-Smirnov test, which takes rows for independent, calls drift."""
    effective = reference * recent / (reference + recent)
    p = [
        min(1.0, 2 * float(np.exp(-2 * effective * feature.ks**2)))
        for feature in scan.features
        if feature.ks is not None
    ]
    return bool(adjusted(np.array(p)).min() <= ALPHA)


def _broken(scan: FeatureScan) -> tuple[str, ...]:
    shift = scan.correlation
    return ("correlations",) if shift is not None and (shift.p_adjusted or 1.0) <= ALPHA else ()


def _autoregressive(rng: np.random.Generator, total: int, phi: float, count: int) -> NDArray[np.float64]:
    burn = 2000
    noise = rng.standard_normal((total + burn, count)) * np.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=0)[burn:])


def _matrix(X: NDArray[np.float32], session: NDArray[np.intp], tickers: int) -> Matrix:
    n, k = X.shape
    unknown = np.full(n, np.nan, np.float32)
    none = np.zeros((0, k), np.float32)
    return Matrix(
        X=X,
        names=tuple(f"f{at:02d}" for at in range(k)),
        session=session.astype(np.int32),
        ticker=np.tile(np.arange(tickers, dtype=np.int32), n // tickers),
        tickers=tuple(f"T{at:03d}" for at in range(tickers)),
        label=unknown,
        target=unknown,
        known_on=np.full(n, np.iinfo(np.int32).max, np.int32),
        weight=np.ones(n, np.float32),
        missing=none,
        missing_sessions=np.zeros(0, np.int32),
        missing_rows=np.zeros(0, np.int32),
    )


def _figures(found: Sequence[Heard]) -> dict[str, Any]:
    names = [name for heard in found for name in heard.drifted]
    figures: dict[str, Any] = {
        "alarms": Count(sum(bool(heard.drifted) for heard in found), len(found)).document(),
        "high": Count(sum(heard.level == "High" for heard in found), len(found)).document(),
        "usual_test_alarms": Count(sum(heard.usual for heard in found), len(found)).document(),
        "features_per_scan": round(len(names) / len(found), 2),
        "most_often": {name: names.count(name) for name in sorted(set(names), key=names.count, reverse=True)[:6]},
        "told": round(statistics.fmean(heard.told for heard in found), 3),
        "scan_s": round(statistics.median(heard.seconds for heard in found), 2),
    }
    planted = [heard.found for heard in found if heard.found]
    if planted:
        figures["shift_found"] = {
            f"{size:g}_sd": {
                n: Count(sum(n in f[f"{size:g}"] for f in planted), len(planted)).document() for n in SHIFTED
            }
            for size in SHIFTS
        }
    return figures
