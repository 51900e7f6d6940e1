import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faceloom.errors import StoreError
from faceloom.faces import FrameId
from faceloom.store.checking import Checked, Flaw, check
from faceloom.store.folder import DATABASE
from store.made_results import CLIP, chip_of, face_of, write_media, write_result

ANN = "chips/ann_in_july.png/000000_0.jpg"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checking")
    write_result(write_media(folder / "in"), folder / "out")
    return folder / "out"


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def change(out: Path, text: str) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db:
        db.executescript(text)


def test_a_whole_folder_has_no_flaw_and_every_chip_was_looked_at(out: Path) -> None:
    assert check(out) == Checked(flaws=(), chips=17, frames_again=0, frames_pending=0)
    assert check(str(out)).to_json() == {"flaws": (), "chips": 17, "frames_again": 0, "frames_pending": 0}


def test_frames_that_are_still_to_be_done_are_counted(out: Path) -> None:
    change(out, f"UPDATE frame SET status = 'pending' WHERE source_id = (SELECT id FROM source WHERE name = '{CLIP}')")
    assert check(out).frames_pending == 3


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def blacken(path: Path) -> None:
    """Its pixels cannot be decoded, although it begins and ends as it should."""
    content = path.read_bytes()
    path.write_bytes(content[:20] + bytes(len(content) - 22) + content[-2:])


def of_another(path: Path) -> None:
    path.write_bytes(chip_of(face_of(FrameId("bob.png", 0), 0)))


def moved(path: Path) -> None:
    """Its box is a fiftieth of a pixel from where the store has it, which rounding cannot explain."""
    face = face_of(FrameId("ann_in_july.png", 0), 0)
    face.box[2] += 0.02
    path.write_bytes(chip_of(face))


@pytest.mark.parametrize(
    ("harm", "kind", "words", "again"),
    [
        (Path.unlink, "missing", "is not there", 1),
        (cut_off, "damaged", "is not whole", 1),
        (blacken, "damaged", "", 0),
        (of_another, "other", "tells of another face", 0),
        (moved, "other", "tells of another face", 0),
    ],
)
def test_a_chip_that_is_not_as_it_was_is_one_flaw_that_names_it(
    harm: Callable[[Path], None], kind: str, words: str, again: int, out: Path
) -> None:
    harm(out / ANN)
    found = check(out)
    (flaw,) = found.flaws
    assert (flaw.kind, flaw.what, found.chips) == (kind, ANN, 17)
    assert words in flaw.detail
    assert found.frames_again == again


def test_a_box_may_be_as_far_off_as_it_is_rounded(out: Path) -> None:
    change(out, "UPDATE face SET x0 = x0 + 0.004, y1 = y1 - 0.004")
    assert not check(out).flaws


def test_of_chips_that_are_gone_each_frame_is_made_again_once(out: Path) -> None:
    for name in ("000000_1", "000000_2", "000000_3"):
        (out / f"chips/deep/crowd.jpg/{name}.jpg").unlink()
    (out / f"chips/{CLIP}/000002_0.jpg").unlink()
    found = check(out)
    assert ([flaw.kind for flaw in found.flaws], found.frames_again) == (["missing"] * 4, 2)


@pytest.mark.parametrize("told", ["../../away.jpg", "/etc/hostname"])
def test_a_chip_that_leads_elsewhere_is_not_looked_at(told: str, out: Path) -> None:
    (out.parent / "away.jpg").write_bytes((out / ANN).read_bytes())
    (out / ANN).unlink()
    change(out, f"UPDATE face SET chip = '{told}' WHERE chip = '{ANN}'")
    (flaw,) = check(out).flaws
    assert (flaw.kind, flaw.what) == ("other", told)
    assert "does not lie below" in flaw.detail


@pytest.mark.parametrize("name", ["stray.jpg", "chips/stray.jpg", "overlays/of nobody/000000.jpg", "chips/bob.png/x"])
def test_a_file_that_no_row_names_is_an_orphan(name: str, out: Path) -> None:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(b"x")
    assert check(out).flaws == (Flaw(kind="orphan", what=name, detail="no row names it"),)


def test_a_link_is_an_orphan_wherever_it_leads_and_an_overlay_of_a_source_is_none(out: Path) -> None:
    (out / "chips/link").symlink_to(out / "chips/bob.png", target_is_directory=True)
    (out / "overlays/bob.png/000000_9.jpg").write_bytes(b"x")
    assert [(flaw.kind, flaw.what) for flaw in check(out).flaws] == [("orphan", "chips/link")]


def test_what_a_killed_run_has_left_is_a_leftover(out: Path) -> None:
    (out / ".pending/1-7").mkdir(parents=True)
    (flaw,) = check(out).flaws
    assert (flaw.kind, flaw.what) == ("leftover", ".pending")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("PRAGMA foreign_keys = OFF; DELETE FROM source WHERE name = 'bob.png';", "database", "of frame has no source"),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE source SET kind = 'x' WHERE id = 2;",
            "database",
            "CHECK constraint failed in source",
        ),
        ("CREATE TABLE mine (a);", "schema", "table mine is none of ours"),
        ("DROP TABLE passed_over;", "schema", "table passed_over is missing"),
        ("ALTER TABLE event ADD COLUMN mine TEXT;", "schema", "table event is not as faceloom makes it"),
        ("CREATE TRIGGER mine AFTER INSERT ON face BEGIN DELETE FROM frame; END;", "schema", "acts by itself"),
        ("ALTER TABLE face DROP COLUMN sharpness;", "database", "face.sharpness is missing"),
    ],
)
def test_a_database_that_is_not_as_it_should_be_says_what_is_wrong_and_chips_count_for_nothing(
    text: str, kind: str, words: str, out: Path
) -> None:
    change(out, text)
    (out / ANN).unlink()
    found = check(out)
    assert {(flaw.kind, flaw.what) for flaw in found.flaws} == {(kind, DATABASE)}
    assert any(words in flaw.detail for flaw in found.flaws)
    assert (found.chips, found.frames_again, found.frames_pending) == (0, 0, 0)


def test_overwritten_pages_are_a_flaw_of_the_database(out: Path) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (out / DATABASE).read_bytes()
    (out / DATABASE).write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))
    assert {flaw.kind for flaw in check(out).flaws} <= {"database", "schema"}
    assert check(out).flaws


def test_what_is_no_result_is_an_error_and_no_flaw(out: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        check(tmp_path)
    change(out, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer faceloom"):
        check(out)
