import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.attributes import Part
from faceloom.errors import MediaError
from faceloom.formats import registry
from faceloom.formats.record import FrameRecord
from formats.records import (
    everything,
    frames,
    kept,
    plain,
    read_back,
    usable,
    without,
    without_places_of_masks,
    written,
)

ALL = {found.name: found for found in usable(registry.formats())}
INEXACT = {"fsa", "pts", "wider-truth"}
"""They change what they keep, and have tests of their own; of every other one it comes back as it was."""
CLIPPED = {"coco"}
"""Their boxes end where the frame does."""
WITH_PLACES = {"parquet"}
"""It tells where masks lie, for which there is no part of its own."""
few = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def within_frame(frame: FrameRecord) -> FrameRecord:
    """The frame with boxes of which nothing lies beyond its outermost pixels."""
    assert frame.width is not None
    assert frame.height is not None
    least, most = (-0.5, -0.5), (frame.width - 0.5, frame.height - 0.5)
    faces = (replace(face, box=np.clip(face.box.reshape(2, 2), least, most).ravel()) for face in frame.faces)
    return replace(frame, faces=tuple(faces))


@pytest.mark.parametrize("name", sorted(ALL.keys() - INEXACT))
@few
@given(data=st.data())
def test_what_a_format_keeps_comes_back_and_a_second_way_changes_nothing(name: str, data: st.DataObject) -> None:
    found = data.draw(frames())
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        read = list(read_back(ALL[name], found, Path(one)))
        back = plain(read)
        assert plain(list(read_back(ALL[name], read, Path(two)))) == back
    expected = kept(found, ALL[name])
    if name in CLIPPED:
        expected = [within_frame(frame) for frame in expected]
    assert back == plain(expected if name in WITH_PLACES else without_places_of_masks(expected))


@pytest.mark.parametrize("name", ALL)
@few
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    found: list[FrameRecord] = data.draw(frames())
    with tempfile.TemporaryDirectory() as folder:
        target = written(ALL[name], found, Path(folder))
        files = [path for path in sorted(target.rglob("*")) if path.is_file()] if target.is_dir() else [target]
        for path in files:
            content = bytearray(path.read_bytes())
            for _ in range(data.draw(st.integers(1, 4))):
                place = data.draw(st.integers(0, max(len(content) - 1, 0)))
                content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
            path.write_bytes(content)
        try:
            list(ALL[name].read(target))
        except MediaError:
            return


@pytest.mark.parametrize("name", ALL)
def test_a_file_of_another_kind_or_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    for path in (tmp_path / "some", tmp_path / "nothing"):
        with pytest.raises(MediaError, match="cannot be read as"):
            list(ALL[name].read(path))


@pytest.mark.parametrize("row", registry.losses().splitlines())
def test_the_documentation_says_what_a_format_loses(row: str) -> None:
    assert row in DOCS.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("name", ALL)
def test_a_part_comes_back_where_the_format_says_so_and_nowhere_else(name: str, part: Part, tmp_path: Path) -> None:
    """What is read cannot tell whether the part was there, unless the format keeps it."""
    found, poorer = [everything()], without(part, everything())
    (tmp_path / "poorer").mkdir()
    back = plain(list(read_back(ALL[name], found, tmp_path)))
    tells = plain(list(read_back(ALL[name], poorer, tmp_path / "poorer"))) != back
    assert tells == (part in ALL[name].keeps)
