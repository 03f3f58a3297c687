"""The keys of the API: can the server start, and does anybody's key end soon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.cli.examinations.serving import is_loopback
from marketloop.state import keys

__all__ = ["EXAMINATIONS"]

_SOON: Final = dt.timedelta(days=14)


def validity(patient: Patient) -> Iterable[Finding]:
    """Say whether there are valid keys where they are needed."""
    with patient.ledger.read() as db:
        made = keys.listing(db)
    valid = [key for key in made if key.is_valid(patient.now)]
    create = "marketloop keys create NAME --role admin"
    host = patient.settings.serve.host
    if not valid and not is_loopback(host):
        value = f"no valid key, and [serve] host = {host}: the server refuses to start"
        return [failed("keys", value, create, expected="at least one")]
    if made and not valid:
        return [warning("keys", f"all {len(made)} keys have ended: nobody is let in", create, expected="a valid key")]
    ending = [key for key in valid if key.expires_at is not None and key.expires_at - patient.now <= _SOON]
    if ending:
        first = min(ending, key=lambda key: key.expires_at or patient.now)
        value = f'the key "{first.name}" ends on {first.expires_at:%Y-%m-%d}'
        return [warning("keys", value, f"marketloop keys rotate {first.name}", expected="14 days or more")]
    return [ok("keys", f"{len(valid)} valid" if made else "none made; on this machine none is needed")]


EXAMINATIONS: Final = (("keys", validity),)
