"""What has been said out of sample in the name of a model: by its recipe's stream until it was trained, then by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from marketloop.core.catalog import Learner
from marketloop.core.errors import UsageError
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.scorecard import SignalRule, signal_rule
from marketloop.evaluation.stream import SCORE_SCHEMA, Stream, StreamSpec, advance
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared, choose, prepare
from marketloop.loop.scoring import output_of
from marketloop.loop.streams import stored_scores

__all__ = ["Record", "Source", "record_of"]

Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Who spoke in which sessions: ``stream``, ``walk-forward`` or ``model``."""

    name: str
    detail: str
    first: dt.date
    last: dt.date
    sessions: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "source": self.name,
            "detail": self.detail,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "sessions": self.sessions,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """Scores of a model that no session of its training could have known.

    Parameters
    ----------
    spec : StreamSpec
        The recipe as the model's manifest has it.
    prepared : Prepared
        The bars that it was asked about.
    through : int
        Newest session that the model's training knew.
    scores : frame ``session, ticker, score, probabilities``
        In order of time; until `through` those of a walk-forward, then those of the model itself.
    rule : SignalRule
        What the model is served with: a quantile of everything said until `through`.
    sources : tuple of Source
        Who said what, in order of time.
    """

    spec: StreamSpec
    prepared: Prepared
    through: int
    scores: pl.DataFrame
    rule: SignalRule
    sources: tuple[Source, ...]
    warnings: tuple[str, ...] = ()


def record_of(house: House, learner: Learner, manifest: Mapping[str, Any], *, tell: Telling | None = None) -> Record:
    """Put together what was said out of sample in the name of a model.

    A version that `retrain` made has the stored stream of its recipe. A candidate of `train` has none: its recipe is
    walked forward over the bars now, each block scored by a model that knew nothing of it.

    Raises
    ------
    UsageError
        The family says nothing of tickers, the project has another configuration than the model, or the history is too
        short for a walk-forward and no session came after the training.
    RefusedError
        The bars do not give the features that the model reads.
    """
    spec = _spec_of(house, manifest)
    prepared = prepare(house, spec)
    through = int(manifest["trained_through"])
    stream_id = manifest.get("stream_id")
    before = pl.DataFrame(schema=dict(SCORE_SCHEMA)) if stream_id is None else stored_scores(house, str(stream_id))
    before = before.filter(pl.col("session") <= through)
    name, detail = "stream", f"walk-forward of the recipe, kept as {stream_id}"
    if before.is_empty():
        name, detail = "walk-forward", f"{spec.contenders[0].key}, refitted every {spec.block} sessions"
        before = _walked(prepared, spec, tell or _silent).filter(pl.col("session") <= through)
    after = _frozen(house, learner, manifest, prepared)
    scores = pl.concat([part.select("session", "ticker", "score", "probabilities") for part in (before, after)])
    if scores.is_empty():
        raise UsageError(
            f"nothing was said out of sample in the name of {spec.family.name}: a walk-forward starts after 250 "
            "labelled sessions with 10,000 rows, or after 500 sessions; collect a longer history"
        )
    label = f"version {manifest['version']}" if "version" in manifest else "the model"
    sources = (_source(before, name, detail, prepared), _source(after, "model", f"{label} itself", prepared))
    return Record(
        spec=spec,
        prepared=prepared,
        through=through,
        scores=scores,
        rule=_rule_of(manifest, before),
        sources=tuple(source for source in sources if source is not None),
        warnings=(_HINDSIGHT,) if name == "walk-forward" and len(before) else (),
    )


_HINDSIGHT = (
    "the version has no stream: its recipe was walked forward with settings that were chosen on this same history; "
    "run `marketloop retrain` for a record in which every choice was made beforehand"
)


def _spec_of(house: House, manifest: Mapping[str, Any]) -> StreamSpec:
    """Return the recipe of the model under the project's settings."""
    family = house.catalog.family(str(manifest["family"]))
    if family.unit != "ticker":
        tickers = ", ".join(f.name for f in house.catalog.families.values() if f.unit == "ticker")
        raise UsageError(f"{family.name} speaks of the whole market and orders no tickers: choose one of {tickers}")
    if manifest["config_key"] != house.strategy.key:
        raise UsageError(
            f"the model reads features of {manifest['config_key']} and the project computes {house.strategy.key}: "
            "set --rsi-period, --vol-lookback and --support-lookback to the model's"
        )
    spec = choose(house, family.name)
    recipe = house.catalog.recipe(str(manifest["recipe"]))
    return replace(
        spec,
        contenders=(Contender(recipe, {**recipe.defaults, **manifest["params"]}),),
        label=LabelSpec(int(manifest["horizon"]), manifest["threshold"], spec.label.label),
        feature_set=str(manifest["feature_set"]),
    )


def _walked(prepared: Prepared, spec: StreamSpec, tell: Telling) -> pl.DataFrame:
    return advance(
        Stream(spec.fingerprint),
        prepared.matrix,
        prepared.panel,
        spec,
        on_progress=lambda done, total: tell("walking forward", done, total),
    ).scores


def _frozen(house: House, learner: Learner, manifest: Mapping[str, Any], prepared: Prepared) -> pl.DataFrame:
    """Return what the model itself says of the sessions after its training."""
    rows = prepared.matrix.take(prepared.matrix.session > int(manifest["trained_through"]))
    if len(rows) == 0:
        return pl.DataFrame(schema=dict(SCORE_SCHEMA))
    family, recipe = house.catalog.family(str(manifest["family"])), house.catalog.recipe(str(manifest["recipe"]))
    output = output_of(learner, recipe, tuple(manifest["features"]), rows)
    return pl.DataFrame(
        {
            "session": rows.session,
            "ticker": pl.Series(rows.tickers).gather(rows.ticker),
            "score": family.score(output),
            "probabilities": output.astype(np.float32).tolist() if output.ndim > 1 else [None] * len(rows),
        },
        schema_overrides={name: SCORE_SCHEMA[name] for name in ("session", "ticker", "score", "probabilities")},
    )


def _source(scores: pl.DataFrame, name: str, detail: str, prepared: Prepared) -> Source | None:
    if scores.is_empty():
        return None
    sessions = scores["session"].unique().sort()
    date = prepared.sessions.date
    return Source(name, detail, date(int(sessions[0])), date(int(sessions[-1])), len(sessions))


def _rule_of(manifest: Mapping[str, Any], before: pl.DataFrame) -> SignalRule:
    """Return the rule of the manifest, or the one that everything said before the model gives."""
    signal = manifest.get("signal")
    if signal is None:
        return signal_rule(before)
    buy_from, sell_to = signal.get("buy_from"), signal.get("sell_to")
    return SignalRule(np.inf if buy_from is None else float(buy_from), -np.inf if sell_to is None else float(sell_to))


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
