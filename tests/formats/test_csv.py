import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.formats.csv import FORMAT, _bare, guarded, write_rows
from faceloom.formats.record import FrameRecord
from formats.records import frames, written

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
few = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@given(st.text("'=+-@\t\r\n1a", max_size=6))
def test_no_text_is_a_formula_and_each_comes_back(text: str) -> None:
    assert not guarded(text).startswith(_DANGEROUS)
    assert _bare(guarded(text)) == text
    assert guarded(text) == text or guarded(text) == f"'{text}"


@few
@given(found=frames())
def test_a_cell_that_a_spreadsheet_could_run_is_a_number(found: list[FrameRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = written(FORMAT, found, Path(folder))
        with target.open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
    for cell in cells:
        assert not cell.startswith(_DANGEROUS) or float(cell) < 0


@pytest.mark.parametrize("number", [-1, -0.5, -1e300])
def test_numbers_stay_as_they_are(number: float) -> None:
    ((_, head), (_, row)) = ((name, piece) for name, piece in _pieces({"a": number, "b": "-1"}))
    assert (head, row) == ("a,b", f"{number},'-1")


def _pieces(line: dict[str, object]) -> list[tuple[str, str]]:
    text = b"".join(piece for _, piece in write_rows([line])).decode()
    return [("", part) for part in text.splitlines()]
