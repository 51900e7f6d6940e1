"""Result folders that faceloom 0.1 made before the table of attributes, with a store of version 2 (`result_2.zip`).

`media` are two pictures and a clip of six frames, cut from the portrait of `faceloom samples`, which is in the public
domain. `faces` was made by

    faceloom extract media --out faces --size 64 --mask-size 64 --identify dlib --filter roll=20

was grouped, and then lost its last chunk but one, as if it had been killed before it: two frames are still to be done.
`told` was made of the line of `pair.jpg` in `whole.jsonl`, by `--detect import --from FILE --mask components` and the
same sizes. `faces.jsonl` (with `--rejected`), `told.jsonl`, and `whole.jsonl` of `faces` before it lost anything, are
what that faceloom exported.
"""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conftest import prepared
from faceloom.attributes import ATTRIBUTES
from faceloom.cli.main import main
from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.orders import configuration
from faceloom.store.database import SCHEMA_VERSION
from faceloom.store.exports import export_to
from faceloom.store.folder import DATABASE
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from jobs import exported, files_below

Line = dict[str, Any]
SAME = ["--size", "64", "--mask-size", "64", "--identify", "dlib", "--filter", "roll=20", "--quiet"]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The folders as they were, somewhere else."""
    with zipfile.ZipFile(Path(__file__).with_name("result_2.zip")) as packed:
        packed.extractall(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of then: what has changed since does not touch these pictures."""
    monkeypatch.setattr(configuration, "RESULTS", 2)


@pytest.fixture
def weights(cache: WeightCache) -> None:
    try:
        for name in ("yunet", "facemesh", "dlib"):
            cache.prepare(CATALOG[name])
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


def lines(text: str) -> list[Line]:
    return [json.loads(line) for line in text.splitlines()]


def then(before: Path, name: str) -> list[Line]:
    return lines((before / f"{name}.jsonl").read_text())


def without_what_was_added(now: list[Line], then: list[Line]) -> list[Line]:
    """Lines of now with no other keys than those of then."""
    return [{key: line[key] for key in line if key in old} for line, old in zip(now, then, strict=True)]


def as_text(found: list[Line]) -> list[str]:
    """With the keys in their order."""
    return [json.dumps(line) for line in found]


def test_a_folder_of_before_exports_the_same_apart_from_added_attributes(before: Path) -> None:
    for name, rejected in (("faces", True), ("told", False)):
        export_to(before / name, before / "now", to="jsonl", rejected=rejected)
        now = lines((before / "now").read_text())
        assert as_text(without_what_was_added(now, then(before, name))) == as_text(then(before, name))
        (before / "now").unlink()


def test_what_was_in_the_store_and_not_in_lines_is_in_them_now(before: Path) -> None:
    with closing(sqlite3.connect(before / "faces" / DATABASE)) as db:
        query = "SELECT confidence FROM face JOIN source ON source.id = source_id ORDER BY name, frame_idx, face.idx"
        stored = [confidence for (confidence,) in db.execute(query)]
    export_to(before / "faces", before / "now", to="jsonl", rejected=True)
    assert [line["confidence"] for line in lines((before / "now").read_text())] == [round(one, 4) for one in stored]


def test_a_folder_of_before_is_brought_to_the_present_version_by_being_read(before: Path) -> None:
    faces = [face for face, _ in read_faces(before / "faces")]
    assert len(faces) == 6
    assert all(face.person == "person 1" and face.embedding is not None for face in faces)
    assert read_summary(before / "faces")["rejected_by"] == {"roll": 1}
    with closing(sqlite3.connect(before / "faces" / DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        there = {row[1] for row in db.execute("PRAGMA table_info(face)")}
    assert {name for attribute in ATTRIBUTES for name in attribute.columns} <= there


def test_what_was_not_known_then_is_in_no_line_of_a_face_of_then(before: Path) -> None:
    export_to(before / "faces", before / "now", to="jsonl", rejected=True)
    assert all("made_up" not in line for line in lines((before / "now").read_text()))


def test_show_tells_of_a_folder_of_before(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(before / "faces")]) == 0
    told = capsys.readouterr().out
    assert "6 done, 0 failed, 2 to do" in told
    assert "roll 1" in told


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_the_same_command_goes_on_with_a_folder_of_before(before: Path) -> None:
    out, chips = before / "faces", files_below(before / "faces")
    assert main(["extract", str(before / "media"), "--out", str(out), *SAME]) == 0
    assert read_summary(out)["frames"] == {"pending": 0, "done": 8, "failed": 0}
    now, whole = lines(exported(out)), then(before, "whole")
    assert [(line["source"], line["frame"]) for line in now] == [(line["source"], line["frame"]) for line in whole]
    for line, old in zip(now, whole, strict=True):
        new = without_what_was_added([line], [old])[0]
        if (line["source"], line["frame"]) in {("clip.mp4", 4), ("clip.mp4", 5)}:  # found now, perhaps on another CPU
            assert new["box"] == pytest.approx(old["box"], abs=0.05)
            assert (new.pop("person"), list(new)) == (None, [key for key in old if key != "person"])
        else:
            assert new == old
    assert chips.items() < files_below(out).items()


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_a_folder_of_before_takes_another_stage(before: Path, cache: WeightCache) -> None:
    prepared(cache, "unet")
    out = before / "faces"
    assert main(["extract", str(before / "media"), "--out", str(out), *SAME]) == 0
    old = {(line["source"], line["frame"], line["index"]): line for line in lines(exported(out))}
    assert main(["extend", str(out), "--mask", "unet", "--quiet"]) == 0
    for line in lines(exported(out)):
        assert line["masks"].pop("unet")
        assert line == old[line["source"], line["frame"], line["index"]]


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_other_chips_are_cut_of_a_folder_of_before(before: Path) -> None:
    out, derived = before / "faces", before / "derived"
    assert main(["extract", str(before / "media"), "--out", str(out), *SAME]) == 0
    assert main(["derive", str(out), "--out", str(derived), "--size", "96", "--quiet"]) == 0
    now, old = lines(exported(derived)), lines(exported(out))
    assert len(files_below(derived)) == len(now) == 8
    for line, was in zip(now, old, strict=True):
        for key in ("affine", "person", "made_up"):  # the last is known where a chip was cut since
            line.pop(key, None), was.pop(key, None)
        assert line == was


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_a_run_on_faces_of_a_file_goes_on_too(before: Path) -> None:
    out, told, picture = before / "told", before / "pair.jsonl", before / "media/pair.jpg"
    text = (before / "whole.jsonl").read_text()
    told.write_text(next(line for line in text.splitlines(keepends=True) if '"pair.jpg"' in line))
    with closing(sqlite3.connect(out / DATABASE)) as db, db:  # as if killed before its only chunk
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM face")
        db.execute("UPDATE frame SET status = 'pending'")
    command = ["extract", str(picture), "--out", str(out), "--detect", "import", "--from", str(told)]
    assert main([*command, "--size", "64", "--mask-size", "64", "--mask", "components", "--quiet"]) == 0
    (now,), (old,) = lines(exported(out)), then(before, "told")
    # The aligner does not look at a face that comes with landmarks: that line says what its file said.
    assert without_what_was_added([now], [old]) == [old]
