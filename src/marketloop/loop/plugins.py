"""Load what a user adds: modules with one function, ``register(catalog)``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from marketloop.core.catalog import Catalog
from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.core.values import StrategyConfig
from marketloop.features import builtin_features
from marketloop.labels import builtin_labels
from marketloop.models import builtin_families, builtin_recipes

__all__ = ["ALIASES", "ENTRY_POINTS", "build_catalog"]

ENTRY_POINTS = "marketloop.plugins"
ALIASES: Mapping[str, str] = {"ridge": "rank_ridge"}
"""Short names of recipes."""


def build_catalog(strategy: StrategyConfig, plugins: Iterable[str] = (), root: Path | None = None) -> Catalog:
    """Return everything that settings may name: what comes with the product, then each plugin in turn.

    Parameters
    ----------
    plugins : paths ending in ``.py`` (relative to `root`) or dotted module names
        As in ``plugins = [...]`` of ``marketloop.toml``; installed entry points of the group ``marketloop.plugins``
        come after them.

    Raises
    ------
    UsageError
        A plugin cannot be found or loaded, has no ``register``, or takes a name that exists.
    """
    catalog = Catalog().add(*builtin_features(strategy), *builtin_labels(), *builtin_recipes(), *builtin_families())
    for name in plugins:
        _register(catalog, name, _load(name, root or Path.cwd()))
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        _register(catalog, entry.name, _imported(entry.name, entry.module), entry.attr or "register")
    return catalog


def _load(name: str, root: Path) -> ModuleType:
    if not name.endswith(".py"):
        with _importable(root):
            return _imported(name, name)
    path = (root / name).resolve()
    if not path.is_file():
        raise UsageError(f'plugin "{name}": no file {path}; correct plugins = [...] in marketloop.toml')
    key = f"marketloop_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise UsageError(f'plugin "{name}": {path} is not a Python file')
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # an edit within the second must not be overlooked
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(key, None)
        raise UsageError(f'plugin "{name}" cannot be loaded: {type(error).__name__}: {error}') from error
    finally:
        sys.dont_write_bytecode = before
    return module


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let packages beside ``marketloop.toml`` be imported."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _imported(name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UsageError(
            f'plugin "{name}": the module "{module}" cannot be imported ({type(error).__name__}: {error}); '
            "install it, or correct plugins = [...] in marketloop.toml"
        ) from error


def _register(catalog: Catalog, name: str, module: ModuleType, attribute: str = "register") -> None:
    register = getattr(module, attribute, None)
    if not callable(register):
        raise UsageError(f'plugin "{name}" has no function {attribute}(catalog); a plugin is a module with one')
    before = _names(catalog)
    try:
        register(catalog)
    except MarketLoopError as error:
        raise UsageError(f'plugin "{name}": {error}') from error
    except Exception as error:
        raise UsageError(f'plugin "{name}": register(catalog) failed: {type(error).__name__}: {error}') from error
    digest = hashlib.sha256(_source(module).encode()).hexdigest()
    catalog.plugins[name] = digest
    catalog.origins |= {added: digest for added in _names(catalog) if added not in before}
    catalog.plugin_features += tuple(f for f in catalog.features if f"feature:{f}" not in before)


def _names(catalog: Catalog) -> dict[str, None]:
    shelves = (
        ("feature", [*catalog.features]),
        ("label", [*catalog.labels]),
        ("recipe", [*catalog.recipes]),
        ("family", [*catalog.families]),
    )
    return {f"{kind}:{name}": None for kind, names in shelves for name in names}


def _source(module: ModuleType) -> str:
    path = Path(module.__file__ or "")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return repr(module)
