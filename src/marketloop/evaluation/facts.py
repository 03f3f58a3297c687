"""What the gate is given and what it gives back: its numbers, the slot's ledger, tonight's evidence, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from marketloop.core.catalog import Check
from marketloop.evaluation.boundary import constant_boundary
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["YEAR_SESSIONS", "ChampionFacts", "Evidence", "GatePolicy", "Slot", "Verdict", "VerdictName", "Year"]

VerdictName = Literal["promoted", "provisional", "refused"]
YEAR_SESSIONS = 250
LEAST_OVERLAPS = 25
"""Spans of an overlapping series before its first look: with fewer its z is too rough for the boundary (ADR 0007)."""


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """The numbers of ``[gate]``.

    Parameters
    ----------
    alpha_skill : float
        Probability per slot and year of calling a worthless recipe skilled.
    alpha_better : float
        Probability of calling an equal challenger better, over a champion's whole reign.
    min_skill_sessions, min_pair_sessions : int
        Fewest terms before the skill test and the comparison with a champion may speak.
    refresh_age : int
        Sessions after which a champion may be replaced by an equal.
    z_refresh : float
        The comparison must not be worse than this for a refresh.
    harm_window : int
        Newest terms of a champion's live series that the harm alarm reads.
    z_harm : float
        At or below this the alarm rings.
    """

    alpha_skill: float = 0.025
    alpha_better: float = 0.025
    min_skill_sessions: int = 250
    min_pair_sessions: int = 40
    refresh_age: int = 63
    z_refresh: float = -1.28
    harm_window: int = 63
    z_harm: float = -3.1


@dataclass(frozen=True, slots=True)
class Year:
    """One stream's entry in the slot's ledger of looks: fixed when it is opened, whatever happens later."""

    start: int
    n0: int
    alpha: float
    k: int
    z_star: float

    @classmethod
    def opened(cls, session: int, n: int, policy: GatePolicy, k: int, *, overlap: int = 1) -> Year:
        """Open a year at `session` with `n` terms seen; the `k`-th further stream of the year gets less alpha."""
        n0 = max(n, policy.min_skill_sessions, LEAST_OVERLAPS * overlap if overlap > 1 else 0)
        alpha = policy.alpha_skill if k == 0 else policy.alpha_skill / 2 ** (k + 1)
        return cls(session, n0, alpha, k, constant_boundary(alpha, (n0 + YEAR_SESSIONS) / n0))

    def covers(self, session: int) -> bool:
        """Say whether `session` still belongs to this year."""
        return session - self.start < YEAR_SESSIONS


@dataclass(frozen=True, slots=True)
class Slot:
    """What the ledger knows of a (family, configuration key) before tonight's look.

    Parameters
    ----------
    year : Year, optional
        Newest entry of this stream.
    proven : bool
        Whether this stream's skill is proven and not lost.
    further : int
        Other streams of the slot whose entries of the last 250 sessions were opened before this stream's first.
    reign : int
        Promotions for being better than a *proven* champion since the slot's year began, of all its streams.
    """

    year: Year | None = None
    proven: bool = False
    further: int = 0
    reign: int = 0


@dataclass(frozen=True, slots=True)
class ChampionFacts:
    """The champion as the gate sees it.

    Parameters
    ----------
    version : int
    provisional : bool
    trained_through : int
        Last session whose close it knew.
    returned : int, optional
        Newest session that was known when it came back by a rollback: what spoke against it until then has been heard.
    """

    version: int
    provisional: bool
    trained_through: int
    returned: int | None = None

    def age(self, session: int) -> int:
        """Return for how many sessions it has been right to leave it as it is: since its training, or its return."""
        return session - max(self.trained_through, self.returned or self.trained_through)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Tonight's figures.

    Parameters
    ----------
    session : int
        The session at whose close the gate decides.
    x : SessionSeries
        The series that decides about the slot's stream: ic1, or gains in log loss.
    hard : sequence of Check
        G1, already computed.
    continuity : float, optional
        Median over the last 20 sessions of the Spearman correlation between the candidate's scores and those of the
        stream's current model; None while there is nothing to compare.
    d : SessionSeries, optional
        x of the stream minus x of the frozen champion, on sessions that neither has seen; None where there is no proven
        champion, or none that can still be asked.
    overlap : int
        Sessions that one value of `x` and `d` reaches over: 1 is a martingale difference without skill and takes a
        plain z; more takes the normal quantile of the EWC p-value (GATE.md, 3).
    statistic : str
        What the values of `x` are, for the record: ``ic1`` or ``gain`` (of log loss, in nats).
    """

    session: int
    x: SessionSeries
    hard: Sequence[Check] = ()
    continuity: float | None = None
    d: SessionSeries | None = None
    overlap: int = 1
    statistic: str = "ic1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's word, its reason in one sentence, and the ledger entries that follow from it."""

    verdict: VerdictName
    reason_code: str
    reason: str
    checks: tuple[Check, ...]
    slot: Slot
    record: dict[str, Any] = field(default_factory=dict)
