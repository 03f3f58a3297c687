"""The `synthetic` source reads its options and keeps the promises of a source."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from marketloop.core.errors import UsageError
from marketloop.data.sources.protocol import SERIES_SCHEMA, Source
from marketloop.data.synthetic import MarketSpec, SyntheticSource, simulate, spec_from_options

SMALL = {"tickers": 3, "sessions": 40}


def test_source_keeps_the_protocol() -> None:
    source = SyntheticSource(SMALL)
    assert isinstance(source, Source)
    assert source.name == "synthetic"
    assert source.tickers() == ("SYN001", "SYN002", "SYN003")
    assert source.sectors().columns == ["ticker", "sector"]
    assert all(dict(frame.schema) == dict(SERIES_SCHEMA) for frame in source.series().values())


def test_fetch_gives_the_asked_tickers_and_days_and_names_the_others() -> None:
    fetched = SyntheticSource(SMALL).fetch(["SYN002", "AAPL"], dt.date(2013, 1, 3), dt.date(2013, 1, 8))
    assert fetched.bars["ticker"].unique().to_list() == ["SYN002"]
    assert fetched.bars["date"].to_list() == [dt.date(2013, 1, d) for d in (3, 4, 7, 8)]
    assert fetched.failures == {"AAPL": "the simulated market has SYN001 to SYN003; raise its option tickers for more"}


def test_fetch_gives_the_bars_of_simulate() -> None:
    source = SyntheticSource({**SMALL, "seed": 4})
    bars = source.fetch(source.tickers(), dt.date(2000, 1, 1), dt.date(2030, 1, 1)).bars
    assert bars.equals(simulate(MarketSpec(tickers=3, sessions=40, seed=4)).bars)


def test_options_are_read_as_text_too() -> None:
    options = {"tickers": "20", "planted_ic": "0.05", "regimes": "true", "drift_at": "100", "start": "2015-06-01"}
    assert spec_from_options(options) == MarketSpec(
        tickers=20, planted_ic=0.05, regimes=True, drift_at=100, start=dt.date(2015, 6, 1)
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ticker": 5}, 'unknown synthetic option "ticker".*Did you mean "tickers"'),
        ({"tickers": 0}, "tickers = 0: expected a whole number from 1 to 5000"),
        ({"tickers": "many"}, "tickers = 'many': expected a whole number"),
        ({"tickers": True}, "tickers = True: expected a whole number"),
        ({"sessions": 20_001}, "sessions = 20001: expected a whole number from 1 to 20000"),
        ({"sessions": 2.5}, "sessions = 2.5: expected a whole number"),
        ({"seed": -1}, "seed = -1"),
        ({"planted_ic": 0.31}, "planted_ic = 0.31: expected a rank IC from 0 to 0.3"),
        ({"planted_ic": "nan"}, "planted_ic = nan: expected a rank IC"),
        ({"planted_ic": 0.05, "tickers": 9}, "needs at least 10; raise tickers"),
        ({"volatility": "garhc"}, 'unknown synthetic volatility "garhc".*Did you mean "garch"'),
        ({"drift": "all"}, 'unknown synthetic drift "all"'),
        ({"regimes": "perhaps"}, "regimes = 'perhaps': expected true or false"),
        ({"start": "1.2.2013"}, "start = '1.2.2013': expected a date as YYYY-MM-DD"),
        ({"drift_at": -1}, "drift_at = -1"),
    ],
)
def test_source_names_the_option_that_is_wrong(options: dict[str, str | int | float | bool], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        SyntheticSource(options)


def test_simulate_names_the_calendar_when_it_is_unknown() -> None:
    with pytest.raises(UsageError, match='unknown calendar "NYXE"'):
        simulate(MarketSpec(tickers=1, sessions=5, calendar="NYXE"))


def test_simulate_fills_every_day_when_the_calendar_never_closes() -> None:
    market = simulate(MarketSpec(tickers=1, sessions=10, calendar="24/7"))
    assert market.bars["date"].diff().drop_nulls().unique().to_list() == [dt.timedelta(days=1)]
    assert market.series["spx"]["known_at"][0] == dt.datetime(2013, 1, 3, tzinfo=dt.UTC)
    assert market.bars.select(pl.len()).item() == 10
