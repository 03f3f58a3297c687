"""The lines that simulated years leave in a file, and what they say together."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from marketloop.bench.counts import Count
from marketloop.bench.kinds import KINDS
from marketloop.core.errors import UsageError
from marketloop.runtime.files import ensure_folder

__all__ = ["append_line", "figures_of", "read_lines"]

Line = dict[str, Any]
Found = Mapping[str, Any]


def read_lines(path: Path | None) -> list[Line]:
    """Return the lines of a file of earlier runs, none where there is no file.

    A last line without its end was cut off when a run was killed: it is taken away, so that its market is played again.
    """
    if path is None or not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    lines = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            document = json.loads(line)
            lines.append({**document, "kind": KINDS[document["kind"]].name})
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}, line {number} is no market of this benchmark ({error}): name another file"
            ) from error
    return lines


def append_line(path: Path, line: Line) -> None:
    """Add one market to the file."""
    ensure_folder(path.absolute().parent)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def figures_of(lines: Sequence[Line]) -> dict[str, Any]:
    """Count claims per family and kind, and over all kinds without signal together."""
    families = list(dict.fromkeys(name for line in lines for name in line["families"]))
    figures: dict[str, Any] = {}
    for family in families:
        by_kind = {
            name: [line["families"][family] for line in lines if line["kind"] == name and family in line["families"]]
            for name in KINDS
        }
        noise = [found for name, of in by_kind.items() if _is_noise(name, of) for found in of]
        figures[family] = {
            **({"no_signal": _noise(noise)} if noise else {}),
            **{name: _kind(name, found) for name, found in by_kind.items() if found},
        }
    kinds = Counter(line["kind"] for line in lines)
    figures["markets"] = dict(kinds)
    figures["cpu_seconds_per_market"] = {
        name: round(statistics.median(line["cpu_seconds"] for line in lines if line["kind"] == name), 1)
        for name in kinds
    }
    return figures


def _is_noise(name: str, found: Sequence[Found]) -> bool:
    """Say whether a claim on these markets is false; one about regimes only where every session is drawn alike."""
    kind = KINDS[name]
    return kind.truth == "no signal" and (kind.steady or all(f.get("unit", "ticker") == "ticker" for f in found))


def _kind(name: str, found: Sequence[Found]) -> dict[str, Any]:
    return _planted(found) if KINDS[name].truth == "planted" else _noise(found)


def _noise(found: Sequence[Found]) -> dict[str, Any]:
    return {
        "claimed_within_the_year": _count(f["proven_night"] is not None for f in found),
        "claimed_at_first_look": _count(f["proven_first"] for f in found),
        "interval_of_rank_ic_covers_0": _coverage(found, "ic"),
        "interval_of_deciding_series_covers_0": _coverage(found, "x"),
        "quarantined_as_implausible": _count(not f["plausible"] for f in found),
        **_common(found),
    }


def _planted(found: Sequence[Found]) -> dict[str, Any]:
    nights = [f["proven_night"] for f in found if f["proven_night"] is not None]
    true = [f["true_ic"] for f in found if f["true_ic"] is not None]
    return {
        "found_at_first_look": _count(f["proven_first"] for f in found),
        "found_within_the_year": _count(f["proven_night"] is not None for f in found),
        "median_night": statistics.median(nights) if nights else None,
        "true_rank_ic": round(statistics.fmean(true), 4) if true else None,
        "quarantined_as_implausible": _count(not f["plausible"] for f in found),
        **_common(found),
    }


def _common(found: Sequence[Found]) -> dict[str, Any]:
    nominees: Counter[str] = sum((Counter(f["nominees"]) for f in found), Counter())
    return {
        "rank_ic": _mean(found, "ic_mean", 4),
        "z_first": _mean(found, "z_first", 2),
        "sessions_at_first_look": [min(f["n_first"] for f in found), max(f["n_first"] for f in found)],
        "z_star": [min(f["z_star"] for f in found), max(f["z_star"] for f in found)],
        "nominees": {name: round(count / nominees.total(), 3) for name, count in nominees.most_common()},
        "cpu_seconds": round(statistics.median(f["cpu_seconds"] for f in found), 1),
    }


def _coverage(found: Sequence[Found], name: str) -> dict[str, Any]:
    known = [f for f in found if f[f"{name}_low"] is not None]
    return _count(f[f"{name}_low"] <= 0 <= f[f"{name}_high"] for f in known)


def _count(hits: Iterable[bool]) -> dict[str, Any]:
    flags = list(hits)
    return Count(sum(flags), len(flags)).document()


def _mean(found: Sequence[Found], name: str, digits: int) -> float | None:
    known = [f[name] for f in found if f[name] is not None]
    return round(statistics.fmean(known), digits) if known else None
