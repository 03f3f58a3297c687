"""Files under ``models/`` for people and scripts: derived from the registry, replaced whole, repaired, never read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from marketloop.core.errors import FailedError, MarketLoopError
from marketloop.registry.aside import is_view_name, set_aside
from marketloop.registry.disk import digest, read_verified, safe_name
from marketloop.registry.viewplan import Planned, plan
from marketloop.runtime.files import delete, disk_errors, ensure_folder, write_atomic
from marketloop.runtime.journal import alone
from marketloop.state import State
from marketloop.state.versions import Version

__all__ = ["INDEX", "TOPIC", "ModelViews", "Synced"]

TOPIC: Final = "views"
INDEX: Final = ".views.json"
"""Remembers what was written, so that an edit by hand is told from a version that has changed."""

_REMEDY: Final = "go back to a good version with `marketloop rollback`, or train a new one"


@dataclass(frozen=True, slots=True)
class Synced:
    """What bringing the views up to date came to.

    Parameters
    ----------
    written, removed : names
        Written because the registry has changed, and removed because nothing stands behind them any more.
    repaired : sentences
        Files that somebody edited or deleted, and that are as the registry says again.
    troubles : sentences
        What could not be written: the artefact behind it is damaged.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A view as it was written last."""

    sha256: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class ModelViews:
    """The views of one project.

    Parameters
    ----------
    folder : Path
        E.g. ``models``; things in it that are no views are left alone.
    root : Path
        The registry's own folder, e.g. ``models/registry``: views are copies, so that an edited view harms no artefact.
    state : State
    config_key : str
        Configuration of the project: its champions are ``{family}.*`` and ``prod_model.*``.
    primary : str
        Family of ``prod_model.*`` and ``training_metrics.json``.
    keep : int
        How many of each kind of dated and numbered view stay.
    """

    folder: Path
    root: Path
    state: State
    config_key: str
    primary: str
    keep: int = 10

    def sync(self, *, thorough: bool = False) -> Synced:
        """Make every view what the registry says, and say what somebody else had made of it.

        Parameters
        ----------
        thorough : bool
            Read each view again instead of believing one whose size and time of change are as it was left.

        Raises
        ------
        RefusedError
            Another process does it at this moment.
        FailedError
            The disk refuses; views that were written are whole, the others as they were.
        """
        ensure_folder(self.folder)
        with alone(self.folder / f"{INDEX}.lock", "the views of models/ are being written"):
            before, strangers = self._index()
            sync = _Sync(self, before, thorough, strangers)
            with self.state.read() as db:
                wanted = plan(db, sync.endings, config_key=self.config_key, primary=self.primary, keep=self.keep)
            return sync.run(wanted)

    def names(self) -> tuple[str, ...]:
        """Return the views as they were written last, by name below the folder."""
        return tuple(sorted(self._index()[0]))

    def _index(self) -> tuple[dict[str, _Known], tuple[str, ...]]:
        """Return what was written before, and names in the index that no view can have: nothing is deleted by those.

        A damaged index is none, and every view is looked at again.
        """
        try:
            document = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            found = {name: _Known(str(a["sha256"]), int(a["size"]), int(a["ns"])) for name, a in document.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return {}, ()
        known = {name: about for name, about in found.items() if is_view_name(name)}
        return known, tuple(sorted(set(found) - set(known)))


class _DamagedError(FailedError):
    """The artefact behind a view is damaged: trying again later helps nobody."""


class _Sync:
    """One run of `ModelViews.sync`."""

    def __init__(
        self, views: ModelViews, before: Mapping[str, _Known], thorough: bool, strangers: Iterable[str]
    ) -> None:
        self.views, self.before, self.thorough = views, before, thorough
        self.after: dict[str, _Known] = {}
        self.written: list[str] = []
        self.removed: list[str] = []
        self.repaired = [f"{INDEX} named {json.dumps(n)}, which is no view: the entry is gone" for n in strangers]
        self._stale = bool(self.repaired)
        self.troubles: list[str] = []
        self._manifests: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, wanted: Iterable[Planned]) -> Synced:
        """Write, repair and remove; the index is brought up to date whatever happens in between."""
        refused: MarketLoopError | None = None
        try:
            for planned in wanted:
                try:
                    self._keep(planned)
                except MarketLoopError as error:  # one that cannot be written must not keep the others from it
                    self.after |= {n: k for n, k in self.before.items() if _stem(n, planned.name)}
                    if isinstance(error, _DamagedError):
                        self.troubles.append(f"{planned.name}.*: {error}")
                    else:
                        refused = refused or error
            for name in sorted(set(self.before) - set(self.after)):
                self._remove(name)
        finally:
            self._remember()
        if refused is not None:
            raise refused
        return Synced(*(tuple(found) for found in (self.written, self.removed, self.repaired, self.troubles)))

    def endings(self, row: Version) -> tuple[str, ...]:
        """Return the endings of a version's model files, none where its manifest is damaged."""
        try:
            return tuple(model_files(self._manifest(self.views.root / row.path, row.sha256)["files"]))
        except MarketLoopError:
            return ()

    def _keep(self, planned: Planned) -> None:
        if planned.path is None:
            self._put(planned.name, digest(planned.content), planned.content, None)
            return
        folder = self.views.root / planned.path
        manifest = self._manifest(folder, planned.sha256)
        for ending, part in model_files(manifest["files"]).items():
            sha256 = str(manifest["files"][part]["sha256"])
            self._put(f"{planned.name}{ending}", sha256, None, folder / safe_name(part))

    def _manifest(self, folder: Path, sha256: str) -> dict[str, Any]:
        key = (str(folder), sha256)
        if key not in self._manifests:
            self._manifests[key] = json.loads(_read(folder / "manifest.json", sha256))
        return self._manifests[key]

    def _put(self, name: str, sha256: str, content: bytes | None, source: Path | None) -> None:
        """Make the view `name` hold what has the hash `sha256`, and nothing else."""
        path, known = self.views.folder / name, self.before.get(name)
        found = self._hash_of(path, known)
        if found == sha256 and known is not None:
            self.after[name] = known if self._untouched(path, known) else _known(path, sha256)
            return
        if found != sha256:
            if content is None and source is not None:
                content = _read(source, sha256)
            ensure_folder(path.parent)
            aside = set_aside(path) if path.is_dir() and not path.is_symlink() else None
            write_atomic(path, content or b"")
            if aside is not None:
                self.repaired.append(f"{name} was a folder, which is {aside} now, and is what the registry says again")
            elif known is not None and found != known.sha256:
                what = "had been deleted" if found is None else "had been edited"
                self.repaired.append(f"{name} {what} and is what the registry says again")
            else:
                self.written.append(name)
        self.after[name] = _known(path, sha256)

    def _hash_of(self, path: Path, known: _Known | None) -> str | None:
        """Return the hash of a view; None where there is none, or no file of its own."""
        if path.is_symlink() or not path.is_file():
            return None
        if known is not None and not self.thorough and self._untouched(path, known):
            return known.sha256
        with disk_errors(path):
            return digest(path.read_bytes())

    def _untouched(self, path: Path, known: _Known) -> bool:
        with disk_errors(path):
            now = path.stat()
        return (now.st_size, now.st_mtime_ns) == (known.size, known.changed_ns)

    def _remove(self, name: str) -> None:
        """Delete a view that nothing stands behind any more, if it is what was written; leave what is not ours."""
        path, known = self.views.folder / name, self.before[name]
        gone = "the registry has nothing of that name any more"
        if path.is_file():
            with disk_errors(path):  # size and time of change may be those of the index, which anybody can edit
                ours = digest(path.read_bytes()) == known.sha256
            if ours:
                delete(path)
            else:
                self.repaired.append(f"{name} had been edited and is {set_aside(path)} now: {gone}")
        elif path.is_symlink():
            self.repaired.append(f"{name} had become a link and is {set_aside(path)} now: {gone}")
        elif os.path.lexists(path):
            self.repaired.append(f"{name} is no file and stays where it is: {gone}")
        self.removed.append(name)

    def _remember(self) -> None:
        if self.after == self.before and not self._stale:
            return
        document = {
            name: {"sha256": k.sha256, "size": k.size, "ns": k.changed_ns} for name, k in sorted(self.after.items())
        }
        write_atomic(self.views.folder / INDEX, (json.dumps(document, indent=1) + "\n").encode())


def model_files(files: Iterable[str]) -> dict[str, str]:
    """Return which part of an artefact lies under which ending: the model in its library's own format.

    One such part gives one file, ``.ubj``, ``.txt``, ``.skops`` or ``.onnx``; several (an ensemble) keep their
    members' names before the ending. A linear model is its JSON document.

    >>> model_files(["learner.json", "model.ubj"])
    {'.ubj': 'model.ubj'}
    >>> model_files(["a.model.ubj", "b.model.txt", "ensemble.json"])
    {'.a.ubj': 'a.model.ubj', '.b.txt': 'b.model.txt'}
    """
    names = sorted(files)
    native = [name for name in names if PurePosixPath(name).suffix in {".ubj", ".txt", ".skops", ".onnx"}]
    chosen = native or names
    if len(chosen) == 1:
        return {PurePosixPath(chosen[0]).suffix: chosen[0]}
    return {f".{_member(name)}{PurePosixPath(name).suffix}": name for name in chosen}


def _member(name: str) -> str:
    """Return the name of a part without its ending and without the general word before it."""
    stem = name.removesuffix(PurePosixPath(name).suffix)
    member, _, last = stem.rpartition(".")
    return member if member and last in {"model", "trees"} else stem


def _read(path: Path, sha256: str) -> bytes:
    """Return a file of an artefact; raise `_DamagedError` when it is not what was written."""
    try:
        return read_verified(path, sha256, remedy=_REMEDY)
    except MarketLoopError as error:
        raise _DamagedError(str(error)) from error


def _stem(name: str, of: str) -> bool:
    return name == of or name.startswith(f"{of}.")


def _known(path: Path, sha256: str) -> _Known:
    with disk_errors(path):
        now = path.stat()
    return _Known(sha256, now.st_size, now.st_mtime_ns)
