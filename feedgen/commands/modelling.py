"""`feedgen models`: the versions there are, which of them ranks, and having another rank."""

from pathlib import Path
from typing import Any, Final

from feedgen.commands.console import put_json, to_stderr
from feedgen.commands.needed import need_data_folder
from feedgen.config import Settings
from feedgen.errors import ModelError
from feedgen.models.definitions import definitions
from feedgen.models.registry import Registry, refuse_other, told

FOLDER: Final = "models"
"""In the data folder."""


def registry_of(data_dir: Path) -> Registry:
    """The data folder's versions."""
    return Registry(data_dir / FOLDER)


def show(settings: Settings, data_dir: Path) -> None:
    """Say as JSON which versions there are, and of each what it learnt from and whether it fits; one that does not fit
    has its reason under `refused`. Raises ModelError when the registry cannot be read, ForefeedError without a folder.
    """
    need_data_folder(settings, data_dir)
    registry, known = registry_of(data_dir), definitions(settings)
    promoted = registry.promoted()
    versions: list[dict[str, Any]] = []
    for name in registry.versions():
        version: dict[str, Any] = {"name": name, "promoted": promoted[-1:] == (name,)}
        try:
            meta = registry.meta(name)
            version |= told(meta)
            refuse_other(meta, name, known)
        except ModelError as error:
            version["refused"] = str(error)
        versions.append(version)
    put_json({"promoted": promoted[-1] if promoted else None, "before": list(promoted[:-1]), "versions": versions})


def promote(settings: Settings, data_dir: Path, name: str) -> None:
    """Have a version rank from now on. Raises ModelError when it is not there, broken, or of other inputs;
    ForefeedError without a folder."""
    need_data_folder(settings, data_dir)
    registry = registry_of(data_dir)
    registry.promote(name, definitions(settings))
    _said(settings, registry)


def roll_back(settings: Settings, data_dir: Path) -> None:
    """Have the version before rank again. Raises ModelError when none is promoted, or that one cannot serve;
    ForefeedError without a folder."""
    need_data_folder(settings, data_dir)
    registry = registry_of(data_dir)
    registry.roll_back(definitions(settings))
    _said(settings, registry)


def _said(settings: Settings, registry: Registry) -> None:
    promoted = registry.promoted()
    if settings.models.scorer == "formula":
        to_stderr("feedgen: models.scorer is formula: no version ranks, whatever is promoted")
    put_json({"promoted": promoted[-1] if promoted else None, "before": list(promoted[:-1])})
