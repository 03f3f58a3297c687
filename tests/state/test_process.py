from __future__ import annotations

import dataclasses
import subprocess
import sys

from marketloop.state import this_process


def test_process_knows_that_it_lives() -> None:
    assert not this_process().is_dead(this_process())


def test_process_is_dead_after_its_end_and_its_pid_reused_is_another() -> None:
    script = "from marketloop.state import this_process as t; p = t(); print(p.pid, p.host, p.boot_id or '-', p.start)"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    pid, _host, _boot, start = child.stdout.readline().split()
    child.wait()
    child.stdout.close()
    here = this_process()
    assert dataclasses.replace(here, pid=int(pid), start=start).is_dead(here)
    assert dataclasses.replace(here, start="1").is_dead(here)


def test_process_of_an_earlier_boot_is_dead_and_of_another_host_is_not_known_to_be() -> None:
    here = this_process()
    assert dataclasses.replace(here, boot_id="earlier").is_dead(here)
    assert not dataclasses.replace(here, host="elsewhere", boot_id="other", pid=1).is_dead(here)
