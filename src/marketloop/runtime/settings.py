"""Settings: defaults, then ``marketloop.toml``, then ``MARKETLOOP_*``, then flags, each value with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, PrivateAttr, ValidationError

from marketloop.runtime.complaints import complaint
from marketloop.runtime.layers import Key, Layer, Origin, environment_layer, file_layer, flag_layer
from marketloop.runtime.project import SETTINGS_FILE
from marketloop.runtime.sections import (
    AlarmsSection,
    ComputeSection,
    ContextSection,
    DataSection,
    FamilySection,
    FeaturesSection,
    GateSection,
    GuardSection,
    MonitoringSection,
    Names,
    ProjectSection,
    RegistrySection,
    RetrainingSection,
    Section,
    ServeSection,
    StateSection,
    StrategySection,
    TrackingSection,
)

__all__ = ["Settings", "load_settings"]

_DEFAULT: Final = Origin()


class Settings(Section):
    """All settings of a project, resolved; frozen."""

    project: ProjectSection = ProjectSection()
    data: DataSection = DataSection()
    context: ContextSection = ContextSection()
    strategy: StrategySection = StrategySection()
    features: FeaturesSection = FeaturesSection()
    family: dict[str, FamilySection] = Field(default={})
    gate: GateSection = GateSection()
    guard: GuardSection = GuardSection()
    monitoring: MonitoringSection = MonitoringSection()
    retraining: RetrainingSection = RetrainingSection()
    registry: RegistrySection = RegistrySection()
    serve: ServeSection = ServeSection()
    alarms: AlarmsSection = AlarmsSection()
    state: StateSection = StateSection()
    tracking: TrackingSection = TrackingSection()
    compute: ComputeSection = ComputeSection()
    plugins: Names = ()
    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Origin by dotted key, of every setting that was given; all others are defaults."""
        return self._origins

    def with_origins(self, origins: Mapping[str, Origin]) -> Self:
        """Return the same settings that say where they were given."""
        copy = self.model_copy()
        copy._origins = dict(origins)  # noqa: SLF001 -- our own class
        return copy

    def origin(self, key: str) -> Origin:
        """Return where the setting with the dotted `key` was given."""
        parts = key.split(".")
        return next(
            (self._origins[k] for n in range(len(parts), 0, -1) if (k := ".".join(parts[:n])) in self._origins),
            _DEFAULT,
        )

    def family_section(self, family: str) -> FamilySection:
        """Return the settings of `family`; the defaults where the project says nothing."""
        return self.family.get(family, FamilySection())

    def gate_for(self, family: str) -> GateSection:
        """Return ``[gate]`` with what ``[family.<name>.gate]`` overrides."""
        own = self.family_section(family).gate
        return self.gate.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    def flat(self) -> dict[str, Any]:
        """Return every setting by dotted key, in the order of the sections; values are JSON's."""
        document = self.model_dump(mode="json")
        for name, family in self.family.items():
            document["family"][name]["gate"] = family.gate.model_dump(mode="json", exclude_unset=True)
        return dict(_flatten(document))


def load_settings(project: Path | None, *, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Resolve the settings of a project.

    Parameters
    ----------
    project : Path or None
        Folder with ``marketloop.toml``; None leaves the file out.
    environ : mapping
        The environment; ``MARKETLOOP_GATE__ALPHA_SKILL`` is ``gate.alpha_skill``.
    flags : mapping of dotted key to value
        None means that the flag was not given.

    Raises
    ------
    UsageError
        A key or value is wrong: the message names it, the place where it was given, what was expected, and the
        nearest right key.
    """
    layers = [environment_layer(environ), flag_layer(flags)]
    if project is not None:
        layers.insert(0, file_layer(project / SETTINGS_FILE))
    merged, origins = _merge(layers)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise complaint(error, merged, origins, model=Settings, folder=project) from error
    return settings.with_origins(
        {".".join(key): origin for key, origin in origins.items() if not _is_table(merged, key)}
    )


def _merge(layers: list[Layer]) -> tuple[dict[str, Any], dict[Key, Origin]]:
    merged: dict[str, Any] = {}
    origins: dict[Key, Origin] = {}
    for layer in layers:
        for key, value in layer.values.items():
            table = merged
            for part in key[:-1]:
                inner = table.get(part)
                table[part] = table = inner if isinstance(inner, dict) else {}
            table[key[-1]] = value
            origins[key] = layer.origins[key]
    return merged, origins


def _is_table(merged: Mapping[str, Any], key: Key) -> bool:
    """Say whether `key` names a table: an empty section gives its settings no origin."""
    value: Any = merged
    for part in key:
        value = value[part]
    return isinstance(value, Mapping)


def _flatten(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{key}.")
        else:
            yield key, value
