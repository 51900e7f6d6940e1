from pathlib import Path

import pytest

from faceloom.errors import MediaError, RequestError
from faceloom.faces import FrameId
from faceloom.formats.record import FrameRecord
from faceloom.formats.wider import FORMAT as PREDICTIONS
from faceloom.formats.wider_truth import FORMAT as TRUTH

PUBLISHED = """\
0--Parade/0_Parade_marchingband_1_849.jpg
1
449 330 122 149 0 0 0 0 0 0 
0--Parade/0_Parade_Parade_0_452.jpg
0
0 0 0 0 0 0 0 0 0 0 
0--Parade/0_Parade_Parade_0_904.jpg
1
361 98 263 339 0 0 0 0 0 0 
"""  # noqa: W291
"""As in wider_face_train_bbx_gt.txt, blanks at the ends of lines and the row for no face included."""


def test_lines_of_the_published_annotations_come_out_as_they_went_in(tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text(PUBLISHED)
    found = list(TRUTH.read(tmp_path / "truth.txt"))
    assert [frame.id.source.rpartition("_")[2] for frame in found] == ["849.jpg", "452.jpg", "904.jpg"]
    assert [[face.box.tolist() for face in frame.faces] for frame in found] == [
        [[449, 330, 571, 479]],
        [],
        [[361, 98, 624, 437]],
    ]
    assert b"".join(piece for _, piece in TRUTH.write(found)).decode() == PUBLISHED


@pytest.mark.parametrize(
    "text", ["a.jpg\n", "a.jpg\n-1\n", "a.jpg\n999999999\n", "a.jpg\n1\n1 2 3\n", "a.jpg\n1\n1 2 nan 4\n"]
)
def test_damaged_text_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(text)
    with pytest.raises(MediaError, match="WIDER FACE"):
        list(PREDICTIONS.read(tmp_path / "some.txt"))


def test_a_name_of_two_lines_is_not_written() -> None:
    with pytest.raises(RequestError, match="cannot stand in a line"):
        list(PREDICTIONS.write([FrameRecord(id=FrameId("a\nb.jpg", 0))]))
