"""Attacks: what a received folder, file or network may try. Nothing runs or changes outside, and all of it ends."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.grouping import group
from faceloom.models.weights import WeightCache
from faceloom.store.folder import DATABASE
from identify_stand_ins import write_sface
from reliability.attack_folders import plant_shadows
from reliability.attack_stores import ATTACKS

_LONGEST_S = 300
"""Seconds in which any of these commands has to have ended, on a machine that is busy with other things too."""
_SHORT = 6
"""Of the attacks on runs, which take some seconds each, every so manieth is tried where nobody asks for all."""
_COMMAND = Path(sys.executable).with_name("faceloom")


@pytest.fixture
def pictures(samples: Path, tmp_path: Path) -> Path:
    """A folder with a picture and a shadow of everything; what is run tells `tmp_path / "ran"`."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder)
    assert plant_shadows(folder, tmp_path / "ran") > 200
    return folder


def run_in(folder: Path, command: list[str | Path], **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=_LONGEST_S
    )


@pytest.mark.parametrize(
    "command",
    [
        ["extract", "portrait.png", "--out", "../out", "--quiet"],
        ["plan", "."],
        ["models"],
        ["doctor"],
    ],
    ids=lambda command: command[0],
)
def test_nothing_beside_the_pictures_is_ever_imported(command: list[str], pictures: Path, tmp_path: Path) -> None:
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    # A cache of its own, so that networks are converted here, each by a process of its own.
    done = run_in(pictures, [_COMMAND, *command], FACELOOM_CACHE=str(tmp_path / "cache"))
    assert done.returncode in {0, 3}, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert (tmp_path / "out/faceloom.sqlite").exists() == (command[0] == "extract")


def test_a_module_run_by_its_name_leaves_the_current_folder(pictures: Path, tmp_path: Path) -> None:
    # These Python imports before anything of ours can be heard; docs/reliability.md says so.
    first = subprocess.check_output([sys.executable, "-c", "import runpy, sys; print(*sys.modules)"], text=True)
    for name in {"faceloom", *(name.partition(".")[0] for name in first.split())}:
        (pictures / f"{name}.py").unlink(missing_ok=True)
    shutil.rmtree(pictures / "faceloom")
    done = run_in(pictures, [sys.executable, "-m", "faceloom", "models"])
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_the_pip_of_the_current_folder_fetches_no_weights(pictures: Path, tmp_path: Path) -> None:
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    nowhere = {"PIP_NO_INDEX": "1", "FACELOOM_WEIGHTS": "", "FACELOOM_CACHE": str(tmp_path / "cache")}
    done = run_in(pictures, [_COMMAND, "pull", "yunet"], **nowhere)
    assert done.returncode == 5, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_networks_are_converted_away_from_the_current_folder(
    pictures: Path, tmp_path: Path, cache: WeightCache
) -> None:
    if not cache.mirrors:
        pytest.skip("FACELOOM_WEIGHTS names no folder, so that there is nothing to convert without the network")
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    done = run_in(pictures, [_COMMAND, "pull", "facemesh"], FACELOOM_CACHE=str(tmp_path / "cache"))
    if done.returncode == 5:
        pytest.skip("the weights cannot be had here")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of two pictures, with embeddings and overlays, as somebody may hand it on."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "pictures").mkdir()
    for name in ("ann.png", "bob.png"):
        (folder / "pictures" / name).write_bytes((samples / "portrait.png").read_bytes() + name.encode())
    weights = {"identify/sface": write_sface(folder / "sface.onnx")}
    extract(
        folder / "pictures",
        folder / "out",
        identify="sface",
        weights=weights,
        mask=["components"],
        overlay=True,
        size=64,
    )
    group(folder / "out", threshold=0.5)
    return folder


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, whoever links to it."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def _commands(folder: Path, made: Path, tmp_path: Path) -> Iterator[list[str]]:
    out, chips = str(folder), sorted((made / "out/chips").rglob("*.jpg"))
    yield ["show", out]
    yield ["show", out, "--json"]
    yield ["check", out]
    for to in ("jsonl", "csv", "coco", "pts"):
        yield ["export", out, "--to", to, "--out", str(tmp_path / f"exported-{to}")]
    yield ["export", out, "--to", "csv", "--frames", "--out", str(tmp_path / "frames")]
    yield ["where", *(str(folder / chip.relative_to(made / "out")) for chip in chips)]
    yield ["group", out, "--folders", str(tmp_path / "people"), "--copy", "--threshold", "0.5"]
    yield ["group", out, "--folders", str(tmp_path / "links"), "--threshold", "0.5"]
    yield ["forget", out, "--person", "person 1"]
    yield ["forget", out, "--person", "person 1", "--yes"]
    yield ["forget", out, "--source", "ann.png"]


def _runs(folder: Path, made: Path, tmp_path: Path) -> Iterator[list[str]]:
    out = str(folder)
    yield ["derive", out, "--out", str(tmp_path / "derived"), "--crop", "whole", "--overlay", "--quiet"]
    yield ["extend", out, "--mask", "extended", "--quiet"]
    sface = ["--identify", "sface", "--weights", f"identify/sface={made / 'sface.onnx'}"]
    same = ["--overlay", "--size", "64", "--mask", "components", *sface, "--quiet"]
    yield ["extract", str(made / "pictures"), "--out", out, *same]


def _leave_undone(folder: Path) -> None:
    """What there is of a run that was ended before its last frame."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        last = "(SELECT max(id) FROM source)"
        db.execute(f"DELETE FROM face WHERE source_id = {last}")
        db.execute(f"UPDATE frame SET status = 'pending' WHERE source_id = {last}")
        db.commit()


class Received:
    """A result folder that somebody has changed, beside a folder that somebody would miss."""

    def __init__(self, name: str, made: Path, tmp_path: Path) -> None:
        self._name, self._made, self._work = name, made, tmp_path
        self._outside = tmp_path / "outside"
        self._outside.mkdir()
        (self._outside / "precious.jpg").write_bytes(b"irreplaceable")
        (self._outside / "000000_0.jpg").write_bytes(b"irreplaceable too")
        self._before = _state(self._outside)
        self.folder = tmp_path / "out"

    def withstands(self, command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        """One command, over a folder that is changed anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._made / "out", self.folder)
        if command[0] == "extract":
            _leave_undone(self.folder)
        ATTACKS[self._name](self.folder, self._outside)
        started = time.monotonic()
        code = main(command)
        told = capfd.readouterr()
        assert code in {0, 1, 2, 4, 7}, (command, told.err)
        assert time.monotonic() - started < 60, command
        assert "Traceback" not in told.err, (command, told)
        assert all(line.isprintable() for line in (told.out + told.err).split("\n")), (command, told)
        assert _state(self._outside) == self._before, command
        assert not list(self._work.glob("faceloom-crash*")), command
        for copies in ("people", "derived"):
            assert b"irreplaceable" not in b"".join(
                path.read_bytes() for path in (self._work / copies).rglob("*") if path.is_file()
            )


@pytest.fixture
def received(name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Received:
    monkeypatch.chdir(tmp_path)
    return Received(name, made, tmp_path)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_received_store_is_data(
    received: Received, made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in _commands(received.folder, made, tmp_path):
        received.withstands(command, capfd)


@pytest.mark.parametrize("name", ATTACKS if "FACELOOM_LONG" in os.environ else list(ATTACKS)[::_SHORT])
def test_a_received_store_is_data_to_runs_too(
    received: Received, made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in _runs(received.folder, made, tmp_path):
        received.withstands(command, capfd)
