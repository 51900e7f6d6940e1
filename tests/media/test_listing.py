import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import RequestError
from faceloom.media.listing import FileList, Inputs
from faceloom.media.shards import Shard
from faceloom.media.sources import Missing, PassedOver, Source

PATHS = st.binary(min_size=1, max_size=20).filter(lambda path: not {0, 10, 13} & set(path))
JPEG = b"\xff\xd8\xff\xe0 and so on"


class Trickle(io.RawIOBase):
    """A pipe that gives some bytes at a time, and counts them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        self.given += len(piece)
        return piece


def piped(monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> Trickle:
    pipe = Trickle(iter(pieces))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
    return pipe


def grow(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEG)
    return root


@given(st.lists(PATHS), st.booleans(), st.lists(st.integers(1, 9), min_size=1))
def test_a_list_names_what_was_written_into_it(paths: list[bytes], is_null: bool, cuts: list[int]) -> None:
    content = b"".join(path + (b"\0" if is_null else b"\n") for path in paths)
    pieces: list[bytes] = []
    at = 0
    while at < len(content):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(content[at : at + size])
        at += size
    with pytest.MonkeyPatch.context() as patch:
        piped(patch, pieces)
        found = list(FileList(path=Path("-"), is_null=is_null).entries())
    assert [os.fsencode(path) for path in found] == paths


def test_a_last_line_without_its_end_counts_and_empty_lines_do_not(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\na.jpg\r\n\n\r\nb c.jpg")
    assert list(FileList(path=tmp_path / "list").entries()) == ["a.jpg", "b c.jpg"]


def test_a_name_with_a_line_break_is_one_where_entries_end_with_nul(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a\nb.jpg\0c\r.jpg\0")
    assert list(FileList(path=tmp_path / "list", is_null=True).entries()) == ["a\nb.jpg", "c\r.jpg"]


def test_a_list_is_read_as_far_as_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = piped(monkeypatch, [b"a.jpg\n"] * 1000)
    paths = FileList(path=Path("-")).entries()
    assert [next(paths) for _ in range(10)] == ["a.jpg"] * 10
    assert pipe.given < 200


@pytest.mark.parametrize(
    ("content", "is_null", "words"),
    [(b"a.jpg\0b.jpg\0", False, "-0"), (b"a.jpg\n" * 20_000, True, "a line"), (b"x" * 200_000, False, "NUL")],
)
def test_a_list_with_other_ends_says_so(tmp_path: Path, content: bytes, is_null: bool, words: str) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(RequestError, match=words):
        list(FileList(path=tmp_path / "list", is_null=is_null).entries())


def listed(root: Path, *paths: str | Path) -> Inputs:
    (root / "list").write_bytes(b"\0".join(map(os.fsencode, paths)))
    return Inputs(listed=FileList(path=root / "list", is_null=True))


def test_names_of_a_list_are_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path, "here/a/x.jpg", "here/b/x.jpg", "here/deep/er/y.jpg", "above.jpg")
    monkeypatch.chdir(tmp_path / "here")
    inputs = listed(tmp_path, "a/x.jpg", "./b//x.jpg", "deep", "../above.jpg", tmp_path / "above.jpg", "gone/z.jpg")
    absolute = str(tmp_path / "above.jpg").lstrip("/")
    assert [found.name for found in inputs.find()] == [
        *("a/x.jpg", "b/x.jpg", "deep/er/y.jpg", absolute, absolute, "gone/z.jpg")
    ]


def test_what_a_list_names_is_found_or_said_to_be_something_else(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg", "folder/b.jpg", "folder/c.txt")
    (tmp_path / "notes.txt").write_text("nothing to see")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    names = ("a.jpg", "folder", "notes.txt", "pipe", "broken", "gone.jpg")
    found = {Path(one.path).name: one for one in listed(tmp_path, *(tmp_path / name for name in names)).find()}
    kinds = {name: type(one) for name, one in found.items()}
    assert kinds == {
        **dict.fromkeys(("a.jpg", "b.jpg", "c.txt"), Source),
        **dict.fromkeys(("notes.txt", "pipe"), PassedOver),
        **dict.fromkeys(("broken", "gone.jpg"), Missing),
    }


def test_shards_find_together_what_is_found_alone(tmp_path: Path) -> None:
    grow(tmp_path, *(f"{i % 3}/{i}.jpg" for i in range(30)), "0/notes.md", "Thumbs.db")
    (tmp_path / "0/notes.md").write_text("text")
    for inputs in (Inputs(roots=(tmp_path / "0", tmp_path / "1", tmp_path)), listed(tmp_path, tmp_path, "gone.jpg")):
        parts = [
            list(Inputs(roots=inputs.roots, listed=inputs.listed, shard=Shard(number=i, count=4)).find())
            for i in range(1, 5)
        ]
        whole = list(inputs.find())
        assert sorted(map(repr, whole)) == sorted(repr(one) for part in parts for one in part)
        assert all(part == [one for one in whole if one in part] for part in parts), "the order is another"
        assert len([part for part in parts if part]) == 4


def test_what_is_in_another_shard_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path, *(f"{i}.jpg" for i in range(20)))
    opened: list[str] = []
    open_ = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a: opened.append(path.name) or open_(path, *a))  # type: ignore[func-returns-value]
    found = [one.name for one in Inputs(roots=(tmp_path,), shard=Shard(number=1, count=4)).find()]
    assert opened == found
    assert 0 < len(found) < 20
