from __future__ import annotations

import datetime as dt

from marketloop.state import State, heartbeats, this_process


def test_heartbeat_is_the_last_one_of_its_name(state: State, noon: dt.datetime) -> None:
    later = noon + dt.timedelta(seconds=30)
    with state.write() as db:
        heartbeats.beat(db, "loop", document={"next": "02:00"}, process=this_process(), at=noon)
        heartbeats.beat(db, "loop", document={"next": "03:00"}, process=this_process(), at=later)
    with state.read() as db:
        found = heartbeats.last(db, "loop")
        assert heartbeats.last(db, "web") is None
    assert found is not None
    assert (found.at, found.document, found.process) == (later, {"next": "03:00"}, this_process())
