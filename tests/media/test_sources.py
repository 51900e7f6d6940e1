import os
import unicodedata
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.media.sources import RESULT_MARK, SourceKind, VideoIndex, find_sources, kind_of, longer_names, printable


def grow(root: Path, *names: str) -> Path:
    """Empty files under a folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_of(*inputs: Path) -> list[str]:
    return [source.name for source in find_sources(inputs)]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.tif", "a.webp", "a.bmp", "a.ppm", "a.avif", "a.b.jpg"])
def test_a_picture_is_known_by_its_suffix(name: str) -> None:
    assert kind_of(Path(name)) is SourceKind.PICTURE


@pytest.mark.parametrize("name", ["a.mp4", "a.MKV", "a.avi", "a.webm", "a.ts", "a.h264", "a.gif", "a.jpg.mov"])
def test_a_video_is_known_by_its_suffix(name: str) -> None:
    assert kind_of(Path(name)) is SourceKind.VIDEO


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg~", "a.json", "a", "a.mp3"])
def test_anything_else_is_neither(name: str) -> None:
    assert kind_of(Path(name)) is None


def test_a_folder_is_searched_in_the_order_of_its_names(tmp_path: Path) -> None:
    grow(tmp_path, "b.jpg", "a/z.png", "a/b/c.mp4", "c/d.gif", "B.jpg", "notes.txt", "a/readme")
    assert names_of(tmp_path) == ["B.jpg", "a/b/c.mp4", "a/z.png", "b.jpg", "c/d.gif"]


def test_inputs_come_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    grow(tmp_path, "a/1.jpg", "b/2.jpg", "c.jpg")
    assert names_of(tmp_path / "b", tmp_path / "c.jpg", tmp_path / "a") == ["2.jpg", "c.jpg", "1.jpg"]


def test_a_folder_of_results_is_passed_over(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg", f"out/{RESULT_MARK}", "out/chips/b.jpg", "out2/c.jpg")
    assert names_of(tmp_path) == ["a.jpg", "out2/c.jpg"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    grow(tmp_path, "a/b/c.jpg", "a/d.jpg")
    (tmp_path / "a" / "b" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(".")
    assert names_of(tmp_path) == ["a/b/c.jpg", "a/d.jpg"]


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    grow(tmp_path, "elsewhere/a.jpg", "input/b.jpg")
    (tmp_path / "input" / "link").symlink_to(tmp_path / "elsewhere")
    assert names_of(tmp_path / "input") == ["b.jpg", "link/a.jpg"]


def test_a_broken_link_and_a_pipe_are_no_sources(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names_of(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "kind"), [("a.dat", SourceKind.PICTURE), ("a", SourceKind.PICTURE), ("a.mp4", SourceKind.VIDEO)]
)
def test_a_file_that_is_named_itself_is_taken_whatever_its_suffix(tmp_path: Path, name: str, kind: SourceKind) -> None:
    grow(tmp_path, name)
    (source,) = find_sources([tmp_path / name])
    assert (source.name, source.path, source.kind) == (name, tmp_path / name, kind)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\nb.jpg", "a\\nb.jpg"),
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        ("caf\u00e9.jpg".encode(), "caf\u00e9.jpg"),
        (b"\x1b[31mred.jpg", "\\x1b[31mred.jpg"),
        ("a\u202eb.jpg".encode(), "a\\u202eb.jpg"),
        ("at 9.41\u202fAM.jpg".encode(), "at 9.41\u202fAM.jpg"),
        ("a\u00a0b\u3000c.jpg".encode(), "a\u00a0b\u3000c.jpg"),
        ("\U0001f468\u200d\U0001f469.jpg".encode(), "\U0001f468\u200d\U0001f469.jpg"),
        (b"a b'c\".jpg", "a b'c\".jpg"),
    ],
)
def test_an_odd_name_becomes_text_that_can_be_printed(tmp_path: Path, name: bytes, shown: str) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert names_of(tmp_path) == [shown]


@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name))
def test_every_name_that_a_file_can_have_becomes_text(name: bytes) -> None:
    text = printable(os.fsdecode(name))
    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(c) for c in text}
    assert text.encode().decode() == text


def test_longer_names_take_in_one_more_folder_each(tmp_path: Path) -> None:
    grow(tmp_path, "x/y/a.jpg")
    (source,) = find_sources([tmp_path / "x" / "y"])
    assert list(longer_names(source))[:3] == ["y/a.jpg", "x/y/a.jpg", f"{tmp_path.name}/x/y/a.jpg"]


def test_longer_names_end_with_one_that_only_this_file_has(tmp_path: Path) -> None:
    grow(tmp_path, "one/a/x.jpg", "two/a/x.jpg", "three/a/x.jpg")
    sources = list(find_sources(tmp_path / name / "a" for name in ("one", "two", "three")))
    assert {source.name for source in sources} == {"x.jpg"}
    assert len({list(longer_names(source))[-1] for source in sources}) == 3


def test_the_index_of_a_video_names_the_keyframe_before_each_frame() -> None:
    index = VideoIndex(
        height=2,
        width=2,
        time_base=Fraction(1, 25),
        reading_bytes=0,
        ticks=np.array([5, 7, 8, 20, 21]),
        keyframes=np.array([True, False, False, True, False]),
    )
    assert list(index.times()) == [(5, 5), (7, 5), (8, 5), (20, 20), (21, 20)]


def test_the_index_of_a_video_without_times_names_none() -> None:
    index = VideoIndex(
        height=2,
        width=2,
        time_base=Fraction(1, 25),
        reading_bytes=0,
        ticks=None,
        keyframes=np.array([True, False]),
    )
    assert list(index.times()) == [(None, None), (None, None)]
