from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.project import Project, create_project, find_project
from marketloop.runtime.settings import load_settings


def test_create_project_makes_settings_folders_and_gitignore(tmp_path: Path) -> None:
    project = create_project(tmp_path / "mine", settings={"data.source": "folder"})
    assert sorted(p.name for p in project.root.iterdir()) == [
        ".gitignore",
        "data",
        "logs",
        "marketloop.toml",
        "models",
        "reports",
    ]
    settings = load_settings(project.root, environ={}, flags={})
    assert (settings.project.name, settings.data.source) == ("mine", "folder")


def test_create_project_leaves_an_existing_one_alone(tmp_path: Path) -> None:
    (tmp_path / "marketloop.toml").write_text("# mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match="exists already and was left as it is"):
        create_project(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["marketloop.toml"]
    assert (tmp_path / "marketloop.toml").read_text(encoding="utf-8") == "# mine\n"


def test_create_project_keeps_an_existing_gitignore(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n", encoding="utf-8")
    create_project(tmp_path)
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "mine\n"


def test_create_project_says_so_when_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    with pytest.raises(UsageError, match='data" cannot be used: something of another kind is in the way'):
        create_project(tmp_path)
    assert not (tmp_path / "marketloop.toml").exists()


def test_create_project_says_so_when_the_folder_is_read_only(read_only_folder: Path) -> None:
    with pytest.raises(FailedError, match=r"no permission for .*permission denied.*choose another folder"):
        create_project(read_only_folder / "mine")


def test_find_project_looks_upwards(tmp_path: Path) -> None:
    project = create_project(tmp_path / "mine")
    assert find_project(project.data) == project


def test_find_project_prefers_the_named_one_to_the_variable_to_the_working_directory(tmp_path: Path) -> None:
    here, named, variable = (create_project(tmp_path / name) for name in ("here", "named", "variable"))
    environ = {"MARKETLOOP_PROJECT": str(variable.root)}
    assert find_project(here.root, explicit=named.root, environ=environ) == named
    assert find_project(here.root, environ=environ) == variable
    assert find_project(here.root, environ={}) == here


def test_find_project_says_how_to_make_one_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="marketloop init DIR"):
        find_project(tmp_path)
    with pytest.raises(UsageError, match=r'--project names ".*/gone", which holds no marketloop.toml'):
        find_project(tmp_path, explicit=tmp_path / "gone")


def test_project_check_writable_names_the_folder_that_is_read_only(read_only_folder: Path) -> None:
    with pytest.raises(FailedError, match=f'the project folder "{read_only_folder}" is read-only'):
        Project(read_only_folder).check_writable()
