import io
import subprocess
import sys
from pathlib import Path

import pytest

import faceloom


@pytest.fixture(scope="module")
def folder(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "faces"
    faceloom.extract(samples / "portrait.png", out, mask=["extended"])
    return out


def printed(*arguments: object) -> str:
    command = [sys.executable, "-m", "faceloom.cli.main", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("to", ["jsonl", "csv", "coco"])
def test_the_text_is_what_the_command_prints(folder: Path, to: str, tmp_path: Path) -> None:
    text = faceloom.export(folder, to)
    assert text == printed(folder, "--to", to)
    out = tmp_path / "faces.txt"
    assert faceloom.export(folder, to, out=out) == out
    assert out.read_text() == text
    stream = io.StringIO()
    faceloom.export(folder, to, out=stream)
    assert stream.getvalue() == text


def test_frames_are_written_as_lines_too(folder: Path, tmp_path: Path) -> None:
    text = faceloom.export(folder, frames=True)
    assert text == printed(folder, "--to", "jsonl", "--frames")
    assert faceloom.export(folder, frames=True, out=tmp_path / "frames.jsonl").read_text() == text


def test_nothing_is_written_over_what_is_there(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.jsonl"
    out.write_text("mine")
    for frames in (False, True):
        with pytest.raises(faceloom.RequestError, match="is there already"):
            faceloom.export(folder, out=out, frames=frames)
    assert out.read_text() == "mine"
    with pytest.raises(faceloom.RequestError, match="cannot be written"):
        faceloom.export(folder, out=tmp_path / "no/such/folder.jsonl")


def test_a_format_of_many_files_needs_a_place(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(faceloom.RequestError, match="cannot be written as text"):
        faceloom.export(folder, "pts")
    assert list(faceloom.export(folder, "pts", out=tmp_path / "points").rglob("*.pts"))
    with pytest.raises(faceloom.RequestError, match="no format"):
        faceloom.export(folder, "xml")
