"""What lies under deploy/ says what the program does: its commands exist, its units and files can be read."""

from __future__ import annotations

import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from marketloop.cli import main
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


def lines_of(text: str) -> list[str]:
    """Return the logical lines of a file of shell commands or comments: a backslash at the end joins two."""
    return re.sub(r"\\\n#?\s*", " ", text).splitlines()


def commands_in_comments(text: str) -> list[list[str]]:
    """Return the arguments of every ``marketloop`` that a comment runs in a container."""
    ran = (line for line in lines_of(text) if re.match(r"#\s+docker (compose .*)?run ", line))
    return [shlex.split(line.rpartition(" marketloop")[2]) for line in ran]


@pytest.mark.parametrize(
    "text", [DOCKERFILE, (DEPLOY / "compose.yaml").read_text(encoding="utf-8")], ids=["image", "compose"]
)
def test_every_command_that_the_comments_run_is_one_of_the_program(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = commands_in_comments(text)
    assert len(found) >= 1
    for name, *arguments in (arguments for arguments in found if arguments):
        assert name in COMMANDS
        main([name, "--help"])
        told = capsys.readouterr().out
        for flag in (argument for argument in arguments if argument.startswith("--")):
            assert flag in told, (name, flag)


def test_variables_of_the_image_are_read_by_the_program() -> None:
    given = set(re.findall(r"\b(MARKETLOOP_\w+)=", DOCKERFILE))
    assert given == {"MARKETLOOP_PROJECT", "MARKETLOOP_SERVE__HOST"}
    assert load_settings(None, environ={"MARKETLOOP_SERVE__HOST": "0.0.0.0"}, flags={}).serve.host == "0.0.0.0"  # noqa: S104


def test_what_the_image_copies_is_enough_to_install_and_run_the_program(tmp_path: Path) -> None:
    """Follow the steps of the build, as far as they need no network: what is installed here stands in for the rest."""
    source, environment = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for names, target in re.findall(r"^COPY (?!--from)(.+) (\S+)$", DOCKERFILE, re.MULTILINE):
        for name in names.split():
            origin = DEPLOY.parent / name
            if origin.is_dir():
                shutil.copytree(origin, source / target)
            else:
                shutil.copy(origin, source / target / name)
    extras = re.findall(r'pip install --no-cache-dir "\.\[(\w+)\]"', DOCKERFILE)
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras == ["postgres"]
    assert set(extras) <= set(project["optional-dependencies"])
    venv.create(environment, with_pip=False, symlinks=True)
    (library,) = environment.glob("lib/python*/site-packages")
    (library / "what_is_there.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    python = environment / "bin" / "python"
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--python",
        python,
        ".",
    ]
    subprocess.run(install, cwd=source, check=True)
    shutil.rmtree(source)
    program, environ = environment / "bin" / "marketloop", {"MARKETLOOP_PROJECT": str(tmp_path / "project"), "PATH": ""}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], env=environ, capture_output=True, text=True, check=False)

    where = subprocess.run(
        [python, "-c", "import marketloop; print(marketloop.__file__)"], capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(library))
    assert run("init", str(tmp_path / "project"), "--source", "sample").returncode == 0
    assert "no loop runs" in run("loop", "--health").stdout  # the ledger was made: its migrations were installed too
    assert run("up", "--help").returncode == 0


def test_two_containers_never_share_a_hostname() -> None:
    names = [service.get("hostname") for service in compose()["services"].values()]
    assert len(set(filter(None, names))) == len([name for name in names if name])
    assert "do not `--scale`" in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


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
