"""What teams changed in CVAT and Label Studio comes back into the folder as corrections."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.correcting import Corrections, corrections
from faceloom.errors import MediaError
from faceloom.formats.cvat import FORMAT as CVAT
from faceloom.results.exporting import export
from faceloom.results.results import open as open_results
from faceloom.store.persons import read_embeddings, write_persons
from store.made_results import CLIP, write_media, write_result

CROWD = "deep/crowd.jpg"
WIDTH, HEIGHT = 640, 480


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edits")
    write_result(write_media(folder / "in"), folder / "out")
    ids, _ = read_embeddings(folder / "out")
    write_persons(folder / "out", ids, [f"person {i % 3 + 1}" for i in range(len(ids))])
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


@pytest.fixture
def said(out: Path) -> Corrections:
    return corrections(out)


def faces(folder: Path) -> dict[str, Any]:
    with open_results(folder) as results:
        return {f"{face.frame}/{face.index}": face for face in results}


def verbs(said: Corrections) -> list[str]:
    return [one.verb.value for one in said]


def edited(path: Path, *changes: tuple[str, str]) -> None:
    """Changes the text of a file as somebody does in the other program."""
    text = path.read_text()
    for pattern, to in changes:
        text, count = re.subn(pattern, to, text, count=1, flags=re.DOTALL)
        assert count == 1, pattern
    path.write_text(text)


def test_what_was_changed_in_cvat_comes_back_as_corrections(out: Path, said: Corrections, tmp_path: Path) -> None:
    before = faces(out)
    export(out, to="cvat", out=tmp_path / "cvat")
    assert (said.read(tmp_path / "cvat").added, len(said)) == (0, 0), "nothing was changed"
    file = tmp_path / "cvat" / f"{CROWD}.xml"
    x0, y0, *_ = before[f"{CROWD}#0/3"].box.tolist()
    edited(
        file,
        (f'xtl="{x0:.3f}" ytl="{y0:.3f}"', f'xtl="{x0 + 2:.3f}" ytl="{y0:.3f}"'),
        (r'(<attribute name="index">5</attribute>.*?<attribute name="person">)[^<]*', r"\1Zoe"),
        (r'<track id="\d+" label="face"[^>]*>\s*<box[^>]*><attribute name="index">7<.*?</track>', ""),
        (
            "</annotations>",
            '<track id="900" label="face"><box frame="0" outside="0" occluded="0" keyframe="1"'
            ' xtl="600" ytl="400" xbr="630" ybr="440"/></track></annotations>',
        ),
    )
    edited(tmp_path / "cvat" / "bob.png.xml", (r'points="[\d.]+,', 'points="1.5,'))
    carried = said.read(tmp_path / "cvat")
    now = faces(out)
    assert carried.lost == []
    assert sorted(verbs(said)) == ["add", "assign", "box", "landmarks", "reject"]
    assert now[f"{CROWD}#0/3"].box.tolist() == pytest.approx(
        (before[f"{CROWD}#0/3"].box + np.array([2, 0, 0, 0])).tolist(), abs=1e-3
    )
    assert now[f"{CROWD}#0/5"].person == "Zoe"
    assert f"{CROWD}#0/7" not in now
    assert now[f"{CROWD}#0/12"].box.tolist() == [600, 400, 630, 440]
    assert now["bob.png#0/0"].landmarks[0, 0] == 1.5
    assert said.read(tmp_path / "cvat").added == 0, "a second time it is all as the file says"
    said.undo(*(one.id for one in said))
    assert faces(out).keys() == before.keys()


def test_between_keyframes_of_cvat_boxes_lie_in_a_straight_line(tmp_path: Path) -> None:
    def box(frame: int, x: float, outside: int = 0) -> str:
        place = f'xtl="{x}" ytl="5" xbr="{x + 10}" ybr="25"'
        return f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="1" {place}/>'

    shapes = [box(0, 10), box(4, 30), box(5, 30, outside=1), box(8, 50), box(10, 50)]
    track = f'<track id="0" label="face">{"".join(shapes)}</track>'
    (tmp_path / "a.xml").write_text(f"<annotations><meta><source>a.mp4</source></meta>{track}</annotations>")
    found = {frame.id.index: frame.faces[0].box.tolist() for frame in CVAT.read(tmp_path / "a.xml")}
    assert {frame: box[0] for frame, box in found.items()} == {0: 10, 1: 15, 2: 20, 3: 25, 4: 30, 8: 50, 9: 50, 10: 50}
    assert all(box[1:] == [5, box[0] + 10, 25] for box in found.values())


def test_a_file_of_a_part_of_a_source_takes_nobody_out(out: Path, said: Corrections, tmp_path: Path) -> None:
    some = '<box frame="{0}" outside="0" occluded="0" keyframe="1" xtl="{1}" ytl="{2}" xbr="{3}" ybr="{4}"/>'
    x0, y0, x1, y1 = faces(out)[f"{CROWD}#0/0"].box.tolist()
    track = f'<track id="0" label="face">{some.format(0, x0, y0, x1, y1)}</track>'
    strange = track.replace("track id", "track  id")
    text = "<annotations><meta><source>{}</source></meta>{}</annotations>"
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.xml").write_text(text.format("crowd", track))  # the only source of this name
    (tmp_path / "some" / "b.xml").write_text(text.format("nobody.mp4", strange))
    carried = said.read(tmp_path / "some")
    assert carried.added == 0
    assert len(carried.lost) == 2
    assert "1 of 12 faces" in carried.lost[0]
    assert "nobody.mp4" in carried.lost[1]


def region(box: Any, key: str, person: str | None = None) -> dict[str, Any]:
    """A box as Label Studio tells it: https://labelstud.io/guide/task_format."""
    x0, y0, x1, y1 = np.clip(np.asarray(box, np.float64) + 0.5, 0, [WIDTH, HEIGHT] * 2).tolist()
    value = {"x": 100 * x0 / WIDTH, "y": 100 * y0 / HEIGHT, "rotation": 0, "rectanglelabels": ["face"]}
    value |= {"width": 100 * (x1 - x0) / WIDTH, "height": 100 * (y1 - y0) / HEIGHT}
    value = {name: round(told, 4) if isinstance(told, float) else told for name, told in value.items()}
    told: dict[str, Any] = {"id": key, "type": "rectanglelabels", "from_name": "face", "to_name": "image"}
    told |= {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value}
    return told if person is None else {**told, "meta": {"text": [person]}}


def test_what_was_annotated_in_label_studio_comes_back_as_corrections(
    out: Path, said: Corrections, tmp_path: Path
) -> None:
    before = faces(out)
    crowd = [before[f"{CROWD}#0/{i}"] for i in range(12)]
    result = [region(face.box, f"face-{face.index}", face.person) for face in crowd]
    result[2] = region(crowd[2].box + np.array([3, 0, 3, 0]), "face-2", crowd[2].person)
    result[4] = region(crowd[4].box, "face-4", "Zoe")
    del result[6]
    result.append(region([600, 400, 630, 440], "bQk1", "Eve"))
    point = {"type": "keypointlabels", "value": {"x": 1, "y": 1, "width": 0.4, "keypointlabels": ["nose"]}}
    data = {"image": "crowd.jpg", "source": CROWD, "frame": 0, "time_s": None}
    old = {"result": [], "was_cancelled": False, "created_at": "2026-01-01T00:00:00Z"}
    new = {"result": [*result, point], "was_cancelled": False, "created_at": "2026-01-02T00:00:00Z"}
    skipped = {"result": [], "was_cancelled": True, "created_at": "2026-01-03T00:00:00Z"}
    clip = {"image": f"{CLIP}_000002.png", "source": CLIP, "frame": 1}
    tasks = [
        {"id": 1, "data": data, "annotations": [old, new, skipped]},
        {"id": 2, "data": {**data, "source": "bob.png"}, "annotations": [], "predictions": [{"result": []}]},
        {"id": 3, "data": clip, "annotations": [{"result": [], "was_cancelled": False}]},
        {"id": 4, "data": {"image": "/data/upload/1/nobody-at-all.png?d=1"}, "annotations": [new]},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    carried = said.read(tmp_path / "tasks.json")
    now = faces(out)
    assert carried.lost == ["nobody-at-all.png: no source of this folder is called so"]
    assert sorted(verbs(said)) == ["add", "assign", "assign", "box", "reject"]
    assert now[f"{CROWD}#0/2"].box == pytest.approx(crowd[2].box + np.array([3, 0, 3, 0]), abs=0.01)
    assert (now[f"{CROWD}#0/4"].person, now[f"{CROWD}#0/12"].person) == ("Zoe", "Eve")
    assert before.keys() - now.keys() == {f"{CROWD}#0/6", f"{CLIP}#1/0"}
    assert "bob.png#0/0" in now, "of a task that nobody submitted nothing is known"
    assert said.read(tmp_path / "tasks.json").added == 0


@pytest.mark.parametrize("text", ["[", "[3]", '[{"annotations": [{"result": [{"type": "rectanglelabels"}]}]}]', "<a"])
def test_a_file_of_something_else_changes_nothing(text: str, said: Corrections, tmp_path: Path) -> None:
    (tmp_path / "told.json").write_text(text)
    with pytest.raises(MediaError):
        said.read(tmp_path / "told.json")
    assert len(said) == 0


def test_our_own_export_annotated_as_it_is_says_nothing(out: Path, said: Corrections, tmp_path: Path) -> None:
    said.move_box("bob.png#0/0", [-20.5, 30, 90, 130.25])  # which an export cuts at the edge of the frame
    before = len(said)
    export(out, to="label-studio", out=tmp_path / "tasks.json")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for task in tasks:
        task["annotations"] = [{"result": task.pop("predictions")[0]["result"], "was_cancelled": False}]
    (tmp_path / "annotated.json").write_text(json.dumps(tasks))
    assert (said.read(tmp_path / "annotated.json").added, len(said)) == (0, before)
    del tasks[0]["annotations"][0]["result"][0]
    (tmp_path / "annotated.json").write_text(json.dumps(tasks))
    assert said.read(tmp_path / "annotated.json").added >= 1
