"""What lies under deploy/ says what the program does: its commands exist, its units and files can be read."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from marketloop.cli.commands import COMMANDS
from marketloop.runtime.settings import load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "marketloop.service"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_every_command_that_is_started_exists() -> None:
    exec_form = re.findall(r'\["marketloop", "(\w+)"', DOCKERFILE) + re.findall(r'CMD \["(\w+)"\]', DOCKERFILE)
    started = {
        unit()["ExecStart"][0].split()[-1],
        compose()["services"]["marketloop"]["command"][0],
        compose()["services"]["marketloop"]["healthcheck"]["test"][2],
        *(name for name in exec_form if name != "marketloop"),
    }
    assert started == {"up", "loop"}
    assert started <= set(COMMANDS)


def test_container_runs_as_nobody_special_and_is_asked_to_stop_in_order() -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert users == ["10001"]
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("ENTRYPOINT")
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (DEPLOY.parent / name).exists(), name


def test_time_to_stop_is_longer_than_what_the_supervisor_needs() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > 10
    assert int(compose()["services"]["marketloop"]["stop_grace_period"].removesuffix("s")) > 10
    assert unit()["KillMode"] == ["mixed"]


def test_variables_of_the_compose_file_are_settings_and_volumes_and_services_are_declared() -> None:
    document = compose()
    services = document["services"]
    environ = {name: str(value) for name, value in services["marketloop"]["environment"].items()}
    settings = load_settings(None, environ=environ, flags={})
    assert str(settings.state.url).startswith("postgresql://marketloop:")
    assert set(services["marketloop"]["depends_on"]) <= set(services)
    mounted = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert mounted == set(document["volumes"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_unit_is_accepted_by_systemd(tmp_path: Path) -> None:
    program = tmp_path / "marketloop"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/marketloop/bin/marketloop --project" in text
    local = tmp_path / "marketloop.service"
    text = text.replace("ExecStart=/opt/marketloop/bin/marketloop", f"ExecStart={program}")
    local.write_text(re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", local],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "marketloop.service" not in done.stderr
