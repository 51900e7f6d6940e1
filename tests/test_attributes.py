import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from faceloom.attributes import ATTRIBUTES, Kind, Part, Presence, attributes_of
from faceloom.faces import Face, FrameId
from faceloom.formats.record import FaceRecord
from faceloom.store.rows import FaceRow

TOOL = Path(__file__).parents[1] / "tools" / "document_tables.py"
OF_FRAMES = {Part.TIMES, Part.SIZES, Part.EMPTY}
ARRAYS = {Kind.BOX, Kind.POINTS, Kind.NUMBERS, Kind.POSE}


@pytest.mark.parametrize("noun", [Face, FaceRecord, FaceRow])
def test_every_noun_of_a_face_has_all_attributes(noun: type[Face] | type[FaceRecord]) -> None:
    assert {attribute.name for attribute in ATTRIBUTES} <= {field.name for field in fields(noun)}


def test_keys_columns_and_parts_belong_to_one_attribute_each() -> None:
    columns = [name for attribute in ATTRIBUTES for name in attribute.columns]
    parts = [attribute.part for attribute in ATTRIBUTES if attribute.part is not None]
    for told in ([attribute.key for attribute in ATTRIBUTES], columns, parts):
        assert len(told) == len(set(told))
    assert set(parts) | OF_FRAMES == set(Part)


def test_numbers_have_digits_and_arrays_a_shape_and_nothing_else_has() -> None:
    for attribute in ATTRIBUTES:
        assert (attribute.digits is not None) == (attribute.kind in ARRAYS | {Kind.NUMBER}), attribute.name
        assert bool(attribute.shape) == (attribute.kind in ARRAYS), attribute.name


def test_what_came_after_the_first_version_may_be_missing() -> None:
    """Else the rows of an older store could not be given its column."""
    assert not [attribute.name for attribute in ATTRIBUTES if attribute.since > 1 and attribute.is_required]
    assert not [attribute.name for attribute in ATTRIBUTES if attribute.is_added and attribute.is_required]


def test_a_key_that_may_be_left_out_is_of_something_that_may_be_unknown() -> None:
    assert all(one.presence is Presence.ALWAYS for one in ATTRIBUTES if one.is_required or one.kind is Kind.MASKS)


def test_each_is_told_in_a_sentence() -> None:
    assert not [attribute.name for attribute in ATTRIBUTES if not attribute.about.endswith(".")]


def test_attributes_pass_from_one_noun_to_another() -> None:
    box = np.array([1, 2, 3, 4], np.float32)
    face = Face(frame=FrameId("a.jpg", 0), index=3, box=box, score=0.5, confidence=0.25, rejected="order: turned over")
    row = FaceRow(frame=face.frame, **attributes_of(face))
    assert (row.index, row.score, row.confidence, row.rejected) == (3, 0.5, 0.25, "order: turned over")
    assert row.box is box


def test_the_documentation_has_the_tables_as_they_are() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
