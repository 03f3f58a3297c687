"""The markets that honesty is measured on: those without a signal, and those with a planted one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from marketloop.bench.ground import Ground, ground_of
from marketloop.bench.shuffled import shuffled_ground
from marketloop.core.errors import UsageError
from marketloop.data.synthetic import MarketSpec, simulate

__all__ = ["KINDS", "SESSIONS", "Kind", "Scale"]

Truth = Literal["no signal", "unknown", "planted"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a market is: tickers, and sessions before and through the year of nights."""

    tickers: int
    sessions: int


NOISE: Final = Scale(50, 1060)
"""272 sessions of warm-up, 250 or more of training, 250 or more for the first look, and 250 nights."""
SIGNAL: Final = Scale(100, 1260 + 250)
"""Five years before the first look, then a year of nights."""
SESSIONS: Final = Scale(10, 1260 + 250)
"""For families with one row per session, which learn from the index alone: the same years, and few tickers."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of market.

    Parameters
    ----------
    truth : ``no signal``, ``unknown`` or ``planted``
        ``unknown`` where something real may be left, so that a claim of skill need not be false.
    build : function (seed, scale, file of real bars) -> Ground
    real : bool
        Whether it needs the file.
    steady : bool
        Whether every session is drawn alike. Where volatility clusters instead, regimes can be foretold by it, so that
        a claim about regimes need not be false.
    """

    name: str
    truth: Truth
    scale: Scale
    build: Callable[[int, Scale, Path | None], Ground]
    real: bool = False
    steady: bool = False
    description: str = ""


def _simulated(name: str, truth: Truth, scale: Scale, description: str, **options: Any) -> Kind:
    def build(seed: int, scale: Scale, file: Path | None) -> Ground:
        del file
        return ground_of(simulate(MarketSpec(tickers=scale.tickers, sessions=scale.sessions, seed=seed, **options)))

    return Kind(name, truth, scale, build, steady=options.get("volatility") == "constant", description=description)


def _real(name: str, truth: Truth, *, block: int, mirrored: bool, description: str) -> Kind:
    def build(seed: int, scale: Scale, file: Path | None) -> Ground:
        if file is None:
            raise UsageError(f"the markets {name} are made of real bars: name a file of them with --real-file")
        return shuffled_ground(
            file, seed=seed, tickers=scale.tickers, sessions=scale.sessions, block=block, mirrored=mirrored
        )

    return Kind(name, truth, NOISE, build, real=True, steady=block == 1, description=description)


def _kinds() -> tuple[Kind, ...]:
    return (
        _simulated(
            "random_walk",
            "no signal",
            NOISE,
            "one factor and ten sectors, constant volatility, normal shocks",
            volatility="constant",
            shocks="normal",
        ),
        _simulated("garch", "no signal", NOISE, "GARCH(1,1) on the factor and on every name, t5 shocks"),
        _real(
            "mirrored",
            "no signal",
            block=1,
            mirrored=True,
            description="real sessions one by one in another order, random signs",
        ),
        _real(
            "mirrored_blocks",
            "no signal",
            block=20,
            mirrored=True,
            description="real sessions in shuffled blocks of 20, random signs: volatility still clusters",
        ),
        _real("shuffled", "unknown", block=1, mirrored=False, description="real sessions one by one in another order"),
        _real("shuffled_blocks", "unknown", block=20, mirrored=False, description="real sessions in blocks of 20"),
        *(
            _simulated(f"planted_{round(100 * ic):02d}", "planted", SIGNAL, f"rank IC {ic} planted", planted_ic=ic)
            for ic in (0.02, 0.03, 0.05)
        ),
        *(
            _simulated(
                f"interaction_{round(100 * ic):02d}",
                "planted",
                SIGNAL,
                f"rank IC {ic} planted in a product of two quantities",
                planted_ic=ic,
                interaction=True,
            )
            for ic in (0.03, 0.05)
        ),
    )


KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _kinds()}
"""Kinds of markets by name."""
