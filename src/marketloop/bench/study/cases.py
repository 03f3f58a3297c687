"""The studies of the gate, one market at a time: what is asked, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketloop.bench.study.coverage import LENGTHS, covered, uncapped_covered
from marketloop.bench.study.looks import alarm_at, nights_of_proof, superior_at
from marketloop.bench.study.panels import (
    SCORES,
    WARMUP,
    Arena,
    autoregressive,
    plant,
    real_arena,
    simulated_arena,
)
from marketloop.bench.study.refits import HORIZON, refit
from marketloop.bench.study.series import forward_ic, one_session_ic
from marketloop.evaluation.gate import YEAR_SESSIONS, GatePolicy, Slot, Year
from marketloop.evaluation.intervals import z_of

__all__ = ["STUDIES", "Case", "Fact", "ic_per_strength", "signal_of"]

Array = NDArray[np.float64]

POLICY: Final = GatePolicy()
PERSISTENT: Final = 4
"""Persistent scores tried on one market; the other kinds are one each."""
MEMORY: Final = 0.9
FLIP: Final = 60
STEADY: Final = 63
SHARED: Final = ("momentum", "reversal", "volatility")
DRIFTERS: Final = ("constant bet", "long mean", "against the long mean")
DRIFT: Final = 0.0006
"""Standard deviation of the drifts of tickers, per session: 15 % a year."""


@dataclass(frozen=True, slots=True)
class Case:
    """What one study is asked of one market.

    Parameters
    ----------
    study : str
        Key of `STUDIES`.
    returns : ``simulated``, ``drifting`` (simulated, each ticker with a drift of its own), ``mirrored`` (real, exactly
        without signal) or ``blocks`` (real, as they were in blocks)
    tickers, horizon : int
    n0 : int
        Out-of-sample sessions at the first night.
    ic, strength : float
        Planted rank IC at the 5-session horizon, and what gives it.
    path : Path, optional
        File of real bars.
    """

    study: str
    seed: int
    returns: str = "simulated"
    tickers: int = 50
    horizon: int = 5
    n0: int = 600
    ic: float = 0.0
    strength: float = 0.0
    path: Path | None = None

    @property
    def name(self) -> str:
        """What stands in the table."""
        return f"{self.returns}, {self.tickers} tickers, {self.horizon} sessions, {self.n0} at first"

    def arena(self, terms: int) -> Arena:
        """Return the market, long enough for `terms` terms of ic1."""
        sessions = WARMUP + self.horizon + terms
        if self.returns == "drifting":
            return simulated_arena(sessions=sessions, tickers=self.tickers, seed=self.seed, drift=DRIFT)
        if self.returns == "simulated" or self.path is None:
            return simulated_arena(sessions=sessions, tickers=self.tickers, seed=self.seed)
        mirrored = self.returns == "mirrored"
        return real_arena(self.path, sessions=sessions, tickers=self.tickers, seed=self.seed, mirrored=mirrored)

    def rng(self, more: int = 0) -> np.random.Generator:
        """Return the case's own random numbers, apart from those of its market."""
        return np.random.default_rng([self.seed, self.tickers, self.horizon, more, 11])


@dataclass(frozen=True, slots=True)
class Fact:
    """One answer: of `study`, in the row `row`; 0 or 1 for what may happen, else a number."""

    study: str
    row: str
    value: float


def proofs(case: Case) -> Iterator[Fact]:
    """Ask of each worthless score whether a year of nights calls it skilled."""
    arena, rng = case.arena(case.n0 + YEAR_SESSIONS - 1), case.rng()
    kinds = ["persistent"] * PERSISTENT + [kind for kind in SHARED if case.returns != "blocks"]
    kinds += DRIFTERS if case.returns == "drifting" else ()
    for kind in kinds:
        x = one_session_ic(arena, SCORES[kind](arena, rng), case.horizon)
        proven = nights_of_proof(x, first=case.n0, policy=POLICY) is not None
        yield Fact("false proofs a year", f"{case.name}: {kind}", proven)


def slots(case: Case) -> Iterator[Fact]:
    """Ask whether either of two slots of a project is called skilled within a year."""
    arena, rng = case.arena(case.n0 + YEAR_SESSIONS + 15), case.rng(1)
    found = {}
    for scope, share in (("family", 1), ("project", 2)):
        policy = replace(POLICY, alpha_skill=POLICY.alpha_skill / share)
        rng = case.rng(1)
        series = [
            one_session_ic(arena, SCORES["persistent"](arena, rng), h)[: case.n0 + YEAR_SESSIONS - 1] for h in (5, 20)
        ]
        found[scope] = any(nights_of_proof(x, first=case.n0, policy=policy) is not None for x in series)
        yield Fact("two slots, a year", f'alpha_scope = "{scope}"', found[scope])


def further(case: Case) -> Iterator[Fact]:
    """Declare another worthless recipe at nights 83 and 166: count what the three claim together."""
    arena, rng = case.arena(case.n0 + YEAR_SESSIONS - 1), case.rng(2)
    claims = []
    for k, start in enumerate((0, 83, 166)):
        end = case.n0 + (83 if k < 2 else 84) + start - 1
        x = one_session_ic(arena, SCORES["persistent"](arena, rng), case.horizon)[:end]
        claims.append(nights_of_proof(x, first=case.n0 + start, policy=POLICY, slot=Slot(further=k)) is not None)
        yield Fact("further streams", f"stream {k} of the year", claims[-1])
    yield Fact("further streams", "any of the three", any(claims))


def restart(case: Case) -> Iterator[Fact]:
    """After an alarm the stream begins empty, as the slot's first further one, and its recipe has become worthless."""
    arena, rng = case.arena(3 * YEAR_SESSIONS), case.rng(3)
    for _ in range(PERSISTENT):
        x = one_session_ic(arena, SCORES["persistent"](arena, rng), case.horizon)
        # The alarm's own night is the first look; until the scores reach back far enough it sees no term.
        begun = Slot(year=Year.opened(-case.horizon, 0, POLICY, 1), further=1)
        at = nights_of_proof(x, first=1, policy=POLICY, slot=begun)
        for year in (1, 2, 3):
            # The first term comes when `horizon` sessions have been scored.
            within = at is not None and (year - 1) * YEAR_SESSIONS < at + case.horizon <= year * YEAR_SESSIONS
            yield Fact("restart after harm", f"proven in year {year} after the alarm", within)


def signal_of(case: Case, terms: int, turn: int | None = None) -> tuple[Arena, Array]:
    """Return a market with a planted signal and the signal as a score; it changes its sign before term `turn`."""
    arena, rng = case.arena(terms), case.rng(4)
    signal = autoregressive(arena.panel.returns.shape, MEMORY, rng)
    planted = signal.copy()
    if turn is not None:
        planted[WARMUP + case.horizon + turn - 1 :] *= -1
    return plant(arena, planted, case.strength), signal


def ic_per_strength(seeds: int = 12, *, tickers: int = 50) -> float:
    """Return the 5-session rank IC that a planted strength of 1 would have, were it linear; measured at 0.1."""
    found = []
    for seed in range(seeds):
        arena, signal = signal_of(Case("harm", 900_000 + seed, tickers=tickers, strength=0.1), 800)
        found.append(forward_ic(arena, signal, 5).mean())
    return float(np.mean(found)) / 0.1


def harm(case: Case) -> Iterator[Fact]:
    """Watch a champion for a year: one alone, and one whose reign began a window before."""
    for turn in (None, FLIP) if case.ic else (None,):
        steady = STEADY if turn is None else STEADY + FLIP
        arena, signal = signal_of(case, STEADY + YEAR_SESSIONS - 1, None if turn is None else steady)
        x = one_session_ic(arena, signal, case.horizon)
        row = f"rank IC {case.ic:g}" + ("" if turn is None else f", turned round at night {FLIP}")
        alone, reign = alarm_at(x[STEADY - 1 :], POLICY), alarm_at(x, POLICY)
        yield Fact("harm alarm a year", f"{row}: champion from night 0", alone is not None)
        yield Fact("harm alarm a year", f"{row}: reign that began before", reign is not None)
        if turn is not None and reign is not None and reign > steady:
            yield Fact("harm alarm, sessions after the turn", row, reign - steady)


def better(case: Case) -> Iterator[Fact]:
    """Compare a stream with a champion frozen on its way; neither knows anything."""
    fitted = refit(case.arena(1000), case.rng(5))
    stream, first = fitted.stream(), fitted.first
    x = fitted.series(stream, first)
    for night in (0, 126):
        session = 800 + night  # the champion knows every close through this one
        frozen = fitted.series(fitted.frozen(session), session + 1)[: YEAR_SESSIONS - night]
        end = session + 1 + HORIZON + len(frozen) - first - HORIZON
        d = x[end - len(frozen) : end] - frozen
        champion = session - first - HORIZON
        for refresh in (False, True):
            at = superior_at(x[:end], d, champion=champion, policy=POLICY, refresh=refresh)
            word = "refreshed from 63 sessions on" if refresh else "never refreshed"
            row = f"{case.returns}: champion of night {night}, {word}"
            yield Fact("called better a reign", row, at is not None)


def continuity(case: Case) -> Iterator[Fact]:
    """Measure how like its own stream an honest nightly refit is."""
    fitted = refit(case.arena(1000), case.rng(5))
    for session in range(800, 1050, 5):
        value = fitted.continuity(session)
        yield Fact("continuity", "value", value)
        yield Fact("continuity below 0.3", "nights", value < 0.3)


def coverage(case: Case) -> Iterator[Fact]:
    """Ask of the rank IC's interval whether it holds the truth: 0, or what was planted."""
    arena, signal = signal_of(case, max(LENGTHS) + 1)
    rng = case.rng(6)
    tried = [signal] if case.ic else [SCORES["persistent"](arena, rng) for _ in range(PERSISTENT)]
    for scores in tried:
        x = forward_ic(arena, scores, case.horizon)
        for n in LENGTHS:
            row = f"{case.horizon} sessions, rank IC {case.ic:g}, {n} values"
            for study, rule in (("coverage of 95 %", covered), ("coverage, cosines not capped", uncapped_covered)):
                inside = rule(x, n, case.horizon, case.ic)
                if inside is not None:
                    yield Fact(study, row, inside)


def overlap(case: Case) -> Iterator[Fact]:
    """Look every night at a mean of exactly zero over values that each reach over `horizon` sessions."""
    rng = case.rng(7)
    year = Year.opened(0, case.n0, POLICY, 0, overlap=case.horizon)
    for _ in range(PERSISTENT):
        noise = rng.standard_normal(case.n0 + YEAR_SESSIONS + case.horizon)
        x = lfilter(np.ones(case.horizon), [1.0], noise)[case.horizon :]
        proven = any(z_of(x[:n], case.horizon) >= year.z_star for n in range(year.n0, case.n0 + YEAR_SESSIONS))
        yield Fact("false proofs a year, overlapping values", f"{case.horizon} sessions, {case.n0} at first", proven)


STUDIES: Final[Mapping[str, Callable[[Case], Iterator[Fact]]]] = {
    "proofs": proofs,
    "slots": slots,
    "further": further,
    "restart": restart,
    "harm": harm,
    "better": better,
    "continuity": continuity,
    "coverage": coverage,
    "overlap": overlap,
}
