"""Exports to addresses: what is there is what a folder of this machine would have, and it is there when it is whole."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import derive, extract
from faceloom.cli.main import main
from faceloom.errors import MediaError, RequestError
from faceloom.media import remote
from faceloom.results.exporting import export
from faceloom.store import remote_exports
from faceloom.store.forgetting import forget
from faceloom.store.merging import merge
from jobs import exported

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: it is in the extra 'remote'")


@pytest.fixture(scope="module")
def found(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("remote-exports") / "found"
    extract(samples / "crowd.jpg", out, size=64, mask=())
    return out


@pytest.fixture
def system() -> Iterator[Any]:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield memory
    memory.store.clear()


def below(system: Any, prefix: str) -> dict[str, bytes]:
    return {name.removeprefix(prefix): system.cat_file(name) for name in system.find(prefix)}


@pytest.mark.parametrize(("to", "frames"), [("jsonl", False), ("csv", True), ("coco", False)])
def test_a_file_is_one_object(found: Path, system: Any, to: str, frames: bool, tmp_path: Path) -> None:
    export(found, to, out=tmp_path / "here", frames=frames)
    assert export(found, to, out="memory://bucket/deep/faces.txt", frames=frames) == "memory://bucket/deep/faces.txt"
    assert below(system, "/bucket") == {"/deep/faces.txt": (tmp_path / "here").read_bytes()}


def test_many_files_are_objects_below_a_prefix_and_come_some_at_a_time(
    found: Path, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_exports, "_FILES_AT_ONCE", 3)
    export(found, "chips", out=tmp_path / "here")
    assert main(["export", str(found), "--to", "chips", "--out", "memory://bucket/chips"]) == 0
    here = {
        f"/{path.relative_to(tmp_path / 'here')}": path.read_bytes()
        for path in (tmp_path / "here").rglob("*")
        if path.is_file()
    }
    assert len(here) > 6
    assert below(system, "/bucket/chips") == here


@pytest.mark.parametrize("to", ["jsonl", "chips"])
def test_what_is_there_is_left_alone(found: Path, system: Any, to: str) -> None:
    system.pipe("/bucket/faces/own.txt", b"precious")
    system.pipe("/bucket/faces.txt", b"precious")
    for name in ("faces", "faces.txt"):
        with pytest.raises(RequestError, match="there already"):
            export(found, to, out=f"memory://bucket/{name}")
    assert set(below(system, "/bucket").values()) == {b"precious"}


def test_an_export_that_breaks_off_is_marked_as_that(found: Path, system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(remote_exports, "_FILES_AT_ONCE", 2)
    put = type(system).put_file
    left = [4]

    def failing(self: Any, path: str, place: str, **more: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("503 Slow Down")
        put(self, path, place, **more)

    monkeypatch.setattr(type(system), "put_file", failing)
    with pytest.raises(MediaError, match="Slow Down"):
        export(found, "chips", out="memory://bucket/chips")
    assert f"/{remote_exports.UNFINISHED}" in below(system, "/bucket/chips")
    monkeypatch.setattr(type(system), "put_file", put)
    with pytest.raises(RequestError, match="broken off"):
        export(found, "chips", out="memory://bucket/chips")
    monkeypatch.setattr(type(system), "put_file", failing)
    with pytest.raises(MediaError, match="Slow Down"):
        export(found, "jsonl", out="memory://bucket/faces.jsonl")
    assert not system.exists("/bucket/faces.jsonl")


def test_forgetting_names_an_export_at_an_address_without_what_is_secret(
    found: Path, system: Any, tmp_path: Path
) -> None:
    merge(found, tmp_path / "own")
    export(tmp_path / "own", "jsonl", out="memory://bucket/faces.jsonl")
    told = forget(tmp_path / "own", source="crowd.jpg").unreachable
    assert told == ("memory://bucket/faces.jsonl: this was made of it and may hold it; remove it, and make it again",)


def test_an_address_that_nothing_reads_is_refused(found: Path) -> None:
    with pytest.raises(RequestError, match="nosuch"):
        export(found, "jsonl", out="nosuch://bucket/faces")


@pytest.mark.parametrize(
    "command",
    [
        ["extract", "SAMPLES", "--out"],
        ["merge", "FOUND", "--out"],
        ["derive", "FOUND", "--size", "64", "--out"],
        ["pick", "FOUND", "--out"],
        ["redact", "SAMPLES", "--out"],
        ["timeline", "FOUND", "--to", "csv", "--out"],
    ],
    ids=lambda words: words[0],
)
def test_results_at_an_address_are_refused_with_what_to_do(
    command: list[str],
    found: Path,
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [{"SAMPLES": str(samples), "FOUND": str(found)}.get(word, word) for word in command]
    assert main([*words, "s3://me:secret@bucket/faces"]) == 2
    told = capsys.readouterr().err
    assert "--publish s3://bucket/faces" in told
    assert "secret" not in told
    assert not list(tmp_path.iterdir())


def test_the_functions_refuse_it_too(found: Path, samples: Path, tmp_path: Path) -> None:
    for call in (
        lambda: extract(samples, "s3://bucket/faces"),
        lambda: merge(found, "s3://bucket/faces"),
        lambda: derive(found, "s3://bucket/faces"),
    ):
        with pytest.raises(RequestError, match="faceloom publish"):
            call()
    assert exported(found)
    with sqlite3.connect(found / "faceloom.sqlite") as db:
        assert db.execute("SELECT count(*) FROM source").fetchone() == (1,)
