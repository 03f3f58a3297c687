"""What the champions say of every ticker: the ranking, sortable and searchable, and the market's regime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.serving.board import Board
from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.pieces import Text, banner, card, chip, empty, facts, listing, stat, tone_of
from marketloop.web.dashboard.words import family_name, number, percent

__all__ = ["register"]

COLUMNS = (
    ("rank", "Rank", "number"),
    ("ticker", "Ticker", "text"),
    ("signal", "Signal", "chip"),
    ("score", "Score", "number"),
    ("likely", "Likeliest", "text"),
    ("probability", "Probability", "number"),
    ("interval", "Interval of the return", "text"),
    ("version", "By", "text"),
)


def register() -> None:
    """Add the page."""

    @ui.page("/predictions", response_timeout=20)
    async def predictions(request: HttpRequest, family: str = "") -> Response | None:
        return await enter(request, "Predictions", lambda visit: _build(visit, family))


async def _build(visit: Visit, family: str) -> None:
    await live(visit, lambda: _boards(visit), lambda boards: _draw(visit, boards, family))


def _boards(visit: Visit) -> tuple[tuple[Board, ...], str]:
    view = visit.premises.desk.view
    boards = sorted(view.boards.values(), key=lambda board: str(board.slot))
    return tuple(boards), view.trouble


def _draw(visit: Visit, told: tuple[tuple[Board, ...], str], family: str) -> None:
    boards, trouble = told
    Text("h1", "Predictions and ranking")
    if trouble:
        banner(f"Stale: the database is away, this is what was read last. {trouble}", "bad")
    if not boards:
        empty(
            "No predictions yet",
            "A champion has to serve before anything is predicted.",
            [("Make one.", "marketloop retrain")],
        )
        return
    default = visit.premises.desk.view.default_key
    markets = [board for board in boards if _is_market(board)]
    tickers = [board for board in boards if not _is_market(board)]
    for board in markets:
        _regime(board)
    if not tickers:
        return
    primary = visit.premises.settings.serve.primary
    names = [board.slot.family for board in tickers]
    shown = family if family in names else primary if primary in names else names[0]
    with ui.element("div").classes("ml-row").props('role="navigation" aria-label="Families"'):
        for name in dict.fromkeys(names):
            link = ui.link(family_name(name), f"/predictions?family={name}")
            if name == shown:
                link.props('aria-current="page"').style("font-weight:700;text-decoration:none;color:var(--ink)")
    of_family = [board for board in tickers if board.slot.family == shown]
    chosen = next((board for board in of_family if board.slot.config_key == default), of_family[0])
    _board(chosen)


def _board(board: Board) -> None:
    champion = board.champion
    answers = board.answers
    counts = Counter(str(answer["prediction"]["signal"]) for answer in answers.values())
    with card():
        with ui.element("div").classes("ml-row"):
            chip("provisional" if champion.status == "provisional" else "proven")
            if board.rules.stale:
                chip("stale")
            if board.rollout is not None and board.rollout.mode != "off":
                chip(f"{board.rollout.mode}: version {board.rollout.version}", "warn")
        with ui.element("div").classes("ml-stats"):
            stat("as of", board.as_of.isoformat(), f"{board.rules.horizon or '?'} sessions ahead")
            stat("tickers", number(len(answers), 0))
            stat("version", f"v{champion.version}", board.slot.config_key)
            for word in ("BUY", "HOLD", "SELL"):
                stat(word, number(counts.get(word, 0), 0))
        if champion.status == "provisional":
            Text("p", "No skill is proven yet: the order is shown, and every signal is HOLD.", "ml-note")
    ranked = board.ranking()["ranking"]
    rows = [_row(place, answers[place["ticker"]]) for place in ranked]
    with card("Ranking", note="Best first by directional score. Ranks are not probabilities, and skill is not profit."):
        listing(COLUMNS, rows, label="ranking", search=True, sort=("rank", False), none="No such ticker.")


def _row(place: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    said = answer["prediction"]
    low, high = answer["low"], answer["high"]
    return {
        "key": place["ticker"],
        "rank": place["rank"],
        "ticker": place["ticker"],
        "signal": said["signal"],
        "signal_tone": tone_of(said["signal"]),
        "score": round(float(answer["score"]), 5),
        "likely": said["class"] or "-",
        "probability": None if said["probability"] is None else round(said["probability"], 4),
        "interval": "-" if low is None or high is None else f"{percent(low)} to {percent(high)}",
        "version": f"v{answer['model_version']}",
    }


def _regime(board: Board) -> None:
    for answer in board.answers.values():
        said = answer["prediction"]
        with card("The market's regime", classes="link"):
            with ui.element("div").classes("ml-stats"):
                stat("likeliest", str(said["class"] or "-"), f"over {answer['horizon'] or '?'} sessions")
                for name, share in answer["classes"].items():
                    stat(name, percent(share))
            facts({"as of": answer["as_of"], "version": f"v{answer['model_version']}"})
            if answer["provisional"]:
                Text("p", "Provisional: it has not beaten what the last known regime alone would say.", "ml-note")


def _is_market(board: Board) -> bool:
    return board.slot.family == "regime_classifier" or set(board.answers) == {"MARKET"}
