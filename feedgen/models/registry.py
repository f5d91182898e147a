"""The registry: a folder for each version of the model, and one file that says which of them ranks.

A version is written beside, brought to disk, and renamed into its place: it is there whole or not at all. Promoting and
rolling back replace the one file in the same way. Several processes may read and write: who adds, promotes or rolls
back holds a lock, and others wait.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import msgspec
import numpy as np
from msgspec import Struct

from feedgen.errors import ModelError
from feedgen.models.model import NAME, Meta, Model, read_meta, read_model, stacked_arrays, stacked_of
from feedgen.models.stacking import Stacked
from feedgen.ondisk import alone, put, put_whole, whole_folder

_LINE: Final = "promoted.json"
_LOCK: Final = ".lock"
_LIVE: Final = ".learnt.npz"
_KEPT: Final = 20
"""Promotions that can be rolled back."""


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    """Versions by promotion, the latest last."""

    promoted: tuple[str, ...] = ()


class Registry:
    """Versions in `folder`, which need not be there. Every method raises ModelError, one line, where it cannot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self) -> list[str]:
        """All there are, the one that has learnt longest last. O(versions)."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir())

    def promoted(self) -> tuple[str, ...]:
        """By promotion, the one that ranks last; empty where none ever did. One small read."""
        try:
            raw = (self.folder / _LINE).read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ModelError(f"{self.folder / _LINE}: {error.strerror or error}") from None
        try:
            names = msgspec.json.decode(raw, type=_Line).promoted
        except msgspec.MsgspecError as error:
            raise ModelError(f"{self.folder / _LINE} is broken: {error}") from None
        if not all(NAME.fullmatch(name) for name in names):
            raise ModelError(f"{self.folder / _LINE} is broken: it names what is no version")
        return names

    def add(self, model: Model) -> str:
        """Write a version, whole or not at all; its name. A version that is there already stays as it is."""
        name, files = model.name, model.files()
        with self._held():
            if (self.folder / name).exists():
                return name
            try:
                with whole_folder(self.folder / name) as unfinished:
                    for file, content in files.items():
                        put(unfinished / file, content)
            except OSError as error:
                raise ModelError(f"version {name} cannot be written: {error.strerror or error}") from None
        return name

    def meta(self, name: str) -> Meta:
        """What is to be known of a version."""
        return read_meta(self._folder_of(name))

    def load(self, name: str, definitions: Mapping[str, str]) -> Model:
        """A version, fit for inputs of these definitions; refused with the reason if it is of others."""
        folder = self._folder_of(name)
        refuse_other(read_meta(folder), name, definitions)
        return read_model(folder)

    def promote(self, name: str, definitions: Mapping[str, str]) -> None:
        """Have a version rank from now on. It is read whole first: what cannot serve is not promoted."""
        self.load(name, definitions)
        with self._held():
            line = self.promoted()
            if line[-1:] != (name,):
                self._put(_Line((*line, name)[-_KEPT:]))

    def roll_back(self, definitions: Mapping[str, str]) -> str | None:
        """Have the version rank that did before the last promotion; its name, None if it was the formula."""
        with self._held():
            line = self.promoted()
            if not line:
                raise ModelError("no version is promoted; there is nothing to roll back")
            before = line[:-1]
            if before:
                self.load(before[-1], definitions)
            self._put(_Line(before))
        return before[-1] if before else None

    def put_stacked(self, name: str, stacked: Stacked) -> None:
        """Keep what a version has learnt since, with the log offset it stands at; whole or not at all."""
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, **stacked_arrays(stacked))
        self._replace(name + _LIVE, written.getvalue())

    def stacked(self, name: str) -> Stacked | None:
        """What `put_stacked` kept of a version last; None where there is nothing."""
        path = self.folder / (name + _LIVE)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return stacked_of({part: arrays[part] for part in arrays.files})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise ModelError(f"{path} is broken: {error}") from None

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Alone of all processes; waits for its turn. The folder is made where it is missing."""
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone(self.folder / _LOCK))
            except OSError as error:
                raise ModelError(f"{self.folder} cannot be written: {error.strerror or error}") from None
            yield

    def _put(self, line: _Line) -> None:
        self._replace(_LINE, msgspec.json.encode(line))

    def _replace(self, name: str, content: bytes) -> None:
        """A file of the registry's own folder, whole or not at all."""
        path = self.folder / name
        try:
            put_whole(path, content)
        except OSError as error:
            raise ModelError(f"{path} cannot be written: {error.strerror or error}") from None

    def _folder_of(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ModelError(f"{name!r} is no version's name; feedgen models list shows them")
        if not (self.folder / name).is_dir():
            raise ModelError(f"{name}: there is no such version in {self.folder}; feedgen models list shows them")
        return self.folder / name


def refuse_other(meta: Meta, name: str, definitions: Mapping[str, str]) -> None:
    """Raise ModelError where a model reads other inputs than there are, or the same names mean something else."""
    missing = [known for known in meta.inputs if known not in definitions]
    new = [known for known in definitions if known not in meta.inputs]
    if missing or new:
        raise ModelError(f"{name} is of other inputs:{_some('without', new)}{_some('with', missing)}; train a new one")
    if list(meta.inputs) != list(definitions):
        raise ModelError(f"{name} has the inputs in another order; train a new one")
    changed = [known for known, digest in meta.inputs.items() if definitions[known] != digest]
    if changed:
        raise ModelError(f"{name} is of inputs that are computed otherwise now:{_some('', changed)}; train a new one")


def _some(word: str, names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f" {word} {', '.join(names[:5])}{more}".replace("  ", " ") if names else ""


def told(meta: Meta) -> dict[str, Any]:
    """A version as a program may read it."""
    return {
        "since": meta.since,
        "until": meta.until,
        "rows": meta.rows,
        "inputs": len(meta.inputs),
        "stand_ins": sorted(meta.stand_ins),
        "metrics": meta.metrics,
    }
