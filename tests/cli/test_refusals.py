import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom.api
from faceloom.cli.main import main
from faceloom.cli.option_files import FILE


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words", "usage"),
    [
        (["extrct", "a"], "there is no command 'extrct'; did you mean 'extract'?", "faceloom [-h]"),
        (["extract", "a", "--out", "b", "--detct", "yunet"], "did you mean --detect?", "faceloom extract"),
        (["extract", "a", "--detct=yunet"], "did you mean --detect?", "faceloom extract"),
        (["plan", "a", "--formt", "png"], "did you mean --format?", "faceloom plan"),
        (["extract", "a", "--out", "b", "--format", "jpeg"], "did you mean 'jpg'?", "faceloom extract"),
        (["extract", "a", "--out", "b", "--size", "large"], "invalid int value", "faceloom extract"),
        (["extract", "a"], "--out", "faceloom extract"),
        (["show", "a", "b"], "nothing takes it", "faceloom show"),
        (["show", "a", "-x"], "nothing takes it", "faceloom show"),
        (["--verson"], "did you mean --version?", "faceloom [-h]"),
    ],
)
def test_a_slip_is_met_with_what_was_meant_and_the_usage_of_the_command(
    arguments: list[str], words: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith(f"usage: {usage}")


@pytest.mark.parametrize("flag", ["--det=yunet", "--ov", "--siz=64"])
def test_a_flag_cannot_be_abbreviated(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "a", "--out", "b", flag]) == 2
    assert f"there is no {flag.partition('=')[0]} here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["extract", "in.png", "--out", "o", "--detect", "yunte"], "did you mean 'yunet'"),
        (["extract", "in.png", "--out", "o", "--memory", "800"], "did you mean 800MiB?"),
        (["pull", "detect/yunt"], "did you mean 'detect/yunet'"),
    ],
)
def test_a_slip_in_a_value_is_met_with_what_was_meant(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in.png").touch()
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = main(arguments)
    (document,) = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert list(document) == ["error"]
    error: dict[str, Any] = document["error"]
    assert list(error) == ["kind", "message", "exit"]
    assert error["exit"] == code
    return error


@pytest.mark.parametrize(
    ("arguments", "kind", "code", "words"),
    [
        (["extract", "nowhere", "--out", "out", "--json"], "RequestError", 2, "no file or folder"),
        (["extract", "nowhere", "--json"], "RequestError", 2, "--out"),
        (["extrct", "--json"], "RequestError", 2, "did you mean 'extract'"),
        (["show", "in", "--json", "--al"], "RequestError", 2, "there is no --al here"),
        (["show", "in", "--json"], "StoreError", 7, "holds no results"),
        (["extract", "in", "--out", "out", "--json"], "MediaError", 4, "no picture"),
        (["--config", "gone.toml", "show", "in", "--json"], "RequestError", 2, "cannot be read"),
    ],
)
def test_with_json_an_error_is_one_document(
    arguments: list[str], kind: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    error = refused(arguments, capsys)
    assert (error["kind"], error["exit"]) == (kind, code)
    assert words in error["message"]


def test_json_in_the_file_holds_for_errors_of_the_command_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_text("[show]\njson = true\n")
    assert refused(["show"], capsys)["exit"] == 2


def test_a_bug_leaves_a_report_without_a_pixel(
    monkeypatch: pytest.MonkeyPatch, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.arange(100, 196, dtype=np.uint8).reshape(4, 8, 3)

    def broken(inputs: list[str], *_: object, **__: object) -> None:
        raise ValueError(f"cannot use {pixels} or {pixels.tolist()} or {pixels.tobytes()!r}")

    monkeypatch.setattr(faceloom.api, "extract", broken)
    error = refused(["extract", "in.png", "--out", "out", "--size", "128", "--json"], capsys)
    assert (error["kind"], error["exit"]) == ("ValueError", 70)
    (report,) = here.glob("faceloom-crash-*.txt")
    assert str(report) in error["message"]
    text = report.read_text()
    assert "size = 128" in text
    assert "opencv-python-headless" in text
    assert "in broken" in text
    for told in (text, error["message"]):
        assert "cannot use" in told
        assert not re.search(r"\b103\W+104\b", told)  # times, places in memory and folders may have one such number
        assert "\\x80" not in told
        assert "hijk" not in told


def test_a_report_is_written_elsewhere_where_the_folder_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(elsewhere))
    monkeypatch.setattr(Path, "cwd", lambda: here / "gone")
    monkeypatch.setattr(faceloom.api, "where", lambda _: 1 / 0)
    assert main(["where", "in.png"]) == 70
    assert len(list(elsewhere.iterdir())) == 1


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "faceloom", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("faceloom ")
