"""A PostgreSQL server on loopback that tests start, stop and throw away."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest


class PostgresServer:
    """A server of its own, with an empty database; skips the test where PostgreSQL or its driver is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec("psycopg") is None:
            pytest.skip("psycopg is not installed (extra: postgres)")
        programs = [shutil.which(name) for name in ("initdb", "pg_ctl")]
        if None in programs:
            pytest.skip("PostgreSQL's initdb and pg_ctl are not on the PATH")
        initdb, self._pg_ctl = (str(Path(str(program)).resolve()) for program in programs)
        # pytest's own folders are closed to other accounts
        self._home = Path(tempfile.mkdtemp(prefix="marketloop-postgres-"))
        account: dict[str, Any] = {}
        if os.getuid() == 0:  # the server refuses to run as root
            account = {"user": "postgres"}
            shutil.chown(self._home, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": self._home, **account}
        self._data = self._home / "data"
        command: list[str | Path] = [initdb, "-D", self._data, "-U", "loop", "--auth=trust", "--no-sync"]
        subprocess.run(command, check=True, **self._quiet)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://loop@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self._port} -k {self._home} -F"
        self._control("-l", str(self._home / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End the server at once: its clients lose their connections in the middle of whatever they do."""
        self._control("-m", "immediate", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home)

    def _control(self, *arguments: str) -> None:
        subprocess.run([self._pg_ctl, "-D", self._data, "-w", *arguments], check=True, **self._quiet)
