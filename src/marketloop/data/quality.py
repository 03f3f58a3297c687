"""Quality rules: which raw bars are accepted, which go to quarantine and why, and what is worth a warning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA, require_columns
from marketloop.core.values import Sessions
from marketloop.data.quality_warnings import conflict_warnings, panel_warnings, repeat_warnings, revision_warnings
from marketloop.data.sources.protocol import RAW_EXTRAS

__all__ = [
    "QUARANTINE_SCHEMA",
    "RULES",
    "TOLERANCE",
    "Quality",
    "QualityReport",
    "Rule",
    "examine",
    "merge_reports",
    "report_of",
    "screen",
]

TOLERANCE: Final = 1e-6
"""Relative slack of the range rules: adjusted prices are products, and rounding is no defect."""

CLOSED_SHARE: Final = 0.2
"""Share of rows on closed days beyond which the calendar is wrong rather than the rows."""

_FEWEST_TO_JUDGE: Final = 10

QUARANTINE_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    **BAR_SCHEMA,
    **RAW_EXTRAS,
    "rule": pl.String(),
    "reason": pl.String(),
}
"""Rows that broke a rule, with the rule and one sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A way in which one row can be wrong.

    Parameters
    ----------
    name : str
    broken : boolean expression
        True where the row breaks the rule; null counts as false.
    reason : string expression
        One sentence with the values of the row.
    """

    name: str
    broken: pl.Expr
    reason: pl.Expr


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Counts of one examination; ``rows = accepted + quarantined``.

    Parameters
    ----------
    rules : mapping
        Rows per broken rule, in the order of `RULES`; a row that breaks several is counted once, under the first.
    warnings : tuple of mappings
        ``rule, ticker, date, count, detail`` of what is suspicious but stays: `jump`, `gap`, `zero_volume`,
        `missing_volume`, `no_volume`, `stale_tail`, `ended_early`, `revision`, `conflicting_duplicate`.
    """

    rows: int
    accepted: int
    quarantined: int
    rules: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[Mapping[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "quarantined": self.quarantined,
            "rules": dict(self.rules),
            "warnings": [dict(warning) for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """Accepted bars (`BAR_SCHEMA`), quarantined rows (`QUARANTINE_SCHEMA`) and the report about both."""

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    report: QualityReport


def _say(text: str, *columns: str) -> pl.Expr:
    return pl.format(text, *(pl.col(c).cast(pl.String).fill_null("missing") for c in columns))


_HIGH, _LOW = pl.col("high") * (1 + TOLERANCE), pl.col("low") * (1 - TOLERANCE)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "bad_date",
        pl.col("date").is_null() | pl.col("_outside"),
        pl.when(pl.col("date").is_null())
        .then(_say("the date is {} or cannot be read", "date_text"))
        .otherwise(_say("{} lies outside the calendar as loaded", "date")),
    ),
    Rule(
        "bad_ticker",
        ~pl.col("ticker").str.contains(r"^[^\s\x00-\x1f][^\x00-\x1f]{0,31}$").fill_null(value=False),
        _say('the ticker is "{}"; expected 1 to 32 printable characters', "ticker"),
    ),
    Rule("not_a_session", pl.col("_closed"), _say("the exchange is closed on {}", "date")),
    Rule(
        "null_price",
        pl.any_horizontal(pl.col(c).is_null() for c in BAR_PRICES),
        _say("open {}, high {}, low {}, close {}: a price is missing", *BAR_PRICES),
    ),
    Rule(
        "non_positive_price",
        pl.min_horizontal(*BAR_PRICES) <= 0,
        _say("open {}, high {}, low {}, close {}: a price is not positive", *BAR_PRICES),
    ),
    Rule("high_below_low", pl.col("low") > _HIGH, _say("high {} is below low {}", "high", "low")),
    Rule(
        "open_outside_range",
        (pl.col("open") > _HIGH) | (pl.col("open") < _LOW),
        _say("open {} lies outside low {} to high {}", "open", "low", "high"),
    ),
    Rule(
        "close_outside_range",
        (pl.col("close") > _HIGH) | (pl.col("close") < _LOW),
        _say("close {} lies outside low {} to high {}", "close", "low", "high"),
    ),
    Rule("negative_volume", pl.col("volume") < 0, _say("volume {} is negative", "volume")),
    Rule("duplicate", pl.col("_repeat"), _say("another row of {} on {} was kept", "ticker", "date")),
)
"""Every rule in the order in which it is asked; the first that a row breaks is the one it is filed under."""


def examine(raw: pl.DataFrame, sessions: Sessions, *, previous: pl.DataFrame | None = None) -> Quality:
    """Sort raw bars into accepted and quarantined ones, and collect warnings.

    Nothing is dropped and nothing is repaired. The order of the input does not matter: of several rows with the same
    ticker and date that break no other rule the first by file name is kept, then the one with the largest volume.

    Parameters
    ----------
    raw : frame
        Columns of `BAR_SCHEMA`, optionally `RAW_EXTRAS`; NaN and infinite values count as missing.
    sessions : Sessions
        The days on which the exchange trades; they must span the dates that are expected.
    previous : frame, optional
        Bars accepted earlier; prices that differ from them are reported as revisions of history.

    Raises
    ------
    UsageError
        A column is missing, or more than a fifth of the rows falls on closed days.
    """
    quality = screen(raw, sessions, previous=previous)
    report = quality.report
    warnings = (*report.warnings, *panel_warnings(quality.accepted, sessions))
    return Quality(quality.accepted, quality.quarantined, _with_warnings(report, warnings))


def screen(raw: pl.DataFrame, sessions: Sessions, *, previous: pl.DataFrame | None = None) -> Quality:
    """Do what `examine` does without the warnings that need the whole history of a ticker (jumps, gaps, tails)."""
    judged = _judge(_conform(raw), sessions)
    good, bad = judged.filter(pl.col("_rule").is_null()), judged.filter(pl.col("_rule").is_not_null())
    accepted = good.select(*BAR_SCHEMA).sort("ticker", "date")
    quarantined = bad.with_columns(rule=pl.col("_rule"), reason=_reason()).select(*QUARANTINE_SCHEMA)
    quarantined = quarantined.sort(*QUARANTINE_SCHEMA)
    warnings = conflict_warnings(accepted, quarantined)
    if previous is not None:
        warnings += revision_warnings(accepted, previous)
    report = QualityReport(
        rows=raw.height,
        accepted=accepted.height,
        quarantined=quarantined.height,
        rules=_counts(quarantined),
        warnings=warnings,
    )
    return Quality(accepted, quarantined, report)


def report_of(bars: pl.DataFrame, quarantined: pl.DataFrame, sessions: Sessions) -> QualityReport:
    """Report on what is stored: all accepted bars, all quarantined rows, warnings over the whole history."""
    return QualityReport(
        rows=bars.height + quarantined.height,
        accepted=bars.height,
        quarantined=quarantined.height,
        rules=_counts(quarantined),
        warnings=(*conflict_warnings(bars, quarantined), *panel_warnings(bars, sessions), *repeat_warnings(bars)),
    )


def merge_reports(reports: Iterable[QualityReport], warnings: tuple[Mapping[str, Any], ...] = ()) -> QualityReport:
    """Add up the reports of several batches, and append `warnings`."""
    parts = list(reports)
    return QualityReport(
        rows=sum(r.rows for r in parts),
        accepted=sum(r.accepted for r in parts),
        quarantined=sum(r.quarantined for r in parts),
        rules={rule.name: n for rule in RULES if (n := sum(r.rules.get(rule.name, 0) for r in parts))},
        warnings=(*(warning for r in parts for warning in r.warnings), *warnings),
    )


def _with_warnings(report: QualityReport, warnings: tuple[Mapping[str, Any], ...]) -> QualityReport:
    return QualityReport(report.rows, report.accepted, report.quarantined, report.rules, warnings)


def _conform(raw: pl.DataFrame) -> pl.DataFrame:
    require_columns(raw, BAR_SCHEMA, "the frame of raw bars")
    extras = [pl.lit(None, pl.String).alias(c) for c in RAW_EXTRAS if c not in raw.columns]
    frame = raw.with_columns(extras).select(
        pl.col(c).cast(t, strict=False) for c, t in {**BAR_SCHEMA, **RAW_EXTRAS}.items()
    )
    numbers = [c for c, t in BAR_SCHEMA.items() if t.is_float()]
    return frame.with_columns(pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c in numbers)


def _judge(frame: pl.DataFrame, sessions: Sessions) -> pl.DataFrame:
    first, last = sessions.dates[0].astype(object), sessions.dates[-1].astype(object)
    days = pl.Series(sessions.dates).cast(pl.Date)
    outside = ~pl.col("date").is_between(first, last)
    marked = frame.with_columns(
        _outside=outside.fill_null(value=False),
        _closed=(~pl.col("date").is_in(days.implode()) & ~outside).fill_null(value=False),
    )
    _refuse_wrong_calendar(marked, sessions)
    row_rules = [rule for rule in RULES if rule.name != "duplicate"]
    judged = marked.with_columns(_rule=_first_broken(row_rules))
    order = ["origin", "volume", *(c for c in BAR_SCHEMA if c not in {"volume", "ticker", "date"})]
    judged = judged.sort(
        "ticker", "date", *order, descending=[False, False, False, True, *[False] * 4], nulls_last=True
    )
    good = pl.col("_rule").is_null()
    # Sorted by ticker and date, a good row repeats an earlier one exactly when the running count of its key is above 1.
    repeat = good & (good.cast(pl.UInt32).cum_sum().over("ticker", "date") > 1)
    return judged.with_columns(_repeat=repeat).with_columns(
        _rule=pl.when(pl.col("_repeat")).then(pl.lit("duplicate")).otherwise("_rule")
    )


def _first_broken(rules: Iterable[Rule]) -> pl.Expr:
    return pl.coalesce(pl.when(rule.broken.fill_null(value=False)).then(pl.lit(rule.name)) for rule in rules)


def _reason() -> pl.Expr:
    return pl.coalesce(pl.when(pl.col("_rule") == rule.name).then(rule.reason) for rule in RULES)


def _counts(quarantined: pl.DataFrame) -> dict[str, int]:
    found = dict(quarantined["rule"].value_counts().iter_rows())
    return {rule.name: found[rule.name] for rule in RULES if rule.name in found}


def _refuse_wrong_calendar(marked: pl.DataFrame, sessions: Sessions) -> None:
    dated = marked.filter(pl.col("date").is_not_null() & ~pl.col("_outside"))
    closed = dated.filter(pl.col("_closed"))
    if dated.height < _FEWEST_TO_JUDGE or closed.height <= CLOSED_SHARE * dated.height:
        return
    raise UsageError(
        f"{closed.height} of {dated.height} bars are dated on days on which the calendar {sessions.calendar} is closed "
        f"(the first: {closed['date'].sort()[0]}); set `[project] calendar` to the exchange of these tickers, "
        'for example calendar = "24/7" for crypto'
    )
