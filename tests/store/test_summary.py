import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from faceloom.errors import StoreError
from faceloom.media.sources import PassedOver
from faceloom.store.folder import DATABASE
from faceloom.store.store import Store
from faceloom.store.summary import read_summary
from store.made_results import CLIP, CONFIG, write_media, write_result


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_result(write_media(tmp_path / "in"), tmp_path / "out")
    return tmp_path / "out"


def change(out: Path, text: str) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db:
        db.executescript(text)


def test_a_finished_run_is_told_in_numbers(out: Path) -> None:
    found = read_summary(out)
    (run,) = found.pop("runs")
    assert found == {
        "sources": {"picture": 4, "video": 1},
        "notes": {},
        "passed_over": {},
        "frames": {"pending": 0, "done": 7, "failed": 0},
        "faces": 17,
        "rejected": 0,
        "turned": 0,
        "persons": 0,
        "frames_with_faces": 6,
        "tracks": 0,
        "faces_in_tracks": 0,
        "shots": 0,
        "rejected_by": {},
        "masks": {"components": 17, "extended": 17},
        "corrections": {"said": 0, "undone": 0},
        "again": {},
        "config": CONFIG,
        "problems": [],
        "open_to_others": False,
    }
    assert run.pop("started_at") <= run.pop("finished_at")
    assert run == {
        "outcome": "done",
        "versions": {"faceloom": "0.1.0"},
        "plan": {"phases": []},
        "summary": {"frames": 7, "faces": 17},
    }


def test_faces_that_filters_rejected_are_counted_apart_and_by_filter(out: Path) -> None:
    crowd = "source_id = (SELECT id FROM source WHERE name = 'deep/crowd.jpg')"
    change(
        out,
        f"""
        UPDATE face SET rejected = 'roll: 40 degrees, beyond 20; size: 9 px' WHERE {crowd} AND idx < 3;
        UPDATE face SET rejected = 'size: 8 px' WHERE source_id = (SELECT id FROM source WHERE name = 'bob.png');
        UPDATE face SET person = 'ann' WHERE idx = 5;
        UPDATE face SET person = 'eve' WHERE idx = 6 OR idx = 7;
        """,
    )
    found = read_summary(out)
    assert (found["faces"], found["rejected"], found["frames_with_faces"]) == (13, 4, 5)
    assert found["rejected_by"] == {"roll": 3, "size": 4}
    assert list(found["rejected_by"]) == ["roll", "size"]
    assert found["persons"] == 2


def test_problems_are_told_in_order_as_many_as_are_asked_for(out: Path) -> None:
    change(
        out,
        f"""
        UPDATE frame SET status = 'failed', reason = 'too dark' WHERE source_id IN
            (SELECT id FROM source WHERE name = '{CLIP}') AND idx > 0;
        INSERT INTO again (source_id, frame_idx, stage, reason)
            SELECT id, 0, 'mask/unet', 'gone' FROM source WHERE name = 'bob.png';
        INSERT INTO again (source_id, frame_idx, stage) SELECT id, 0, 'mask/unet' FROM source WHERE name = '{CLIP}';
        """,
    )
    expected = [
        {"source": "bob.png", "frame": 0, "status": "missing", "reason": "mask/unet: gone"},
        {"source": CLIP, "frame": 1, "status": "failed", "reason": "too dark"},
        {"source": CLIP, "frame": 2, "status": "failed", "reason": "too dark"},
    ]
    found = read_summary(out)
    assert found["problems"] == expected
    assert found["frames"] == {"pending": 0, "done": 5, "failed": 2}
    assert found["again"] == {"mask/unet": 2}
    assert read_summary(out, problems=2)["problems"] == expected[:2]


def test_of_many_problems_twenty_are_told(out: Path) -> None:
    change(
        out,
        "UPDATE frame SET status = 'failed', reason = 'dark';"
        + "".join(
            f"INSERT INTO frame (source_id, idx, status, reason) VALUES (1, {i}, 'failed', 'x');" for i in range(1, 30)
        ),
    )
    assert len(read_summary(out)["problems"]) == 20


def test_what_was_passed_over_is_told_by_why_with_the_first_names(out: Path, tmp_path: Path) -> None:
    with Store(out) as store:
        store.begin_run(versions={})
        with store.sources.adding():
            for name, why in [("e", "b"), ("d", "b"), ("c", "b"), ("a", "b"), ("z", "a")]:
                store.sources.pass_over(PassedOver(name=name, path=tmp_path / name, why=why))
        store.end_run(outcome="StoreError: full", summary={})
    found = read_summary(out)
    told = {"a": {"count": 1, "first": ["z"]}, "b": {"count": 4, "first": ["a", "c", "d"]}}
    assert json.dumps(found["passed_over"]) == json.dumps(told)
    assert [run["outcome"] for run in found["runs"]] == ["done", "StoreError: full"]
    assert (found["runs"][1]["plan"], found["runs"][1]["summary"]) == (None, {})


def test_notes_are_counted_by_source(out: Path) -> None:
    change(
        out,
        """
        UPDATE source SET notes = '["turned", "cropped"]' WHERE name = 'bob.png';
        UPDATE source SET notes = '["cropped"]' WHERE name = 'nobody.jpg';
        """,
    )
    assert json.dumps(read_summary(out)["notes"]) == json.dumps({"cropped": 2, "turned": 1})


def test_a_store_before_its_first_run_has_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "out"):
        pass
    found = read_summary(tmp_path / "out")
    assert (found["config"], found["runs"], found["sources"], found["faces"]) == (None, [], {}, 0)
    assert found["frames"] == {"pending": 0, "done": 0, "failed": 0}
    with pytest.raises(StoreError):
        read_summary(tmp_path)


def test_others_can_read_a_folder_that_lets_them_in_with_a_file_that_lets_them_read(out: Path) -> None:
    for folder, file, is_open in [
        (0o755, 0o600, False),
        (0o700, 0o644, False),
        (0o711, 0o604, True),
        (0o750, 0o640, True),
    ]:
        out.chmod(folder)
        (out / DATABASE).chmod(file)
        assert read_summary(out)["open_to_others"] is is_open
