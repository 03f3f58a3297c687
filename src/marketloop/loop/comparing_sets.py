"""Two feature sets side by side: one recipe walked forward on both, over the same rows and blocks (E6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from marketloop.core.errors import UsageError
from marketloop.core.values import IntArray, Matrix
from marketloop.evaluation.comparison import Difference, compare_scores, main_difference, shared_rows, undecided
from marketloop.evaluation.stream import Stream, advance
from marketloop.loop.comparing import Comparison, extent
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, choose, named_features, prepare

__all__ = ["compare_feature_sets"]

Telling = Callable[[str, int, int], None]


def compare_feature_sets(house: House, family: str, names: Sequence[str], *, tell: Telling | None = None) -> Comparison:
    """Walk the family's fallback recipe forward on two feature sets, on the same rows and blocks, and compare.

    Nothing is stored: no version, no stream and no look of the gate comes of it.

    Raises
    ------
    UsageError
        There are not two different known sets, or no block can be scored on both.
    """
    tell = tell or _silent
    if len(names) != 2 or names[0] == names[1]:
        raise UsageError(f"--feature-sets {','.join(names)}: expected two different sets, e.g. legacy,extended")
    kind = house.catalog.family(family)
    if kind.unit == "session":
        raise UsageError(f"{family} reads market series and no feature set: name a family of tickers")
    fallback = (house.settings.family_section(family).recipes or kind.recipes)[0]
    spec = choose(house, family, Choices(recipes=(fallback,)))
    for name in names:
        named_features(house, name)
    specs = [replace(spec, feature_set=name) for name in names]
    prepared = [prepare(house, one) for one in specs]
    matrices = _same_rows(prepared[0].matrix, prepared[1].matrix)
    streams = []
    for one, ready, matrix in zip(specs, prepared, matrices, strict=True):
        what = f"walking forward on {one.feature_set}"
        streams.append(
            advance(
                Stream(one.fingerprint),
                matrix,
                ready.panel,
                one,
                on_progress=lambda done, total, what=what: tell(what, done, total),  # type: ignore[misc]
            )
        )
    rows = shared_rows(streams[0].scores, streams[1].scores)
    if len(rows.sessions) == 0:
        raise UsageError(
            f"the history is too short to walk {family} forward on {names[0]} and {names[1]}: collect more tickers or "
            "a longer history"
        )
    differences = compare_scores(rows, matrices[1], prepared[1].panel, specs[1])
    a, b = (
        {
            "name": name,
            "family": family,
            "recipe": fallback,
            "features": len(matrix.names),
            "features_unfed": list(ready.unfed),
        }
        for name, matrix, ready in zip(names, matrices, prepared, strict=True)
    )
    text = f"the same sessions, tickers and blocks, walked forward with the recipe {fallback}"
    return Comparison(
        a=a,
        b=b,
        differences=differences,
        recommendation=_set_advice(a, b, differences, house.settings.features.set),
        basis={"kind": "feature_sets", "text": text, **extent(rows, prepared[1])},
        warnings=tuple(dict.fromkeys(w for ready in prepared for w in ready.warnings)),
    )


def _same_rows(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix]:
    """Keep the rows that both matrices have: a longer warm-up must not give one side more to learn from."""

    def keys(matrix: Matrix) -> IntArray:
        return matrix.session.astype(np.int64) * len(matrix.tickers) + matrix.ticker

    one, other = keys(a), keys(b)
    return a.take(np.isin(one, other)), b.take(np.isin(other, one))


def _set_advice(a: Mapping[str, Any], b: Mapping[str, Any], differences: Sequence[Difference], configured: str) -> str:
    main = main_difference(differences)
    if main is not None and main.better is not None:
        better = b if main.better == "b" else a
        return f"{better['name']} does better here ({main.sentence}); this is one look at one recipe, not a verdict"
    return f"keep the set {configured}: {undecided(main, differences)}"


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
