"""The registry: whole or not at all, whoever is killed when; what cannot serve is refused with its reason."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import msgspec
import numpy as np
import pytest

from feedgen.errors import ModelError
from feedgen.models.model import Model, read_model
from feedgen.models.registry import Registry
from feedgen.ondisk import beside
from tests.models.small import examples, known, model


def test_what_is_written_is_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.versions() == []
    name = registry.add(model())
    assert registry.add(model()) == name
    assert registry.versions() == [name]
    found, rows = registry.load(name, known()), examples().rows[:50]
    assert found.meta == read_model(tmp_path / "models" / name).meta
    assert found.files() == model().files()
    assert found.logits_by_trees(rows).tolist() == model().logits_by_trees(rows).tolist()
    assert found.stacked is not None
    hashed = examples().hashed()[:50]
    assert np.isfinite(found.logits_stacked(rows, hashed, found.stacked.weights())).all()


def test_promoting_and_rolling_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with pytest.raises(ModelError, match="nothing to roll back"):
        registry.roll_back(known())
    first, second = registry.add(model()), registry.add(model(4))
    registry.promote(first, known())
    registry.promote(second, known())
    registry.promote(second, known())
    assert registry.promoted() == (first, second)
    assert registry.roll_back(known()) == first
    assert registry.promoted() == (first,)
    assert registry.roll_back(known()) is None
    assert registry.promoted() == ()


def _without(part: str) -> dict[str, str]:
    return {name: digest for name, digest in known().items() if name != part}


def test_a_model_of_other_inputs_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    name = registry.add(model())
    with pytest.raises(ModelError, match="is of inputs that are computed otherwise now: topic; train"):
        registry.load(name, known() | {"topic": "0" * 16})
    with pytest.raises(ModelError, match="other inputs: with age; train"):
        registry.load(name, _without("age"))
    with pytest.raises(ModelError, match="other inputs: without shoe_size; train"):
        registry.promote(name, known() | {"shoe_size": "0" * 16})
    with pytest.raises(ModelError, match="another order"):
        registry.load(name, dict(reversed(known().items())))
    assert registry.promoted() == ()


@pytest.mark.parametrize("harm", ["cut", "bit", "gone", "meta", "format"])
def test_a_broken_version_is_refused_and_not_promoted(tmp_path: Path, harm: str) -> None:
    registry = Registry(tmp_path)
    name = registry.add(model())
    arrays, meta = tmp_path / name / "arrays.npz", tmp_path / name / "model.json"
    raw = arrays.read_bytes()
    if harm == "cut":
        arrays.write_bytes(raw[: len(raw) // 2])
    elif harm == "bit":
        arrays.write_bytes(raw[:5_000] + bytes([raw[5_000] ^ 1]) + raw[5_001:])
    elif harm == "gone":
        arrays.unlink()
    elif harm == "meta":
        meta.write_bytes(meta.read_bytes()[:40])
    else:
        meta.write_bytes(meta.read_bytes().replace(b'"format": 3', b'"format": 99'))
    with pytest.raises(ModelError, match=name):
        registry.promote(name, known())
    assert registry.promoted() == ()


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for name in ("../elsewhere", "", "promoted.json", "20240101T000000-00000000"):
        with pytest.raises(ModelError, match="feedgen models list shows"):
            registry.load(name, known())
    (tmp_path / "promoted.json").write_bytes(msgspec.json.encode({"promoted": ["../x"]}))
    with pytest.raises(ModelError, match="names what is no version"):
        registry.promoted()
    (tmp_path / "promoted.json").write_text("{")
    with pytest.raises(ModelError, match="is broken"):
        registry.promoted()


def test_killed_while_writing_there_is_the_whole_version_or_none(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from feedgen.models.registry import Registry;"
        "from feedgen.models.model import read_model; model = read_model(Path(sys.argv[1]));"
        "print('read', flush=True); Registry(Path(sys.argv[2])).add(model); print('written', flush=True)"
    )
    source = Registry(tmp_path / "source")
    folder = source.folder / source.add(model())
    for wait_s in (0.0, 0.01):
        there = tmp_path / f"models-{wait_s}"
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), str(there)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "read\n"
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        registry = Registry(there)
        for name in registry.versions():
            registry.load(name, known())
        name = registry.add(model())
        assert registry.versions() == [name]
        assert [path.name for path in there.iterdir()] == [name]
        assert isinstance(registry.load(name, known()), Model)


@pytest.mark.parametrize("same", [True, False], ids=["the same version", "another version"])
def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path: Path, same: bool) -> None:
    """In a container a process has the same number each time."""
    registry, left = Registry(tmp_path), model().name if same else model(4).name
    script = (
        f"import os, time; from pathlib import Path; os.getpid = lambda: {os.getpid()}\n"
        "from feedgen.ondisk import whole_folder\n"
        f"with whole_folder(Path({left!r})) as folder:\n"
        "    (folder / 'model.json').write_text('half'); print('writing', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    assert [path.name for path in tmp_path.iterdir()] == [beside(tmp_path / left).name]
    assert registry.versions() == []
    assert registry.add(model()) == model().name
    assert [path.name for path in tmp_path.iterdir()] == [model().name]


TURNS = 10


def _of_seed(one: Model, seed: int) -> Model:
    return replace(one, meta=msgspec.structs.replace(one.meta, seed=seed))


def _names(first: int) -> list[str]:
    return [_of_seed(model(), first + turn).name for turn in range(TURNS)]


def _add_and_promote(folder: Path, source: Path, number: int, barrier: Barrier) -> None:
    """Add the same versions as everybody else, and promote one's own in the same moment as the others theirs."""
    registry, one = Registry(folder), read_model(source)
    for turn in range(TURNS):
        both, own = _of_seed(one, turn), _of_seed(one, 1_000 * (1 + number) + turn)
        barrier.wait(20)
        assert registry.add(both) == both.name
        name = registry.add(own)
        barrier.wait(20)
        registry.promote(name, known())


def test_processes_that_write_at_once_all_succeed_and_nothing_is_lost(tmp_path: Path) -> None:
    source, context = Registry(tmp_path / "source"), multiprocessing.get_context("spawn")
    one, barrier = source.folder / source.add(model()), context.Barrier(2)
    processes = [
        context.Process(target=_add_and_promote, args=(tmp_path / "models", one, number, barrier)) for number in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    registry, own = Registry(tmp_path / "models"), [_names(1_000), _names(2_000)]
    assert sorted(registry.versions()) == sorted(_names(0) + own[0] + own[1])
    promoted = registry.promoted()
    for names in own:
        assert [name for name in promoted if name in names] == names, "each process's, in its order"
    for name in promoted:
        registry.load(name, known())


def test_where_only_what_is_open_to_be_written_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, flock(2): a folder never is."""
    registry, really = Registry(tmp_path), fcntl.flock
    name = registry.add(model())

    def flock(opened: int, how: int) -> None:
        if fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really(opened, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    registry.promote(name, known())
    assert registry.promoted() == (name,)
    assert registry.roll_back(known()) is None
    assert {path.name for path in tmp_path.iterdir()} == {name, "promoted.json"}


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        Registry(tmp_path / "models").add(model())
    if os.path.exists("/dev/full"):
        registry = Registry(tmp_path / "other")
        registry.add(model())
        beside(tmp_path / "other" / "promoted.json").symlink_to("/dev/full")
        with pytest.raises(ModelError, match="No space left"):
            registry.promote(model().name, known())
        assert registry.promoted() == ()
