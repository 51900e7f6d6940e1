"""Seconds beside the networks: sums over what there is to read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.choices import ChipFormat
from faceloom.job import Outputs
from faceloom.media.sources import SourceKind
from faceloom.supervisor.costs import Work
from faceloom.supervisor.host_seconds import face_s, reading_s

groups = st.tuples(
    st.sampled_from(SourceKind),
    st.sampled_from([".jpg", ".JPG", "jpeg", ".png", ".mp4", ".xyz", ""]),
    st.integers(1, 10_000),
    st.integers(1, 10**9),
)


@given(st.lists(groups, min_size=1, max_size=5))
def test_reading_takes_on_average_what_it_takes_in_all(pending: list[tuple[SourceKind, str, int, int]]) -> None:
    frames = sum(number for _, _, number, _ in pending)
    alone = [reading_s([one]) * one[2] for one in pending]
    assert reading_s(pending) * frames == pytest.approx(sum(alone))
    assert reading_s([*pending, (SourceKind.PICTURE, ".png", 1, 10**12)]) > reading_s(pending)


def test_nothing_to_read_takes_no_time() -> None:
    assert reading_s([]) == 0


@pytest.mark.parametrize("ending", [".jpg", "jpeg"])
def test_a_jpeg_is_a_jpeg_however_its_name_is_written(ending: str) -> None:
    one = reading_s([(SourceKind.PICTURE, ending, 1, 10**6)])
    assert one == reading_s([(SourceKind.PICTURE, ending.upper(), 1, 10**6)])
    assert one < reading_s([(SourceKind.PICTURE, ".png", 1, 10**6)])


@pytest.mark.parametrize("chip_format", ChipFormat)
def test_a_chip_takes_the_longer_the_larger_it_is_and_none_takes_least(chip_format: ChipFormat) -> None:
    outputs = Outputs(chip_format=chip_format, chip_size=512)
    assert face_s(replace(outputs, write_chips=False)) < face_s(outputs) < face_s(replace(outputs, chip_size=1024))


def test_a_frame_takes_its_reading_and_its_faces() -> None:
    work = Work(
        frames=1,
        frame_bytes=1,
        decoder_bytes=0,
        reading_bytes=0,
        faces_a_frame=322.0,
        kept_bytes_a_frame=1.0,
        decode_s=0.5,
        face_s=0.01,
    )
    assert work.host_s == pytest.approx(0.5 + 3.22)
