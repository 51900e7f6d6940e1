import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.errors import MediaError, RequestError
from faceloom.media import remote
from faceloom.media.remote import find_remote, in_words, is_remote, listed_name, patiently, without_secrets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg"),
        ("https://ann:pw@host/a.jpg", "https://host/a.jpg"),
        ("https://host/a.jpg?id=7", "https://host/a.jpg?id=7"),
        ("https://host/a.jpg?X-Amz-Date=1&X-Amz-Signature=abc", "https://host/a.jpg"),
        ("https://host/a.jpg?sv=1&sig=abc", "https://host/a.jpg"),
        ("403, url='https://host/a.jpg?Signature=abc' (refused)", "403, url='https://host/a.jpg' (refused)"),
        ("zip://a.jpg::https://token@host/a.zip", "zip://a.jpg::https://host/a.zip"),
    ],
)
def test_secrets_are_left_out_of_addresses(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


def test_errors_are_told_on_one_line_without_secrets() -> None:
    told = in_words(OSError("GET\nhttps://me:pw@host/a?token=x failed"))
    assert told == "OSError: GET https://host/a failed"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/deep//a.jpg", "s3/bucket/deep/a.jpg"),
        ("https://host:80/../a.mp4?X-Amz-Signature=1", "https/host:80/a.mp4"),
        ("zip://a/b.png::s3://bucket/x.zip", "zip/a/b.png/s3/bucket/x.zip"),
    ],
)
def test_names_of_a_list_are_its_addresses(address: str, name: str) -> None:
    assert listed_name(address) == name


def test_paths_are_no_addresses() -> None:
    assert not any(map(is_remote, ["a.jpg", "/a/b.jpg", "C:/a", "a::b"]))


class Refusing:
    """Answers after so many refusals."""

    def __init__(self, refusals: int, error: Exception) -> None:
        self.left, self.asked, self._error = refusals, 0, error

    def __call__(self) -> int:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self._error
        return self.asked


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Between which seconds each wait was drawn."""
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return 0.0

    monkeypatch.setattr(remote.random, "uniform", uniform)  # type: ignore[attr-defined]
    return drawn


def test_what_fails_now_and_then_is_asked_again_after_longer_and_longer_waits(waits: list[tuple[float, float]]) -> None:
    assert patiently(Refusing(4, OSError("503"))) == 5
    assert waits == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0)]


def test_what_fails_always_is_given_up(waits: list[tuple[float, float]]) -> None:
    asked = Refusing(99, OSError("503"))
    with pytest.raises(OSError, match="503"):
        patiently(asked)
    assert asked.asked == remote.TRIES == len(waits) + 1


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), MediaError("too large")])
def test_what_will_fail_again_is_asked_once(error: Exception) -> None:
    asked = Refusing(1, error)
    with pytest.raises(type(error)):
        patiently(asked)
    assert asked.asked == 1


def test_nothing_is_asked_again_when_nobody_waits() -> None:
    stop = threading.Event()
    stop.set()
    asked = Refusing(1, OSError("once"))
    with pytest.raises(OSError, match="once"):
        patiently(asked, stop)
    assert asked.asked == 1


def test_without_fsspec_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(RequestError, match=r"faceloom\[remote\]"):
        list(find_remote("s3://bucket/a.jpg"))


@pytest.fixture
def memory() -> Iterator[Any]:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: it is in the extra 'remote'")
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def test_objects_come_in_the_order_of_a_folder(memory: Any) -> None:
    for name in ("b.jpg", "a/z.png", "a/b/c.mp4", "c/d.gif", "B.jpg"):
        memory.pipe(f"/bucket/{name}", name.encode())
    found = list(find_remote("memory://bucket"))
    assert sorted(one.name for one in found) == ["B.jpg", "a/b/c.mp4", "a/z.png", "b.jpg", "c/d.gif"]
    assert [one.name for one in find_remote("memory://bucket/a")] == ["z.png", "b/c.mp4"]
    assert [one.name for one in find_remote("memory://bucket/a/z.png")] == ["z.png"]
    assert {one.address.url for one in found} == {f"memory://bucket/{one.name}" for one in found}


def test_another_content_has_another_tag(memory: Any) -> None:
    memory.pipe("/bucket/a.jpg", b"one")
    (before,) = find_remote("memory://bucket")
    (same,) = find_remote("memory://bucket")
    memory.pipe("/bucket/a.jpg", b"two")
    (after,) = find_remote("memory://bucket")
    assert before.address == same.address
    assert before.address != after.address
    assert json.dumps(after.address.tag)


def test_what_is_too_large_is_not_fetched_whole(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/bucket/a.jpg", bytes(2 << 20))
    (one,) = find_remote("memory://bucket")
    assert one.files is not None
    with pytest.raises(MediaError, match="is larger than"):
        one.files.fetch(one.path, tmp_path / "a.jpg", most_bytes=1 << 20, stop=threading.Event())
    assert (tmp_path / "a.jpg").stat().st_size <= 1 << 20
