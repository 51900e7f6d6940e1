import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.store.database import connect


@pytest.fixture(scope="module")
def folder(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a portrait, a crowd, a clip's first frames and a file that is no picture, persons named by hand."""
    inputs, out = tmp_path_factory.mktemp("inputs"), tmp_path_factory.mktemp("results") / "faces"
    for name in ("portrait.png", "crowd.jpg", "clip.mp4"):
        (inputs / name).symlink_to(samples / name)
    (inputs / "broken.jpg").write_bytes(b"no picture")
    faceloom.extract(inputs, out, size=128, mask=["extended"], end="4f", filter=["roll=8"])
    with sqlite3.connect(out / "faceloom.sqlite") as db:
        db.execute("UPDATE face SET person = 'person 1' WHERE frame_idx % 2 = 0 AND rejected IS NULL")
        db.execute("UPDATE face SET person = 'person 2' WHERE frame_idx % 2 = 1 AND rejected IS NULL")
        db.execute("UPDATE face SET person = NULL WHERE idx = 1")
    db.close()
    return out


@pytest.fixture
def results(folder: Path) -> Iterator[faceloom.Results]:
    with faceloom.open(folder) as found:
        yield found


def lines(folder: Path) -> list[dict[str, object]]:
    """Every face by the export, also those that were rejected."""
    return [json.loads(line) for line in faceloom.export(folder, rejected=True).splitlines()]


def keys(faces: object) -> list[tuple[str, int, int]]:
    assert isinstance(faces, faceloom.FaceSelection)
    return [(face.frame.source, face.frame.index, face.index) for face in faces]


def test_faces_are_those_of_the_export_in_its_order(results: faceloom.Results, folder: Path) -> None:
    told = [line for line in lines(folder) if "rejected" not in line]
    assert len(results) == len(told) > 20
    assert keys(results.faces()) == [(line["source"], line["frame"], line["index"]) for line in told]
    for face, line in zip(results, told, strict=True):
        assert face.landmarks is not None
        np.testing.assert_allclose(face.box, np.array(line["box"]), atol=0.001)
        np.testing.assert_allclose(face.landmarks, np.array(line["landmarks"]), atol=0.001)
        assert (face.chip, face.person or None) == (line["chip"], line["person"])
        assert (None if face.time is None else float(face.time)) == line["time_s"]


def side(face: faceloom.ResultFace) -> float:
    x0, y0, x1, y1 = face.box.tolist()
    return float(max(x1 - x0, y1 - y0))


def turned(face: faceloom.ResultFace) -> tuple[float, float, float]:
    assert face.pose is not None
    return abs(face.pose.pitch), abs(face.pose.yaw), abs(face.pose.roll)


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"source": "clip.mp4"}, lambda face: face.frame.source == "clip.mp4"),
        ({"source": ["clip.mp4", "portrait.png"]}, lambda face: face.frame.source in {"clip.mp4", "portrait.png"}),
        ({"source": []}, lambda face: False),
        ({"person": "person 1"}, lambda face: face.person == "person 1"),
        ({"person": ("person 1", "person 2")}, lambda face: face.person),
        ({"person": ""}, lambda face: not face.person),
        ({"min_score": 0.9}, lambda face: face.score >= 0.9),
        ({"min_size": 80}, lambda face: side(face) >= 80),
        ({"min_size": 40, "max_size": 60.5}, lambda face: 40 <= side(face) <= 60.5),
        ({"max_pitch": 8}, lambda face: turned(face)[0] <= 8),
        ({"max_yaw": 0.7}, lambda face: turned(face)[1] <= 0.7),
        ({"max_roll": 3}, lambda face: turned(face)[2] <= 3),
        ({"min_sharpness": 100}, lambda face: face.sharpness >= 100),
        (
            {"source": "clip.mp4", "person": "person 1", "min_score": 0.8, "min_size": 20, "max_yaw": 1},
            lambda face: (
                face.frame.source == "clip.mp4"
                and face.person == "person 1"
                and face.score >= 0.8
                and side(face) >= 20
                and turned(face)[1] <= 1
            ),
        ),
    ],
)
def test_conditions_hold_for_the_faces_that_come_and_for_no_other(
    results: faceloom.Results, conditions: dict[str, object], holds: Callable[[faceloom.ResultFace], object]
) -> None:
    for rejected in (False, True):
        found = results.faces(**conditions, rejected=rejected)  # type: ignore[arg-type]
        expected = [face for face in results.faces(rejected=rejected) if holds(face)]
        assert [str(face) for face in found] == [str(face) for face in expected]
        assert len(found) == len(expected)


def test_the_conditions_above_leave_some_faces_in_and_some_out(results: faceloom.Results) -> None:
    for condition in ({"max_yaw": 0.7}, {"max_pitch": 8}, {"max_roll": 3}, {"min_size": 80}, {"min_score": 0.9}):
        assert 0 < len(results.faces(**condition)) < len(results), condition
    assert len(results.faces(rejected=True)) > len(results)


def test_a_share_is_of_the_shorter_side_of_the_faces_own_frame(results: faceloom.Results) -> None:
    sizes = {frame.id: (frame.height, frame.width) for frame in results.frames()}
    found = {(face.frame, face.index) for face in results.faces(min_size="20%")}
    for face in results:
        x0, y0, x1, y1 = face.box
        height, width = sizes[face.frame]
        assert height is not None
        assert width is not None
        assert ((face.frame, face.index) in found) == (max(x1 - x0, y1 - y0) >= 0.2 * min(height, width))
    assert 0 < len(found) < len(results)


@pytest.mark.parametrize(
    "conditions",
    [{"min_score": 80}, {"min_score": -0.1}, {"max_yaw": -1}, {"min_size": "many"}, {"min_sharpness": float("nan")}],
)
def test_conditions_that_cannot_be_meant_are_refused_at_once(
    results: faceloom.Results, conditions: dict[str, object]
) -> None:
    with pytest.raises(faceloom.RequestError):
        results.faces(**conditions)  # type: ignore[arg-type]


def test_a_name_that_is_not_there_is_refused_with_the_nearest(results: faceloom.Results) -> None:
    with pytest.raises(faceloom.RequestError, match=r"did you mean 'clip\.mp4'"):
        results.faces(source="clip.mov")
    with pytest.raises(faceloom.RequestError, match="did you mean 'person 1'"):
        results.faces(person="persn 1")
    with pytest.raises(faceloom.RequestError, match=r"did you mean 'crowd\.jpg'"):
        results.frames(source="crowds.jpg")


def test_sources_persons_and_failures_are_told(results: faceloom.Results) -> None:
    assert results.sources == ("broken.jpg", "clip.mp4", "crowd.jpg", "portrait.png")
    assert results.persons == ("person 1", "person 2")
    (failure,) = results.failures
    assert (failure.id.source, failure.status) == ("broken.jpg", "failed")
    assert failure.reason


def test_frames_come_with_their_faces_those_without_one_and_those_that_failed_too(results: faceloom.Results) -> None:
    frames = list(results.frames())
    assert [frame.id for frame in frames] == sorted(frame.id for frame in frames)
    assert [str(frame.id) for frame in frames if frame.status == "failed"] == ["broken.jpg#0"]
    of_frames = [(face.frame, face.index) for frame in frames for face in frame.faces]
    assert of_frames == [(face.frame, face.index) for face in results]
    assert all(face.frame == frame.id for frame in frames for face in frame.faces)
    assert sum(len(frame.faces) for frame in results.frames(rejected=True)) == len(results.faces(rejected=True))
    clip = list(results.frames(source="clip.mp4"))
    assert [frame.id.index for frame in clip] == [0, 1, 2, 3]
    assert [frame.time for frame in clip] == sorted(frame.time or 0 for frame in clip)


def test_a_chip_is_the_picture_in_its_file(results: faceloom.Results, folder: Path) -> None:
    for face in results.faces(source=["portrait.png", "clip.mp4"]):
        assert face.chip is not None
        chip = results.chip(face)
        assert chip.shape == (128, 128, 3)
        assert chip.dtype == np.uint8
        theirs = np.asarray(cv2.imread(str(folder / face.chip), cv2.IMREAD_COLOR_RGB))
        assert np.abs(chip.astype(int) - theirs).max() <= 2  # another decoder of JPEG


def test_a_mask_is_read_by_name_and_covers_the_landmarks(results: faceloom.Results) -> None:
    for face in results.faces(source="portrait.png"):
        mask = results.mask(face, "extended")
        assert mask.shape == (256, 256)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, face.masks["extended"])
        assert face.landmarks is not None
        assert face.frame_to_chip is not None
        nose = face.frame_to_chip @ [*face.landmarks[30], 1]
        x, y = (round(value * 2 + 0.5) for value in nose)
        assert mask[y, x] == 255
        with pytest.raises(faceloom.RequestError, match="no mask 'unet'; it has: extended"):
            results.mask(face, "unet")


def test_a_rejected_face_has_no_chip_and_says_why(results: faceloom.Results) -> None:
    face = next(face for face in results.faces(rejected=True) if face.rejected)
    with pytest.raises(faceloom.RequestError, match="a filter rejected it"):
        results.chip(face)


def test_a_face_of_another_folder_is_refused(results: faceloom.Results, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    with faceloom.open(tmp_path / "copy") as copy:
        theirs = next(iter(copy))
    with pytest.raises(faceloom.RequestError, match="is of"):
        results.chip(theirs)
    with pytest.raises(faceloom.RequestError, match="is of"):
        results.mask(theirs, "extended")


@pytest.mark.parametrize("path", ["../outside.png", "/outside.png", "chips/link.png"])
def test_a_chip_outside_the_folder_is_not_read(folder: Path, samples: Path, tmp_path: Path, path: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (tmp_path / "outside.png").symlink_to(samples / "portrait.png")
    (copy / "chips/link.png").symlink_to(samples / "portrait.png")
    named = str(tmp_path / "outside.png") if path.startswith("/") else path
    with sqlite3.connect(copy / "faceloom.sqlite") as db:
        db.execute("UPDATE face SET chip = ? WHERE chip IS NOT NULL", (named,))
    db.close()
    with faceloom.open(copy) as results:
        with pytest.raises(faceloom.StoreError, match=r"does not lie below|is a link"):
            results.chip(next(iter(results)))
        assert "<img" not in next(iter(results))._repr_html_()


def test_a_chip_that_is_gone_is_told_of(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "chips")
    with faceloom.open(copy) as results, pytest.raises(faceloom.StoreError, match="faceloom derive"):
        results.chip(next(iter(results)))


def test_a_mask_that_is_another_picture_is_refused(folder: Path, samples: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with sqlite3.connect(copy / "faceloom.sqlite") as db:
        picture = (samples / "portrait.png").read_bytes()
        db.execute("INSERT INTO mask SELECT face_id, name, size, ? FROM drawn_mask", (picture,))
    db.close()
    with faceloom.open(copy) as results, pytest.raises(faceloom.StoreError, match="256 x 256"):
        results.mask(next(iter(results)), "extended")


def test_a_folder_without_results_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(faceloom.StoreError, match=r"faceloom\.extract"):
            faceloom.open(folder)
    (tmp_path / "faceloom.sqlite").write_bytes(b"something else altogether" * 100)
    with pytest.raises(faceloom.StoreError):
        faceloom.open(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faceloom.sqlite"]


def test_closed_results_say_so_and_end_what_is_under_way(folder: Path) -> None:
    with faceloom.open(folder) as results:
        faces, frames = iter(results), results.frames()
        face = next(faces)
        next(frames)
    for use in (lambda: next(faces), lambda: next(frames), lambda: results.sources, lambda: results.chip(face)):
        with pytest.raises(faceloom.RequestError, match="closed"):
            use()


def test_a_selection_can_be_gone_through_again_and_beside_itself(results: faceloom.Results) -> None:
    selection = results.faces(source="clip.mp4")
    assert keys(selection) == keys(selection)
    assert all(one.index == other.index for one, other in zip(selection, selection, strict=True))


def test_a_result_without_faces_is_true_and_empty(tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.zeros((64, 64, 3), np.uint8))
    faceloom.extract(blank, tmp_path / "out", align=None)
    with faceloom.open(tmp_path / "out") as results:
        assert results
        assert (len(results), list(results), results.persons, results.failures) == (0, [], (), ())
        (frame,) = results.frames()
        assert frame.faces == ()
        assert results.to_pandas().empty


def test_faces_come_back_from_a_pickle_and_still_have_their_chips(results: faceloom.Results) -> None:
    face = next(iter(results.faces(source="portrait.png")))
    back = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(results.chip(back), results.chip(face))
    np.testing.assert_array_equal(results.mask(back, "extended"), results.mask(face, "extended"))


def test_what_is_printed_is_one_line(results: faceloom.Results) -> None:
    for thing in (results, results.faces(), next(iter(results)), next(results.frames()), *results.failures):
        assert "array(" not in repr(thing)
        assert "\n" not in repr(thing)


def test_a_notebook_shows_a_contact_sheet(results: faceloom.Results) -> None:
    sheet = results.faces(source="clip.mp4")._repr_html_()
    assert sheet.count("<img") == len(results.faces(source="clip.mp4"))
    assert f"{len(results)} faces" in results._repr_html_()


def test_arrow_has_what_parquet_has(results: faceloom.Results, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    written = faceloom.export(folder, "parquet", out=tmp_path / "faces.parquet")
    assert results.to_arrow().equals(parquet.read_table(written))
    some = results.faces(source="portrait.png").to_arrow()
    assert some.num_rows == len(results.faces(source="portrait.png"))
    assert set(some.column("source").to_pylist()) == {"portrait.png"}


def test_a_data_frame_has_a_row_a_face_and_numbers_in_columns(results: faceloom.Results) -> None:
    pytest.importorskip("pandas")
    table = results.to_pandas()
    assert len(table) == len(results)
    for face, (_, row) in zip(results, table.iterrows(), strict=True):
        np.testing.assert_array_equal([row.x0, row.y0, row.x1, row.y1], face.box)
        np.testing.assert_array_equal([row.pitch, row.yaw, row.roll], face.pose)
        np.testing.assert_array_equal(row.landmarks, face.landmarks)
        np.testing.assert_array_equal(row.affine, face.frame_to_chip)
    assert "masks" not in table
    large = table[(table.x1 - table.x0 >= 60) & (table.yaw.abs() <= 20)]
    assert 0 < len(large) < len(table)


def test_without_pandas_or_pyarrow_the_extra_is_named(folder: Path) -> None:
    for module, method, extra in (("pandas", "to_pandas", "pandas"), ("pyarrow", "to_arrow", "parquet")):
        code = (
            f"import sys, faceloom; sys.modules[{module!r}] = None\n"
            f"try: faceloom.open({str(folder)!r}).{method}()\n"
            f"except faceloom.RequestError as error: assert 'faceloom[{extra}]' in str(error), error\n"
            "else: raise SystemExit('no error')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def test_reading_sees_each_commit_while_a_run_writes_and_one_state_during_an_iteration(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with faceloom.open(copy) as results, connect(copy, read_only=False) as writer:
        before, faces = len(results), iter(results)
        first = next(faces)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM face WHERE idx = 0")
        assert len(results) == before  # not committed yet
        writer.execute("COMMIT")
        assert len(results) < before
        assert 1 + sum(1 for _ in faces) == before  # of the moment at which it began
        assert first.index not in {face.index for face in results}


def test_going_through_many_faces_takes_no_more_memory_than_through_few(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)

    def peak() -> int:
        tracemalloc.start()
        with faceloom.open(copy) as results:
            for _ in results:
                pass
            for _ in results.frames():
                pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak()
    columns = "x0, y0, x1, y1, score, landmarks, affine, chip"
    with sqlite3.connect(copy / "faceloom.sqlite") as db:
        source = db.execute("SELECT id FROM source WHERE name = 'clip.mp4'").fetchone()[0]
        db.executemany(
            "INSERT INTO frame (source_id, idx, status) VALUES (?, ?, 'done')", ((source, i) for i in range(100, 5100))
        )
        db.execute(
            f"INSERT INTO face (source_id, frame_idx, idx, {columns}) SELECT source_id, frame.idx, 0, {columns}"
            " FROM (SELECT * FROM face WHERE source_id = ? LIMIT 1) JOIN frame USING (source_id)"
            " WHERE frame.idx >= 100",
            (source,),
        )
        added = db.execute("SELECT count(*) FROM face WHERE frame_idx >= 100").fetchone()[0]
    db.close()
    assert added == 5000
    assert peak() < few + (1 << 20)


def test_reading_leaves_the_folder_as_it_was(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with faceloom.open(copy) as results:
        for face in results:
            results.chip(face)
        results._repr_html_()
        _ = (results.failures, results.persons)
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert {path.name for path in after} - {path.name for path in before} <= {
        "faceloom.sqlite-wal",
        "faceloom.sqlite-shm",
    }
    assert {path: after[path] for path in before if "sqlite-" not in path.name} == {
        path: content for path, content in before.items() if "sqlite-" not in path.name
    }


def test_a_relative_folder_stays_the_same_folder_wherever_the_process_goes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with faceloom.open(folder.name) as results:
        monkeypatch.chdir(tmp_path)
        assert results.chip(next(iter(results))).shape == (128, 128, 3)
        assert os.listdir(tmp_path) == []  # noqa: PTH208


_THREADS = """
import os, sys
import cv2, pandas, pyarrow.parquet
import faceloom
cv2.setNumThreads(1)  # it has threads of its own, by which masks are drawn
def count(): return len(os.listdir("/proc/self/task"))
before = count()
with faceloom.open(sys.argv[1]) as results:
    assert len(results.to_pandas())
print(before, count())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in the process file system")
def test_tables_are_made_without_threads_that_would_abort_a_program_that_ends(folder: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: it is in the extra 'pandas'")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: it is in the extra 'pandas'")
    command = [sys.executable, "-c", _THREADS, str(folder)]
    before, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert before == after
