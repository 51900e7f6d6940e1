import base64
import html.parser
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.review.plots import Axis, histogram, strip
from faceloom.review.report import report
from review.made_review import HOSTILE, PERSONS, PICTURES, write_review

NAME = "<script>alert('Ann')</script>"


class Parts(html.parser.HTMLParser):
    """What a page is made of: its text, and everything that names another place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_review(tmp_path_factory.mktemp("report"))
    said = faceloom.corrections(made)
    said.name("person 1", NAME)
    said.reject(f"{HOSTILE}#0/0", "a poster")
    return made


def test_a_report_is_one_page_that_needs_nothing_beside_it(folder: Path, tmp_path: Path) -> None:
    page = Parts(report(folder, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert len(page.addresses) > PERSONS
    for address in page.addresses:
        content = base64.b64decode(address.partition(",")[2])
        assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_report_tells_of_people_problems_and_counts_as_they_are_corrected(folder: Path, tmp_path: Path) -> None:
    page = Parts(report(folder, tmp_path / "report.html").read_text(encoding="utf-8"))
    told = re.sub(r"\s+", " ", page.text)
    with faceloom.open(folder) as results:
        counts = f"{len(results)} faces 1 rejected {PERSONS} persons 2 corrections"
        assert NAME in results.persons
    assert f"{len(PICTURES) + 1} pictures 1 video" in told
    assert counts in told
    assert NAME in page.text
    assert "broken.jpg#0" in page.text
    assert "this is no picture" in page.text
    assert "of these by hand" in page.text
    raw = Parts(report(folder, tmp_path / "raw.html", raw=True).read_text(encoding="utf-8"))
    assert NAME not in raw.text


def test_a_report_is_the_same_of_the_same_results(folder: Path, tmp_path: Path) -> None:
    assert report(folder, tmp_path / "a.html").read_bytes() == report(folder, tmp_path / "b.html").read_bytes()


def test_a_report_is_written_to_a_new_file_for_its_owner(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RequestError):
        report(folder, out)


def test_a_report_of_chips_that_are_gone_has_their_faces_without_pictures(folder: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("chips")))
    page = Parts(report(bare, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not page.addresses
    assert "person 2" in page.text


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r'height="([\d.]+)"><title>', svg)]


def test_a_histogram_has_a_bar_for_every_value_that_is_known() -> None:
    values = np.array([0.1] * 3 + [0.9] * 6 + [np.nan] * 5, np.float32)
    drawn = histogram(values, Axis(title="quality", least=0, most=1))
    assert "9 faces" in drawn
    assert [int(count) for count in re.findall(r"<title>(\d+)</title>", drawn)] == [3, 6]
    assert heights(drawn) == [55, 110]
    assert histogram(np.full(3, np.nan, np.float32), Axis(title="quality")) == ""
    assert "1 face," in histogram(np.array([7], np.float32), Axis(title="size", is_log=True))


def test_a_strip_has_a_mark_where_something_is() -> None:
    drawn = strip(np.array([0, 0, 9], np.int64), 10, label="Ann")
    assert re.findall(r'x="([\d.]+)"', drawn) == ["0.0", "468.0"]
    assert re.findall(r'opacity="([\d.]+)"', drawn) == ["1.00", "0.62"]
    assert "<rect" not in strip(np.zeros(0, np.int64), 10, label="Ann")
