import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.cli.main import main
from faceloom.correcting import corrections
from faceloom.errors import FaceloomError, RequestError, StoreError
from faceloom.events import Event, Notice
from faceloom.media.shards import Shard
from faceloom.store import merging, store
from faceloom.store.checking import check
from faceloom.store.folder import DATABASE
from faceloom.store.forgetting import forget
from faceloom.store.merging import Merged, merge
from faceloom.store.summary import read_summary
from jobs import exported, files_below
from reliability.attack_stores import ATTACKS
from store.made_results import CLIP, CONFIG, PICTURES, write_media, write_result

NAMES = sorted((*PICTURES, CLIP))
TABLES = ("source", "frame", "face", "mask", "drawn_mask", "again", "passed_over")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def whole(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run over everything leaves."""
    out = tmp_path_factory.mktemp("whole") / "out"
    write_result(media, out)
    return out


def write_shards(media: Path, folder: Path, count: int, **changes: Any) -> list[Path]:
    """What each of so many machines leaves."""
    folders = []
    for number in range(1, count + 1):
        shard = Shard(number=number, count=count)
        folders.append(folder / f"shard-{number}")
        config = {**CONFIG, "shard": str(shard), **changes}
        write_result(media, folders[-1], config=config, names=[name for name in NAMES if name in shard])
    return folders


@pytest.fixture
def shards(media: Path, tmp_path: Path) -> list[Path]:
    return write_shards(media, tmp_path, 3)


def contents(folder: Path) -> dict[str, list[Any]]:
    """The rows of a store but for their numbers, the runs and the times of changes."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.row_factory = sqlite3.Row
        names = dict(db.execute("SELECT id, name FROM source").fetchall())
        faces = {
            face: (names[source], frame, index)
            for face, source, frame, index in db.execute("SELECT id, source_id, frame_idx, idx FROM face").fetchall()
        }
        told = {}
        for table in TABLES:
            rows = [dict(row) for row in db.execute(f"SELECT * FROM {table}").fetchall()]
            for row in rows:
                for key in ("id", "run_id", "tried_in"):
                    row.pop(key, None)
                row["source_id"] = names.get(row.get("source_id"))
                row["face_id"] = faces.get(row.get("face_id"))
            told[table] = sorted(map(repr, rows))
        config = dict(db.execute("SELECT key, value FROM meta WHERE key LIKE 'config%'").fetchall())
        return {**told, "config": [json.loads(config["config"]), config["config_sha256"]]}


def require_same(merged: Path, whole: Path) -> None:
    assert exported(merged) == exported(whole)
    assert exported(merged, frames=True) == exported(whole, frames=True)
    assert files_below(merged) == files_below(whole)
    assert contents(merged) == contents(whole)
    assert not check(merged).flaws


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("order", [1, -1])
def test_merged_shards_are_what_one_run_over_everything_makes(
    count: int, order: int, media: Path, whole: Path, tmp_path: Path
) -> None:
    merged = merge(write_shards(media, tmp_path, count)[::order], tmp_path / "out")
    require_same(tmp_path / "out", whole)
    assert (merged.folders, merged.sources, merged.frames, merged.faces) == (count, 5, 7, 17)
    assert merged.files == len(files_below(whole))
    assert not merged.missing


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(division=st.lists(st.integers(0, 3), min_size=len(NAMES), max_size=len(NAMES)))
def test_any_division_of_the_sources_merges_to_the_same(
    division: list[int], media: Path, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("divided")
    for part in set(division):
        names = [name for name, place in zip(NAMES, division, strict=True) if place == part]
        write_result(media, folder / str(part), names=names)
    merge([folder / str(part) for part in sorted(set(division))], folder / "out")
    require_same(folder / "out", whole)


def test_the_folders_are_left_as_they_are(shards: list[Path], tmp_path: Path) -> None:
    before = [(path, path.read_bytes()) for shard in shards for path in sorted(shard.rglob("*")) if path.is_file()]
    merge(shards, tmp_path / "out")
    assert [(path, path.read_bytes()) for path, _ in before] == before


def test_merging_again_changes_nothing(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    merge(shards, tmp_path / "out")
    again = merge(shards, tmp_path / "out")
    assert (again.sources, again.files, again.known) == (0, 0, 5)
    require_same(tmp_path / "out", whole)


class Killed(BaseException):
    """In place of a kill: nothing of what follows is done."""


@pytest.mark.parametrize("step", ["copy_files", "_write", "move_into_place", "take_notes", "end_run"])
@pytest.mark.parametrize("time", [0, 1, 2])
def test_ended_at_any_step_the_same_call_goes_on(
    step: str, time: int, shards: list[Path], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.store import intake

    monkeypatch.setattr(merging, "_SOURCES_A_TRANSACTION", 1)
    places: dict[str, Any] = {
        "copy_files": intake,
        "_write": intake.Intake,
        "move_into_place": store,
        "take_notes": store.Store,
        "end_run": store.Store,
    }
    calls = []
    real: Callable[..., Any] = getattr(places[step], step)

    def fails(*args: Any, **options: Any) -> Any:
        calls.append(step)
        if len(calls) == time + 1:
            raise Killed
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(places[step], step, fails)
        # Nothing is mended on the way out, as after a kill.
        patch.setattr(store.Store, "__exit__", lambda self, *_: self._stack.close())
        if step == "end_run" and time:
            merge(shards, tmp_path / "out")
        else:
            with pytest.raises(Killed):
                merge(shards, tmp_path / "out")
    merge(shards, tmp_path / "out")
    require_same(tmp_path / "out", whole)
    assert not (tmp_path / "out/.pending").exists()


def test_every_table_is_merged_or_left_with_the_parts_on_purpose(whole: Path) -> None:
    with closing(sqlite3.connect(whole / DATABASE)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    of_parts = {"run", "chunk", "event", "known"}  # what runs did, and what a file told of sources by its own names
    of_folders = {"meta"}  # the configuration, and what is forgotten: test by test
    carried = {"correction", "corrected_face"}  # what people said, below
    made_of_corrections = {"remade", "remade_mask"}  # merged too: test_adding
    of_tracks = {"shot", "steady", "tracked"}  # merged too: test_tracks_in_store
    assert names == {*TABLES, *of_parts, *of_folders, *carried, *made_of_corrections, *of_tracks}


def refusal(folders: list[Path], out: Path, **options: Any) -> str:
    """What is wrong, and that no folder was begun for it."""
    with pytest.raises(RequestError) as refused:
        merge(folders, out, **options)
    assert not out.exists()
    return str(refused.value)


def test_a_missing_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    assert "shard 2/3 is not among" in refusal([shards[0], shards[2]], tmp_path / "out")
    assert "shards 1/3, 3/3 are not among" in refusal([shards[1]], tmp_path / "out")


def test_a_partial_merge_says_so_and_is_completed_by_a_whole_one(
    shards: list[Path], whole: Path, tmp_path: Path
) -> None:
    told: list[Event] = []
    first = merge(shards[1:], tmp_path / "out", partial=True, on_event=told.append)
    assert first.missing == ("1/3",)
    assert [event.kind for event in told if isinstance(event, Notice)] == ["shards_missing"]
    last = merge(shards, tmp_path / "out")
    assert (first.sources + last.sources, last.known) == (5, first.sources)
    require_same(tmp_path / "out", whole)


def test_a_shard_that_is_there_twice_is_named_with_both_folders(shards: list[Path], tmp_path: Path) -> None:
    shutil.copytree(shards[1], tmp_path / "copy")
    told = refusal([*shards, tmp_path / "copy"], tmp_path / "out")
    assert str(shards[1]) in told
    assert str(tmp_path / "copy") in told
    (tmp_path / "link").symlink_to(shards[0])
    assert "named twice" in refusal([*shards, tmp_path / "link"], tmp_path / "out")


def test_shards_of_another_number_and_folders_that_are_none_are_refused(
    shards: list[Path], media: Path, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    others = write_shards(media, tmp_path / "others", 2)
    empty = next(path for path, number in zip(others, (1, 2), strict=True) if number)
    shutil.rmtree(empty)
    write_result(media, empty, config={**CONFIG, "shard": "1/2"}, names=[])
    assert "of one number" in refusal([*shards, empty], tmp_path / "out")
    write_result(media, tmp_path / "none", names=[])
    assert "is no shard" in refusal([*shards, tmp_path / "none"], tmp_path / "out")


def test_another_configuration_is_refused_with_what_differs(shards: list[Path], media: Path, tmp_path: Path) -> None:
    shutil.rmtree(shards[2])
    stages = {**CONFIG["stages"], "detect/yunet": {"min_score": 0.7, "weights": "a" * 64}}
    (tmp_path / "other").mkdir()
    other = write_shards(media, tmp_path / "other", 3, stages=stages, overlay=False)[2]
    told = refusal([*shards[:2], other], tmp_path / "out")
    assert f"stages.detect/yunet.min_score: 0.6 in {shards[0]}, 0.7 in {other}" in told
    assert f"overlay: true in {shards[0]}, false in {other}" in told


def test_a_folder_of_another_configuration_is_not_merged_into(shards: list[Path], media: Path, tmp_path: Path) -> None:
    write_result(media, tmp_path / "out", config={**CONFIG, "mask_size": 16}, names=[])
    with pytest.raises(RequestError, match="mask_size: 16 in the folder, 8 asked for"):
        merge(shards, tmp_path / "out")


def test_nothing_is_merged_into_what_is_no_result_folder(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious.jpg").write_bytes(b"irreplaceable")
    with pytest.raises(RequestError, match="holds no results"):
        merge(shards, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.jpg"]
    with pytest.raises(RequestError, match="into itself"):
        merge(shards, shards[1])


def test_an_unfinished_folder_is_refused(shards: list[Path], tmp_path: Path) -> None:
    (shards[0] / ".pending/1-7").mkdir(parents=True)
    assert "files are still to be put in place" in refusal(shards, tmp_path / "out")
    shutil.rmtree(shards[0] / ".pending")
    change(holder_of("bob.png", shards), "UPDATE frame SET status = 'pending'")
    assert "is not finished" in refusal(shards, tmp_path / "out")


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_that_is_not_there_or_holds_nothing_is_named(name: str, shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceloomError, match=name):
        merge([*shards, tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def holder_of(name: str, shards: list[Path]) -> Path:
    return next(path for path in shards if name in exported(path, frames=True))


def test_two_folders_with_a_source_of_one_name_are_refused(media: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        write_result(media, tmp_path / out, names=["bob.png"])
    told = refusal([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert "'bob.png' is in both" in told


def test_sources_whose_chips_would_lie_below_each_other_are_refused(media: Path, tmp_path: Path) -> None:
    write_result(media, tmp_path / "one", names=["bob.png"])
    write_result(media, tmp_path / "two", names=["deep/crowd.jpg"])
    change(tmp_path / "one", "UPDATE source SET name = 'deep'", "DELETE FROM face")
    assert "below the other's" in refusal([tmp_path / "one", tmp_path / "two"], tmp_path / "out")


def test_a_link_and_its_file_in_two_shards_are_one_source_as_in_one_run(media: Path, tmp_path: Path) -> None:
    write_result(media, tmp_path / "one", names=["bob.png"])
    write_result(media, tmp_path / "two", names=["ann_in_july.png"])
    with closing(sqlite3.connect(tmp_path / "one" / DATABASE)) as db:
        path, size, digest = db.execute("SELECT path, size_bytes, sha256 FROM source").fetchone()
    with closing(sqlite3.connect(tmp_path / "two" / DATABASE)) as db:
        db.execute("UPDATE source SET path = ?, size_bytes = ?, sha256 = ?", (path, size, digest))
        db.commit()
    for order in ([tmp_path / "one", tmp_path / "two"], [tmp_path / "two", tmp_path / "one"]):
        out = tmp_path / f"out-{order[0].name}"
        merge(order, out)
        assert {json.loads(line)["source"] for line in exported(out).splitlines()} == {"ann_in_july.png"}
        assert not check(out).flaws


def test_a_source_that_is_there_with_other_results_is_not_overwritten(
    shards: list[Path], whole: Path, tmp_path: Path
) -> None:
    merge(shards, tmp_path / "out")
    change(holder_of("bob.png", shards), "UPDATE face SET score = 0.1 WHERE chip LIKE '%bob%'")
    with pytest.raises(RequestError, match=r"'bob\.png' already, with other results"):
        merge(shards, tmp_path / "out")
    require_same(tmp_path / "out", whole)


def test_files_that_lie_where_chips_would_are_not_overwritten(shards: list[Path], tmp_path: Path) -> None:
    merge([path for path in shards if path != holder_of("bob.png", shards)], tmp_path / "out", partial=True)
    stray = tmp_path / "out/chips/bob.png/000000_0.jpg"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"irreplaceable")
    with pytest.raises(RequestError, match=r"over .*chips/bob\.png"):
        merge(shards, tmp_path / "out")
    assert stray.read_bytes() == b"irreplaceable"


def test_lost_chips_are_counted_and_named(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = holder_of("bob.png", shards)
    (holder / "chips/bob.png/000000_0.jpg").write_bytes(b"\xff\xd8 cut o")
    assert main(["merge", *map(str, shards), "--out", str(tmp_path / "out"), "--json", "--quiet"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["lost"] == 1
    assert "chips/bob.png/000000_0.jpg" in told.err
    assert [(flaw.kind, flaw.what) for flaw in check(tmp_path / "out").flaws] == [
        ("missing", "chips/bob.png/000000_0.jpg")
    ]


def test_failures_notes_and_what_is_no_source_come_too(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    statements = [
        "UPDATE frame SET status = 'failed', reason = 'no picture at all', fault = 'machine', tried_in = 1"
        " WHERE source_id = (SELECT id FROM source WHERE name = 'nobody.jpg')",
        "UPDATE source SET notes = '[\"tone-mapped to sRGB\"]', time_base = '1/10' WHERE name = 'walk.mp4'",
        "UPDATE face SET rejected = 'roll: 75 degrees, beyond 60' WHERE source_id ="
        " (SELECT id FROM source WHERE name = 'deep/crowd.jpg') AND idx > 6",
        "INSERT INTO again SELECT id, 0, 'mask/unet', NULL FROM source WHERE name = 'bob.png'",
    ]
    passed = "INSERT INTO passed_over VALUES (x'2f6d2f{}', 'notes-{}.txt', 'text', 1)"
    copy = tmp_path / "whole"
    shutil.copytree(whole, copy)
    change(copy, *statements, *(passed.format(f"3{i}", i) for i in range(3)))
    for i, shard in enumerate(shards):
        change(shard, *statements, passed.format(f"3{i}", i))
    merge(shards, tmp_path / "out")
    require_same(tmp_path / "out", copy)
    assert main(["show", str(tmp_path / "out")]) == 0


def test_persons_are_left_to_be_grouped_anew(shards: list[Path], tmp_path: Path) -> None:
    change(holder_of("bob.png", shards), "UPDATE face SET person = 'person 1'")
    told: list[Event] = []
    merge(shards, tmp_path / "out", on_event=told.append)
    assert [event.kind for event in told if isinstance(event, Notice)] == ["not_grouped"]
    assert read_summary(tmp_path / "out")["persons"] == 0


def test_other_versions_are_told(shards: list[Path], tmp_path: Path) -> None:
    change(shards[1], 'UPDATE run SET versions = \'{"faceloom": "0.0.9"}\'')
    told: list[Event] = []
    merge(shards, tmp_path / "out", on_event=told.append)
    (notice,) = [event for event in told if isinstance(event, Notice)]
    assert notice.kind == "other_versions"
    assert "faceloom 0.1.0 and 0.0.9" in notice.text


def test_what_was_forgotten_in_a_shard_or_in_the_whole_does_not_come_back(
    shards: list[Path], media: Path, tmp_path: Path
) -> None:
    forget(holder_of("bob.png", shards), source="bob.png")
    forget(holder_of("walk.mp4", shards), source="walk.mp4")
    merge(shards, tmp_path / "out")
    forget(tmp_path / "out", source="ann_in_july.png")
    again = merge(shards, tmp_path / "out")
    assert (again.sources, again.forgotten) == (0, 1)
    with store.Store(tmp_path / "out") as opened:
        opened.begin_run(versions={})
        from faceloom.media.sources import find_sources
        from faceloom.store.sources import Known

        with opened.sources.adding():
            known = {one.name: opened.sources.add(one, other_names=())[1] for one in find_sources([media])}
    gone = {"bob.png", "walk.mp4", "ann_in_july.png"}
    assert {name for name, state in known.items() if state is Known.FORGOTTEN} == gone


def test_what_is_merged_is_for_its_owner_alone_or_shared(shards: list[Path], tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        merge(shards, tmp_path / "own")
        merge(shards, tmp_path / "shared", share=True)
    finally:
        os.umask(before)
    for name, modes in (("own", {0o700, 0o600}), ("shared", {0o755, 0o644})):
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / name, *(tmp_path / name).rglob("*"))} == modes


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that somebody would miss."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious.jpg").write_bytes(b"irreplaceable")
    (folder / "000000_0.jpg").write_bytes(b"irreplaceable too")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    yield folder
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ATTACKS)
def test_a_received_shard_is_data(
    name: str, shards: list[Path], outside: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = holder_of("deep/crowd.jpg", shards)
    (victim / "chips/ann.png").mkdir(exist_ok=True)
    ATTACKS[name](victim, outside)
    code = main(["merge", *map(str, shards), "--out", str(tmp_path / "out"), "--quiet"])
    told = capfd.readouterr()
    assert code in {0, 1, 2, 7}, told.err
    assert "Traceback" not in told.err
    assert all(line.isprintable() for line in (told.out + told.err).split("\n"))
    assert not list(tmp_path.glob("faceloom-crash*"))
    taken = list((tmp_path / "out").rglob("*"))
    assert not [path for path in taken if path.is_symlink() or not (path.is_file() or path.is_dir())]
    assert b"irreplaceable" not in b"".join(path.read_bytes() for path in taken if path.is_file())
    if code == 0:
        assert main(["export", str(tmp_path / "out"), "--to", "jsonl", "--out", str(tmp_path / "faces.jsonl")]) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE face SET chip = 'faceloom.sqlite'",
        "UPDATE face SET chip = 'chips/bob.png/' || id || '.jpg'",
        "UPDATE face SET chip = replace(chip, 'crowd.jpg/', 'crowd.jpg/../../bob.png/')",
        "UPDATE face SET chip = '.pending/1-0'",
        "UPDATE face SET chip = 'chips/deep/crowd.jpg/'",
        "UPDATE mask SET size = 0",
        "UPDATE frame SET reason = x'00'",
        "UPDATE source SET notes = '7'",
        "UPDATE meta SET value = json_set(value, '$.shard', '0/0') WHERE key = 'config'",
    ],
)
def test_rows_that_no_run_writes_are_named_with_their_folder(
    statement: str, shards: list[Path], tmp_path: Path
) -> None:
    victim = holder_of("deep/crowd.jpg", shards)
    change(victim, statement)
    with pytest.raises(StoreError) as refused:
        merge(shards, tmp_path / "out")
    assert str(victim) in str(refused.value)
    shutil.rmtree(victim)


def test_the_command_says_what_was_taken_in(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["merge", *map(str, shards), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert "5 sources, 7 frames, 17 faces" in capsys.readouterr().out
    assert main(["merge", *map(str, shards[:2]), "--out", str(tmp_path / "other"), "--quiet"]) == 2
    assert "shard 3/3 is not among" in capsys.readouterr().err


def test_counts_add_up() -> None:
    merged = Merged(folders=1, missing=(), sources=1, frames=2, faces=3, files=4, known=5, forgotten=6, lost=7)
    assert merged.to_json()["lost"] == 7


def test_what_was_corrected_in_each_folder_holds_in_all_of_them_together(shards: list[Path], tmp_path: Path) -> None:
    found = [folder for folder in shards if exported(folder)]
    assert len(found) > 1
    for number, folder in enumerate(found):
        with closing(sqlite3.connect(folder / DATABASE)) as db, db:
            db.execute("UPDATE face SET person = 'person 1' WHERE idx % 2 = 0")
        corrections(folder).name("person 1", f"Ann {number}")
        first = json.loads(exported(folder).splitlines()[0])
        corrections(folder).reject(f"{first['source']}#0/0")
    lines = sorted(line for folder in shards for line in map(told, exported(folder).splitlines()))
    merge(shards, tmp_path / "out")
    assert sorted(map(told, exported(tmp_path / "out").splitlines())) == lines
    merge(shards, tmp_path / "out")
    assert len(corrections(tmp_path / "out")) == 2 * len(found), "also when it is done again"


def told(line: str) -> tuple[str, int, int, str]:
    """Which face of a line is whose."""
    face = json.loads(line)
    return face["source"], face["frame"], face["index"], face["person"] or ""
