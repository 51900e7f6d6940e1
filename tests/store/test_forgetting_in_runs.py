"""Runs over a folder in which something was forgotten: none of it comes back."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.errors import RequestError
from faceloom.grouping import group
from faceloom.store.forgetting import forget
from faceloom.store.reading import read_faces
from identify_stand_ins import write_sface
from jobs import exported

pytestmark = pytest.mark.slow
NAMES = ("ann_in_july.png", "crowd.jpg", "bob.png")


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures and what was found in them, with everything that a run writes."""
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "pictures").mkdir()
    for name in NAMES:
        original = samples / ("crowd.jpg" if name == "crowd.jpg" else "portrait.png")
        # Other bytes, so that what is left of one picture is not taken for another's.
        (folder / "pictures" / name).write_bytes(original.read_bytes() + name.encode())
    extract(folder / "pictures", folder / "out", **options(folder))
    return folder


def options(folder: Path) -> dict[str, Any]:
    path = folder / "sface.onnx"
    weights = {"identify/sface": path if path.exists() else write_sface(path)}
    return {"identify": "sface", "weights": weights, "overlay": True, "size": 64}


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


def everything_in(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() + bytes(path) for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_later_run_brings_neither_back(made: Path, faces: Path) -> None:
    group(faces, threshold=0.9999)
    person = next(face.person for face, _ in read_faces(faces) if face.frame.source == "crowd.jpg")
    forget(faces, person=person)
    forget(faces, source="ann_in_july.png")
    before = exported(faces)
    summary = extract(made / "pictures", faces, **options(made))
    assert summary.frames == 2
    assert exported(faces) == before
    assert b"ann_in_july" not in everything_in(faces)
    with pytest.raises(RequestError, match="all inputs were forgotten"):
        extract(made / "pictures/ann_in_july.png", faces, **options(made))
    assert b"ann_in_july" not in everything_in(faces)


def test_a_frame_that_is_empty_now_has_no_second_look(made: Path, faces: Path) -> None:
    group(faces, threshold=0.9999)
    person = next(face.person for face, _ in read_faces(faces) if face.frame.source == "bob.png")
    went = forget(faces, person=person)
    assert went.faces == 2  # ann's picture is the same
    extract(made / "pictures", faces, only_empty=True, detect="centerface", **options(made))
    assert {face.frame.source for face, _ in read_faces(faces)} == {"crowd.jpg"}


def test_what_was_never_forgotten_comes_as_before(made: Path, faces: Path) -> None:
    forget(faces, source="bob.png")
    (made / "pictures").joinpath("bob.png").replace(made / "pictures/robert.png")
    try:
        extract(made / "pictures", faces, **options(made))
        assert sorted({face.frame.source for face, _ in read_faces(faces)}) == [
            "ann_in_july.png",
            "crowd.jpg",
            "robert.png",
        ]
    finally:
        (made / "pictures/robert.png").replace(made / "pictures/bob.png")


def test_a_source_by_another_spelling_is_neither_done_twice_nor_comes_back(
    made: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, out = made / "pictures", faces
    (tmp_path / "linked").symlink_to(pictures, target_is_directory=True)
    before = exported(out)
    monkeypatch.chdir(pictures)
    spellings = [Path("../pictures"), Path(), tmp_path / "linked", Path("crowd.jpg"), tmp_path / "linked/crowd.jpg"]
    extract([*spellings, pictures], out, **options(made))
    assert exported(out) == before
    forget(out, source=tmp_path / "linked/crowd.jpg")
    after = exported(out)
    assert "crowd.jpg" not in after
    extract([*spellings[:3], pictures], out, **options(made))
    assert exported(out) == after
