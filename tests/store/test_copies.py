import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.api import draw_origin, where
from faceloom.errors import RequestError
from faceloom.grouping import group
from faceloom.results.exporting import export
from faceloom.store import forgetting
from faceloom.store.copies import MARK, CopyKind, mark_derived, note_made
from faceloom.store.database import connect
from faceloom.store.forgetting import Forgotten, forget
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from faceloom.store.unfinished import Unfinished
from store.made_results import CLIP, CONFIG, PICTURES, write_media, write_result

ANN, CROWD = "ann_in_july.png", "deep/crowd.jpg"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder, with a folder of links, one of copies, and a derived one, all made of it."""
    folder = tmp_path_factory.mktemp("copies")
    media, every = write_media(folder / "in"), folder / "every"
    out, derived = every / "out", every / "derived"
    write_result(media, out)
    group(out, threshold=0.9999, folders=every / "links")
    group(out, threshold=0.9999, folders=every / "copies", copy=True)
    write_result(media, derived, config={**CONFIG, "chips": {"format": "jpg", "size": 96}})
    identity = note_made(out, CopyKind.DERIVED, derived)
    assert identity
    with connect(derived, read_only=False) as db:
        mark_derived(db, identity)
    return every.rename(folder / "kept")


@pytest.fixture
def faces(kept: Path) -> Iterator[Path]:
    """That result folder where it was made, for one test: it and its copies know each other by their paths."""
    every = Path(shutil.copytree(kept, kept.with_name("every"), symlinks=True))
    yield every / "out"
    shutil.rmtree(every)


def everything_in(folder: Path) -> bytes:
    """Every byte of every file below a folder, every name, and where every link leads."""
    parts = []
    for above, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(above) / name
            parts.append(bytes(path.relative_to(folder)))
            parts.append(bytes(path.readlink()) if path.is_symlink() else b"")
            parts.append(path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
    return b"\0".join(parts)


def traces_of(out: Path, source: str) -> set[bytes]:
    """Bytes that tell of a source: of its name, its numbers, its masks and its chips."""
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        rows = db.execute(
            "SELECT landmarks, embedding, affine, chip, face.id FROM face JOIN source ON source.id = source_id"
            " WHERE name = ?",
            (source,),
        ).fetchall()
        found = {source.encode(), Path(source).stem.encode()}
        for *blobs, chip, face_id in rows:
            found |= {blob[8:40] for blob in blobs}
            found.add((out / chip).read_bytes()[-80:-20])
            found |= {png[60:100] for (png,) in db.execute("SELECT png FROM mask WHERE face_id = ?", (face_id,))}
    return found


@pytest.mark.parametrize("source", [ANN, CROWD])
def test_after_forgetting_no_byte_of_the_source_is_left_in_the_folder_or_any_copy(source: str, faces: Path) -> None:
    every = faces.parent
    traces = {place: traces_of(every / place, source) for place in ("out", "derived")}
    gone = traces["out"] | traces["derived"]
    there = everything_in(every)
    assert len(gone) > 5
    assert all(trace in there for trace in gone)
    went = forget(faces, source=source)
    left = everything_in(every)
    assert not [trace for trace in gone if trace in left]
    assert not went.unreachable
    assert went.copied_files >= 4 * went.chips  # links, copies, chips and overlays
    others = {name for name, faces in PICTURES.items() if faces} | {CLIP}
    assert {face.frame.source for face, _ in read_faces(every / "derived")} == others - {source}
    assert any(path.is_file() for path in (every / "copies").rglob("*.jpg"))


def test_a_forgotten_persons_faces_go_from_every_copy_and_others_stay(faces: Path) -> None:
    every = faces.parent
    person = next(face.person for face, _ in read_faces(faces) if face.frame.source == CROWD)
    assert person
    before = {place: len(list(read_faces(every / place))) for place in ("out", "derived")}
    went = forget(faces, person=person)
    assert went.faces >= 1
    assert not (every / "links" / person).exists()
    assert not (every / "copies" / person).exists()
    for place, number in before.items():
        assert len(list(read_faces(every / place))) == number - went.faces
    assert len(list((every / "copies").rglob("*.jpg"))) == before["out"] - went.faces


def test_what_cannot_be_reached_is_listed(faces: Path) -> None:
    every = faces.parent
    (every / "links").rename(every / "elsewhere")
    shutil.rmtree(every / "derived")
    (every / "copies" / MARK).write_text("of something else\n")
    kept = sorted((every / "copies").rglob("*.jpg"))
    went = forget(faces, source=CROWD)
    assert len(went.unreachable) == 3
    for name in ("links", "derived", "copies"):
        assert any(str(every / name) in text for text in went.unreachable)
    assert [("it still holds this" in text, "is not there any more" in text) for text in sorted(went.unreachable)] == [
        (False, False),
        (True, True),
        (False, True),
    ]
    assert sorted((every / "copies").rglob("*.jpg")) == kept  # which is not ours any more, as far as its mark says


def test_exports_and_drawn_frames_are_named_since_nothing_can_be_taken_out_of_them(faces: Path) -> None:
    every = faces.parent
    export(faces, "csv", out=every / "faces.csv")
    export(faces, "jsonl", out=every / "moved.jsonl")
    export(faces, "jsonl")
    origin = where(next((faces / "chips").rglob("*.jpg")))
    cv2.imwrite(str(origin.path), np.zeros((64, 64, 3), np.uint8))
    draw_origin(origin, every / "drawn.png")
    (every / "moved.jsonl").unlink()
    assert sorted(forget(faces, source=CROWD).unreachable) == [
        f"{every / 'drawn.png'}: this was made of it and may hold it; remove it, and make it again",
        f"{every / 'faces.csv'}: this was made of it and may hold it; remove it, and make it again",
        f"{every / 'moved.jsonl'}: this was made of it and is not there any more; if it was moved, it may hold it",
    ]


class KilledError(BaseException):
    """What ends the work in place of a signal."""


STEPS: list[tuple[Any, str]] = [
    (forgetting, "_forget_copies"),
    (forgetting, "_count"),
    (forgetting, "_remove"),
    (forgetting, "_delete_source"),
    (forgetting, "_scrub"),
    (forgetting, "_wipe"),
    (Unfinished, "begin"),
    (Unfinished, "end"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_forgetting_that_ends_at_any_step_finishes_when_called_again(
    step: tuple[Any, str], after: bool, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = traces_of(faces, CROWD) | traces_of(faces.parent / "derived", CROWD)
    real: Callable[..., Any] = getattr(*step)

    def ends(*args: Any, **keywords: Any) -> Any:
        if after:
            real(*args, **keywords)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(*step, ends)
        with pytest.raises(KilledError):
            forget(faces, source=CROWD)
    try:
        went = forget(faces, source=CROWD)
        assert isinstance(went, Forgotten)
        if step[1] in {"_wipe", "end"}:  # all was gone at the first try
            assert (went.sources, went.frames, went.faces, went.masks, went.chips) == (1, 1, 12, 24, 12)
    except RequestError:  # it had come to its end
        assert (step[1], after) == ("end", True)
    left = everything_in(faces.parent)
    assert not [trace for trace in gone if trace in left]
    assert read_summary(faces)["sources"] == {"picture": 3, "video": 1}
