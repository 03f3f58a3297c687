"""Which features have drifted: the recent sessions beside the reference, each feature against its own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.monitoring.correlation import CorrelationShift, Together, correlation_shift
from marketloop.monitoring.null import Null, adjusted, apart, average, null_of
from marketloop.monitoring.profile import Grid, Profile, profile_of

__all__ = ["ALPHA", "WINDOW", "FeatureDrift", "FeatureScan", "Level", "Reference", "scan_features"]

Level = Literal["Low", "Medium", "High"]
State = Literal["steady", "drifted", "missing", "cannot be told"]

ALPHA: Final = 0.05
"""Share of false ones among the features called drifted, and chance that a scan of a steady market says anything."""
WINDOW: Final = 20
"""Recent sessions that are looked at."""
LEAST_FREEDOM: Final = 6.0
"""Independent windows, less one, below which a feature's past is too short: Student's tail is too heavy there."""
LARGE_PSI: Final = 0.25
"""By custom a large change (Siddiqi 2006)."""
LARGE_ALPHA: Final = 0.2
"""Share of `alpha` at which a change counts as large: one factor that swings moves half of all features together."""
LARGE_SHARE: Final = 1 / 3
"""Share of the model's importance that must have changed largely for a high level."""
MISSING: Final = 0.5
"""A feature whose known share has fallen by this much has gone missing, whatever its values say."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """What became of one feature.

    Parameters
    ----------
    name : str
    state : ``steady``, ``drifted``, ``missing`` or ``cannot be told``
        ``missing``: it was known in the reference and is not any more. ``cannot be told``: it remembers so long that
        the reference holds fewer than seven independent windows, or it is constant or unknown in the reference.
    psi, ks, wasserstein : float or None
        Distances as `distances.Distances` has them; None where nothing is known.
    shift : float or None
        Mean now less mean then, in standard deviations of the reference.
    p, p_adjusted : float or None
        Probability of a window so far away when nothing has changed, and the same adjusted for all questions of the
        scan; None where it cannot be told.
    memory : float or None
        Sessions over which it remembers.
    windows : float or None
        Independent windows in the reference.
    missing : float
        Share of the recent rows in which it is not known; 0..1.
    importance : float or None
        Share in the model.
    """

    name: str
    state: State
    psi: float | None
    ks: float | None
    wasserstein: float | None
    shift: float | None
    p: float | None
    p_adjusted: float | None
    memory: float | None
    windows: float | None
    missing: float
    importance: float | None = None

    @property
    def drifted(self) -> bool:
        """Whether it counts as changed."""
        return self.state in {"drifted", "missing"}

    def document(self) -> dict[str, Any]:
        """Return it as JSON values, rounded to what can be read."""
        return {
            "name": self.name,
            "state": self.state,
            "psi": _rounded(self.psi),
            "ks": _rounded(self.ks),
            "wasserstein": _rounded(self.wasserstein),
            "shift": _rounded(self.shift),
            "p_adjusted": _rounded(self.p_adjusted, 6),
            "memory": _rounded(self.memory, 1),
            "missing": _rounded(self.missing),
            "importance": _rounded(self.importance),
        }


@dataclass(frozen=True, slots=True)
class FeatureScan:
    """All features of a model, worst first, and how they move together.

    Parameters
    ----------
    level : ``Low``, ``Medium`` or ``High``
        Low: nothing has drifted. High: those that drifted with a PSI of 0.25 or more at a fifth of `alpha`, or went
        missing, hold a third of the model's importance. Medium: anything between.
    """

    features: tuple[FeatureDrift, ...]
    correlation: CorrelationShift | None
    level: Level
    reference_sessions: tuple[int, int, int]
    recent_sessions: tuple[int, int, int]

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        """Those that changed, worst first."""
        return tuple(feature for feature in self.features if feature.drifted)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model learned from, prepared once for any number of scans of windows of one length.

    Parameters
    ----------
    profile : Profile
    null : Null
        What windows of `window` sessions do when nothing has changed.
    together : Together, optional
        How the features move together; None where too few windows can tell.
    """

    profile: Profile
    null: Null
    together: Together | None
    window: int

    @classmethod
    def of(cls, rows: Matrix, window: int) -> Reference:
        """Prepare the rows of a reference.

        Raises
        ------
        UsageError
            There are no recent sessions, or fewer than four times as many in the reference.
        """
        before = len(np.unique(rows.session))
        if window == 0 or before < 4 * window:
            raise UsageError(
                f"drift: {before} sessions of reference and {window} recent ones: at least four times as many are "
                "needed; collect a longer history, or set [monitoring] window lower"
            )
        grid = Grid.of(rows)
        profile = profile_of(rows, grid)
        return cls(profile, null_of(profile, window), Together.of(rows, grid, window), window)

    def scan(
        self, recent: Matrix, *, importance: Mapping[str, float] | None = None, alpha: float = ALPHA
    ) -> FeatureScan:
        """Compare recent sessions, as many as `window`, with the reference; see `scan_features`."""
        now = profile_of(recent, self.profile.grid)
        if len(now) != self.window:
            raise UsageError(f"drift: {len(now)} recent sessions: this reference was prepared for {self.window}")
        found = _judge(self.profile, self.null, now, importance or {})
        found, correlation = _adjust(found, correlation_shift(self.together, recent), alpha)
        return FeatureScan(
            tuple(sorted(found, key=_worst_first)),
            correlation,
            _level(found, correlation, alpha),
            _span(self.profile),
            _span(now),
        )


def scan_features(
    reference: Matrix,
    recent: Matrix,
    *,
    importance: Mapping[str, float] | None = None,
    alpha: float = ALPHA,
) -> FeatureScan:
    """Compare the recent sessions with the reference.

    Parameters
    ----------
    reference, recent : Matrix
        Of the same features; no session in both.
    importance : mapping, optional
        Share of each feature in the model; where nothing is known all count alike.

    Raises
    ------
    UsageError
        There are no recent sessions, or fewer than four times as many in the reference.
    """
    prepared = Reference.of(reference, len(np.unique(recent.session)))
    return prepared.scan(recent, importance=importance, alpha=alpha)


def _judge(before: Profile, null: Null, now: Profile, importance: Mapping[str, float]) -> list[FeatureDrift]:
    grid = before.grid
    far = apart(now, before)
    p = null.p_value(far.together)
    shift = (average(now)[1] - average(before)[1]) / np.where(grid.sd > 0, grid.sd, np.nan)
    was, is_known = before.known.mean(axis=0), now.known.mean(axis=0)
    found = []
    for at, name in enumerate(grid.names):
        comparable = bool(was[at] > 0 and is_known[at] > 0)
        told = comparable and grid.sd[at] > 0 and null.sd[at] > 0 and null.freedom[at] >= LEAST_FREEDOM
        state: State = "steady" if told else "cannot be told"
        if was[at] - is_known[at] >= MISSING:
            state = "missing"
        found.append(
            FeatureDrift(
                name=name,
                state=state,
                psi=float(far.psi[at]) if comparable else None,
                ks=float(far.ks[at]) if comparable else None,
                wasserstein=float(far.wasserstein[at]) if comparable else None,
                shift=float(shift[at]) if comparable and np.isfinite(shift[at]) else None,
                p=float(p[at]) if told and state == "steady" else None,
                p_adjusted=None,
                memory=float(null.memory[at]) if comparable else None,
                windows=float(null.freedom[at] + 1) if comparable else None,
                missing=float(1 - is_known[at]),
                importance=importance.get(name),
            )
        )
    return found


def _adjust(
    found: list[FeatureDrift], correlation: CorrelationShift | None, alpha: float
) -> tuple[list[FeatureDrift], CorrelationShift | None]:
    """Adjust the p-values of all features and of the correlations together: they are one scan."""
    asked = [feature for feature in found if feature.p is not None]
    extra = [] if correlation is None else [correlation.p]
    q = iter(adjusted(np.array([*(feature.p for feature in asked if feature.p is not None), *extra])))
    out = []
    for feature in found:
        if feature.p is None:
            out.append(feature)
            continue
        value = float(next(q))
        out.append(replace(feature, p_adjusted=value, state="drifted" if value <= alpha else "steady"))
    return out, None if correlation is None else replace(correlation, p_adjusted=float(next(q)))


def _level(found: list[FeatureDrift], correlation: CorrelationShift | None, alpha: float) -> Level:
    total = sum(feature.importance or 0.0 for feature in found)

    def weight(feature: FeatureDrift) -> float:
        return (feature.importance or 0.0) / total if total > 0 else 1 / max(len(found), 1)

    drifted = [feature for feature in found if feature.drifted]
    large = sum(weight(feature) for feature in drifted if _is_large(feature, alpha))
    if drifted and large >= LARGE_SHARE:
        return "High"
    broken = correlation is not None and correlation.p_adjusted is not None and correlation.p_adjusted <= alpha
    return "Medium" if drifted or broken else "Low"


def _is_large(feature: FeatureDrift, alpha: float) -> bool:
    if feature.p_adjusted is None or feature.psi is None:
        return feature.state == "missing"
    return feature.psi >= LARGE_PSI and feature.p_adjusted <= LARGE_ALPHA * alpha


def _worst_first(feature: FeatureDrift) -> tuple[bool, float, float]:
    told = 2.0 if feature.p_adjusted is None else feature.p_adjusted
    return (feature.state != "missing", told, -(feature.wasserstein or 0.0))


def _span(profile: Profile) -> tuple[int, int, int]:
    return int(profile.session[0]), int(profile.session[-1]), len(profile)


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
