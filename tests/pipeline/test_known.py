"""Faces that a file tells of, in place of a detector's."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceloom.api import extract
from faceloom.errors import MediaError, RequestError
from faceloom.events import NOT_AN_INPUT, Event, Notice
from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, FrameRecord
from faceloom.formats.registry import format_named, formats
from faceloom.geometry.affine import Points
from faceloom.store.exports import export_to
from faceloom.store.reading import read_faces
from faceloom.store.rows import FaceRow
from faceloom.store.summary import read_summary
from faceloom.supervisor.faces_file import faces_file
from formats.records import usable
from jobs import exported, files_below


@pytest.fixture(scope="module")
def found(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result whose faces a detector found."""
    out = tmp_path_factory.mktemp("found") / "out"
    extract([samples / "crowd.jpg", samples / "portrait.png", samples / "clip.mp4"], out, size=64)
    return out


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which holds nothing of what this one does."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(frames: list[FrameRecord], path: Path, to: str) -> Path:
    with path.open("wb") as file:
        file.writelines(piece for _, piece in format_named(to).write(frames))
    return path


def points(face: FaceRow) -> Points:
    assert face.landmarks is not None
    return face.landmarks


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in exported(folder).splitlines()]


def pixels(folder: Path) -> dict[str, object]:
    """Every chip, as pixels: what a chip says of its face names the stages it went through."""
    from PIL import Image

    chips = {name: Image.open(folder / name) for name in files_below(folder)}
    return {name: (chip.mode, chip.size, chip.tobytes()) for name, chip in chips.items()}


@pytest.fixture(scope="module")
def exact(found: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result's faces in a format that holds every float32 as it is."""
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("exact") / "faces.parquet"
    export_to(found, path, to="parquet")
    return path


def test_there_and_back_in_a_format_of_all_digits_the_result_is_the_same_byte_for_byte(
    samples: Path, found: Path, exact: Path, tmp_path: Path
) -> None:
    for align in ("facemesh", None):  # landmarks that are known are not looked for
        out = tmp_path / f"out-{align}"
        summary = extract(samples, out, size=64, detect="import", from_=exact, align=align)
        assert (summary.faces, summary.failed) == (101, 0)
        assert exported(out) == exported(found)
        assert pixels(out) == pixels(found)


def test_there_and_back_as_json_lines_landmarks_move_by_less_than_a_thousandth_of_a_pixel(
    samples: Path, found: Path, tmp_path: Path
) -> None:
    export_to(found, tmp_path / "faces.jsonl", to="jsonl")
    extract(samples, tmp_path / "out", size=64, detect="import", from_=tmp_path / "faces.jsonl", align=None)
    for (one, _), (other, _) in zip(read_faces(found), read_faces(tmp_path / "out"), strict=True):
        assert (one.frame, one.index) == (other.frame, other.index)
        assert np.abs(points(one) - points(other)).max() < 1e-3
        assert np.abs(one.box - other.box).max() < 1e-3
    assert files_below(tmp_path / "out").keys() == files_below(found).keys()
    # What is exported is rounded so: a second time round there is nothing left to lose.
    export_to(tmp_path / "out", tmp_path / "again.jsonl", to="jsonl")
    extract(samples, tmp_path / "twice", size=64, detect="import", from_=tmp_path / "again.jsonl", align=None)
    assert exported(tmp_path / "twice") == exported(tmp_path / "out")
    assert files_below(tmp_path / "twice") == files_below(tmp_path / "out")


def test_boxes_and_keypoints_alone_are_aligned_as_a_detectors_are(samples: Path, found: Path, tmp_path: Path) -> None:
    faces = [
        (face.frame, FaceRecord(index=face.index, box=face.box, score=face.score, keypoints=face.keypoints))
        for face, _ in read_faces(found)
        if face.frame.source == "crowd.jpg"
    ]
    record = FrameRecord(id=FrameId("crowd.jpg", 0), faces=tuple(face for _, face in faces))
    file = written([record], tmp_path / "boxes.jsonl", "jsonl")
    extract(samples / "crowd.jpg", tmp_path / "out", size=64, detect="import", from_=file)
    wanted = [line for line in lines(found) if line["source"] == "crowd.jpg"]
    told = lines(tmp_path / "out")
    assert len(told) == len(wanted) > 10
    for one, other in zip(told, wanted, strict=True):
        assert np.abs(np.subtract(one["landmarks"], other["landmarks"])).max() < 0.6  # type: ignore[call-overload]


def test_frames_that_the_file_does_not_name_have_no_faces_and_names_that_no_input_has_are_told(
    samples: Path, found: Path, tmp_path: Path
) -> None:
    frames = [
        FrameRecord(id=face.frame, faces=(replace(face, masks={}),))
        for face, _ in read_faces(found)
        if face.index == 0 and face.frame.source != "crowd.jpg" and face.frame.index % 2 == 0
    ]
    strange = [replace(frames[0], id=FrameId(name, 0)) for name in ("nobody.jpg", "portrait.png")]
    strange[1] = replace(strange[1], id=FrameId("portrait.png", 7))
    file = written([*frames, *strange], tmp_path / "some.jsonl", "jsonl")
    heard: list[Event] = []
    extract(samples, tmp_path / "out", size=64, detect="import", from_=file, on_event=heard.append)
    by_frame = {
        (line["source"], line["frame"]): line["faces"]
        for line in map(json.loads, exported(tmp_path / "out", frames=True).splitlines())
    }
    assert by_frame == {
        **{("clip.mp4", i): (i + 1) % 2 for i in range(25)},
        ("crowd.jpg", 0): 0,
        ("portrait.png", 0): 1,
    }
    (notice,) = [event for event in heard if isinstance(event, Notice)]
    assert notice.kind == NOT_AN_INPUT
    assert notice.text.startswith("2 of the ")
    assert "nobody.jpg#0, portrait.png#7" in notice.text


def test_no_network_but_those_that_are_asked_for_is_run(samples: Path, found: Path, tmp_path: Path) -> None:
    export_to(found, tmp_path / "faces.jsonl", to="jsonl")
    summary = extract(
        samples / "portrait.png",
        tmp_path / "out",
        detect="import",
        from_=tmp_path / "faces.jsonl",
        align=None,
        chips=False,
    )
    assert [phase["stages"] for phase in summary.plan["phases"]] == [[]]
    summary = extract(
        samples / "portrait.png",
        tmp_path / "more",
        detect="import",
        from_=tmp_path / "faces.jsonl",
        align=None,
        mask=["unet"],
    )
    assert [stage["stage"] for stage in summary.plan["phases"][0]["stages"]] == ["mask/unet"]


def test_the_budget_holds_and_changes_nothing(samples: Path, found: Path, tmp_path: Path) -> None:
    export_to(found, tmp_path / "faces.jsonl", to="jsonl")
    told = ["--detect", "import", "--from", str(tmp_path / "faces.jsonl"), "--align", "none", "--size", "64", "--json"]
    results = []
    for memory in ("240MiB", "2GiB"):
        done = run("extract", samples, "--out", tmp_path / memory, "--memory", memory, *told)
        summary = json.loads(done.stdout)
        assert summary["peak_bytes"]["cpu"] <= summary["predicted_peak_bytes"]["cpu"] <= summary["budget_bytes"]["cpu"]
        results.append(exported(tmp_path / memory))
    assert results[0] == results[1]
    done = run("extract", samples, "--out", tmp_path / "60MiB", "--memory", "60MiB", *told)
    assert done.returncode == 3
    assert "the smallest budget that would do is" in done.stderr


def test_a_face_without_landmarks_fails_alone_where_nothing_finds_them(
    samples: Path, found: Path, tmp_path: Path
) -> None:
    faces = [face for face, _ in read_faces(found) if face.frame.source == "crowd.jpg"][:3]
    faces[1] = replace(faces[1], landmarks=None)
    file = written([FrameRecord(id=FrameId("crowd.jpg", 0), faces=tuple(faces))], tmp_path / "f.jsonl", "jsonl")
    summary = extract(samples / "crowd.jpg", tmp_path / "out", detect="import", from_=file, align=None, mask=["unet"])
    assert (summary.faces, summary.failed) == (2, 1)
    assert "face 1: its landmarks are not known; add an aligner" in summary.failures[0]


def test_another_file_is_another_configuration(samples: Path, found: Path, tmp_path: Path) -> None:
    export_to(found, tmp_path / "faces.jsonl", to="jsonl")
    portrait = samples / "portrait.png"
    extract(portrait, tmp_path / "out", detect="import", from_=tmp_path / "faces.jsonl", align=None, chips=False)
    before = exported(tmp_path / "out")
    assert set(read_summary(tmp_path / "out")["config"]["import"]) == {"format", "sha256"}
    with (tmp_path / "faces.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(RequestError, match="import"):
        extract(portrait, tmp_path / "out", detect="import", from_=tmp_path / "faces.jsonl", align=None, chips=False)
    assert exported(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detect": "import"}, "name it with --from"),
        ({"from_": "faces.jsonl"}, "is for --detect import"),
        ({"detect": "import", "from_": "gone.jsonl"}, "no file or folder"),
        ({"detect": "import", "from_": "faces.jsonl", "min_score": 0.5}, "is for a detector"),
        ({"detect": "import", "from_": "faces.xyz"}, "--from-format"),
        ({"detect": "import", "from_": "faces.jsonl", "from_format": "xyz"}, "no format 'xyz'"),
        ({"detect": "import", "from_": "strange.jsonl"}, "none of the 1 faces"),
    ],
)
def test_a_request_that_cannot_be_says_what_to_do(
    options: dict[str, str], words: str, samples: Path, found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_to(found, Path("faces.jsonl"), to="jsonl")
    shutil.copy("faces.jsonl", "faces.xyz")
    face = next(face for face, _ in read_faces(found))
    written([FrameRecord(id=FrameId("strange.jpg", 0), faces=(face,))], Path("strange.jsonl"), "jsonl")
    with pytest.raises(RequestError, match=words):
        extract(samples, "out", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["{", '{"source": "portrait.png"}', None])
def test_a_file_that_is_not_of_its_format_ends_the_run_before_it_begins(
    content: str | None, samples: Path, found: Path, tmp_path: Path
) -> None:
    if content is None:  # a face that stands there twice
        export_to(found, tmp_path / "faces.jsonl", to="jsonl")
        content = (tmp_path / "faces.jsonl").read_text().splitlines()[0] + "\n"
        content += content
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(MediaError, match=r"bad\.jsonl"):
        extract(samples, tmp_path / "out", detect="import", from_=tmp_path / "bad.jsonl")
    assert not list((tmp_path / "out").glob("*known*"))


def test_names_of_other_programs_find_their_sources(samples: Path, found: Path, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    shutil.copy(samples / "portrait.png", tmp_path / "in/deep/portrait.png")
    shutil.copy(samples / "clip.mp4", tmp_path / "in/clip.mp4")
    face = next(face for face, _ in read_faces(found) if face.frame.source == "portrait.png")
    clip = {face.frame.index: face for face, _ in read_faces(found) if face.frame.source == "clip.mp4"}
    for name in ("deep/portrait", "portrait.png", "portrait"):
        frames = [
            FrameRecord(id=FrameId(name, 0), faces=(face,)),
            FrameRecord(id=FrameId("clip_000013.png", 0), faces=(replace(clip[12], index=0),)),
        ]
        file = written(frames, tmp_path / "names.jsonl", "jsonl")
        out = tmp_path / name.replace("/", "-")
        extract(tmp_path / "in", out, detect="import", from_=file, align=None, chips=False)
        assert [told.frame for told, _ in read_faces(out)] == [FrameId("clip.mp4", 12), FrameId("deep/portrait.png", 0)]


def test_faces_come_from_every_format_that_there_is(samples: Path, found: Path, tmp_path: Path) -> None:
    wanted = sum(face.frame.source == "crowd.jpg" for face, _ in read_faces(found))
    for one in usable(formats()):
        name = one.name
        path = tmp_path / f"faces-{name}{one.suffix}"
        export_to(found, path, to=name)
        out = tmp_path / f"out-{name}"
        summary = extract(
            samples / "crowd.jpg", out, size=64, detect="import", from_=path, from_format=name, chips=False
        )
        assert (name, summary.faces, summary.failed) == (name, wanted, 0)


def test_a_folder_of_tracks_tells_its_format(found: Path, tmp_path: Path) -> None:
    export_to(found, tmp_path / "tracks", to="cvat")
    assert faces_file(tmp_path / "tracks", format=None).format == "cvat"
    (file, *_) = (tmp_path / "tracks").glob("*.xml")
    assert faces_file(file, format=None).format == "cvat"
    export_to(found, tmp_path / "points", to="pts")
    assert faces_file(tmp_path / "points", format=None).format == "pts"
