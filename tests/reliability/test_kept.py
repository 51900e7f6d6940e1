"""What was promised stays: chips are made again, failures are not for ever, nothing unfinished has a final name."""

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import faceloom
from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.errors import InstallationError, RequestError, StoreError
from faceloom.media import pictures, reading, soundness
from faceloom.media.chip_files import is_whole
from faceloom.media.sources import Source, SourceKind
from faceloom.store import beside
from faceloom.store.checking import check
from jobs import exported, files_below
from reliability.attack_stores import bomb

SEED = 12
_CHECKPOINT_BYTES = 1000 * 4096


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("crowd.jpg", "portrait.png"):
        shutil.copy(samples / name, folder)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def whole(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    extract(media, out, size=64)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def pipe(chip: Path) -> None:
    """What has whoever opens it wait."""
    chip.unlink()
    os.mkfifo(chip)


# --- chips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_chips_that_are_missing_empty_or_short_are_noticed_and_made_again(
    kind: str, samples: Path, tmp_path: Path
) -> None:
    faces = tmp_path / "faces"
    extract(samples / "crowd.jpg", faces, size=64, format=kind)
    before = files_below(faces)
    missing, empty, short, zeros, four, waits, *_ = sorted((faces / "chips").rglob(f"0*_*.{kind}"))
    missing.unlink()
    empty.write_bytes(b"")
    short.write_bytes(short.read_bytes()[:-1])
    zeros.write_bytes(bytes(zeros.stat().st_size))
    four.write_bytes(b"RIFF")
    pipe(waits)
    found = check(faces)
    assert sorted(flaw.kind for flaw in found.flaws) == [*["damaged"] * 4, "missing", "other"]
    assert found.frames_again == 1
    assert extract(samples / "crowd.jpg", faces, size=64, format=kind).outcome == "done"
    assert files_below(faces) == before
    assert not check(faces).flaws


@pytest.mark.parametrize("length", range(0, 3000, 37))
def test_a_chip_that_is_cut_off_anywhere_is_not_whole(length: int, whole: Path, tmp_path: Path) -> None:
    content = next(path for path in (whole / "chips").rglob("0*_*.jpg") if path.is_file()).read_bytes()
    assert is_whole(next((whole / "chips").rglob("0*_*.jpg")))
    (tmp_path / "chip.jpg").write_bytes(content[: min(length, len(content) - 1)])
    assert not is_whole(tmp_path / "chip.jpg")


def test_persons_and_added_masks_stay_when_chips_are_made_again(out: Path, media: Path) -> None:
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        db.execute("UPDATE face SET person = 'ann'")
        db.commit()
    before = exported(out)
    shutil.rmtree(out / "chips")
    extract(media, out, size=64)
    assert exported(out) == before


def test_a_chip_whose_source_is_gone_is_said_to_be_lost(samples: Path, tmp_path: Path) -> None:
    picture = Path(shutil.copy(samples / "portrait.png", tmp_path))
    extract(picture, tmp_path / "out", size=64)
    shutil.rmtree(tmp_path / "out" / "chips")
    assert check(tmp_path / "out").frames_again == 1
    picture.write_bytes(picture.read_bytes() + b"other")
    assert extract(picture, tmp_path / "out", size=64).failed == 0  # done anew, as what it is now
    assert not check(tmp_path / "out").flaws


# --- check ---------------------------------------------------------------------------------------------


def test_a_whole_folder_has_no_flaws_and_exit_code_0(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in out.rglob("0*_*.jpg")}
    assert main(["check", str(out), "--json"]) == 0
    assert '"flaws": []' in capsys.readouterr().out
    assert {path: path.read_bytes() for path in out.rglob("0*_*.jpg")} == before


def change_chip(out: Path) -> None:
    one, other, *_ = sorted((out / "chips").rglob("0*_*.jpg"))
    shutil.copy(one, other)


def change(text: str) -> Any:
    def run(out: Path) -> None:
        with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
            db.executescript(text)

    return run


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (change_chip, "other"),
        (lambda out: min((out / "chips").rglob("0*_*.jpg")).write_bytes(bomb()), "damaged"),
        (lambda out: pipe(min((out / "chips").rglob("0*_*.jpg"))), "other"),
        (lambda out: (out / "chips" / "stray.jpg").write_bytes(b"x"), "orphan"),
        (lambda out: (out / ".pending" / "7-0").mkdir(parents=True), "leftover"),
        (change("PRAGMA foreign_keys = OFF; DELETE FROM frame WHERE idx = 0;"), "database"),
        (change("DROP TABLE known; CREATE VIEW known AS SELECT 1;"), "schema"),
        (change("CREATE TRIGGER mine AFTER INSERT ON face BEGIN DELETE FROM frame; END;"), "schema"),
        (change("UPDATE face SET chip = '../../stray.jpg';"), "other"),
    ],
)
def test_each_kind_of_flaw_is_found(damage: Any, kind: str, out: Path) -> None:
    damage(out)
    assert kind in {flaw.kind for flaw in check(out).flaws}
    assert main(["check", str(out)]) == 1


def test_overwritten_pages_of_the_database_are_a_flaw(out: Path) -> None:
    path = out / "faceloom.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xa5" * (len(content) - 4096 * 3)
    path.write_bytes(content)
    assert {flaw.kind for flaw in check(out).flaws} <= {"database", "schema"}
    assert check(out).flaws


def test_a_folder_without_results_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        check(tmp_path)


# --- failures ------------------------------------------------------------------------------------------


def failed_of(out: Path) -> dict[str, str]:
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        query = "SELECT name, reason FROM frame JOIN source ON source.id = source_id WHERE status = 'failed'"
        return dict(db.execute(query).fetchall())


def mend(out: Path, text: str) -> None:
    """Makes the failed frame another's fault, or another version's."""
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        db.execute("UPDATE frame SET reason = 'as it was' WHERE status = 'failed'")
        db.executescript(text)
        db.commit()


@pytest.mark.parametrize(
    ("change", "options", "is_tried"),
    [
        ("", {}, False),
        ("", {"retry_failed": True}, True),
        ("UPDATE frame SET fault = 'machine' WHERE status = 'failed';", {}, True),
        ("UPDATE run SET versions = '{}';", {}, True),
        ("UPDATE frame SET tried_in = NULL WHERE status = 'failed';", {}, True),
    ],
)
def test_a_failure_is_tried_again_where_that_can_help(
    change: str, options: dict[str, Any], is_tried: bool, out: Path, media: Path
) -> None:
    mend(out, change)
    before = exported(out)
    extract(media, out, size=64, **options)
    assert (failed_of(out)["broken.png"] != "as it was") is is_tried
    assert exported(out) == before
    mend(out, "")
    extract(media, out, size=64)
    assert failed_of(out)["broken.png"] == "as it was"  # tried once, and not every time


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_refused_open_is_the_machines_fault(number: int, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    source = Source(name="crowd.jpg", path=media / "crowd.jpg", kind=SourceKind.PICTURE)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        answer = reading.read_still(source)
    assert getattr(answer, "fault", None) == "machine"


def test_damage_is_nobodys_fault_but_the_files(media: Path) -> None:
    source = Source(name="broken.png", path=media / "broken.png", kind=SourceKind.PICTURE)
    answer = reading.read_still(source)
    assert getattr(answer, "reason", "")
    assert getattr(answer, "fault", None) is None


def test_a_library_that_fails_over_sound_files_too_is_a_broken_installation(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("decode() takes no arguments")

    source = Source(name="crowd.jpg", path=media / "crowd.jpg", kind=SourceKind.PICTURE)
    monkeypatch.setattr(pictures, "read_picture", broken)
    monkeypatch.setattr(reading, "read_picture", broken)
    with pytest.raises(InstallationError, match="takes no arguments") as caught:
        reading.read_still(source)
    assert caught.value.exit_code == 3


def test_a_type_error_over_one_file_alone_is_that_files(media: Path) -> None:
    soundness.raise_if_broken(TypeError("an odd file"), lambda: soundness.read_sound_picture(b""))
    soundness.raise_if_broken(TypeError("an odd clip"), soundness.read_sound_video)
    with pytest.raises(InstallationError):
        soundness.raise_if_broken(TypeError("a video"), lambda: int(None))  # type: ignore[call-overload]


def test_a_library_that_memory_was_too_little_to_load_is_no_broken_installation() -> None:
    refusal = ImportError("av/subtitles/stream.abi3.so: failed to map segment from shared object")

    def refused() -> None:
        raise refusal

    for error, read in ((refusal, soundness.read_sound_video), (TypeError("an odd clip"), refused)):
        with pytest.raises(MemoryError, match="failed to map segment"):
            soundness.raise_if_broken(error, read)


# --- writing beside ------------------------------------------------------------------------------------


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("faceloom.store.beside.os.fsync", full)
        yield


def test_a_full_disk_is_exit_code_7_and_leaves_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "faces.jsonl"
    arguments = ["export", str(out), "--to", "jsonl", "--out", str(target)]
    with full_disk(monkeypatch):
        assert main(arguments) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert main(arguments) == 0
    assert target.read_text() == exported(out)


def test_a_real_full_disk_is_exit_code_7(out: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        for to, name in (("jsonl", "faces.jsonl"), ("pts", "points")):
            assert main(["export", str(out), "--to", to, "--out", str(disk / name)]) == 7
            assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_a_kill_has_left_is_swept_and_what_another_process_writes_is_not(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "faces.jsonl"
    part = beside.part_of(target)
    part.write_text("half of it")
    faceloom.export(out, out=target)
    assert not part.exists()
    target.unlink()
    with beside.new_file(target) as held:
        held.write_text("mine")
        with pytest.raises(RequestError, match="another faceloom"):
            faceloom.export(out, out=target)
    assert target.read_text() == "mine"


def test_a_folder_that_is_there_and_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    with beside.new_folder(tmp_path / "people") as part:
        (part / "ann").mkdir()
        assert not list((tmp_path / "people").iterdir())
    assert [path.name for path in (tmp_path / "people").iterdir()] == ["ann"]


# --- a power cut ---------------------------------------------------------------------------------------


def copied_as_after_a_power_cut(out: Path, copy: Path, chance: random.Random) -> None:
    """A copy of a folder in which files that nobody has synced end anywhere, and so does the write-ahead log.

    Of SQLite's own files the main one is synced before the log is begun anew, and the log before it goes into the main
    one, as it does from a thousand pages on; chips never are.
    """
    shutil.copytree(out, copy)
    (copy / "faceloom.sqlite-shm").unlink(missing_ok=True)
    log = copy / "faceloom.sqlite-wal"
    is_unsynced = log.exists() and log.stat().st_size < _CHECKPOINT_BYTES
    for path in [*copy.rglob("0*_*.jpg"), *([log] if is_unsynced else [])]:
        draw = chance.random()
        if draw < 0.5:
            content = path.read_bytes()
            at = chance.randrange(len(content) + 1) if content else 0
            path.write_bytes(content[:at] + (bytes(len(content) - at) if draw < 0.2 else b""))
        elif draw < 0.6 and path is not log:
            path.unlink()


def test_after_a_power_cut_the_same_command_completes_the_folder(samples: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    extract(samples, tmp_path / "whole", size=64)
    expected = exported(tmp_path / "whole"), exported(tmp_path / "whole", frames=True), files_below(tmp_path / "whole")
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(samples), "--out", str(tmp_path / "out")]
    with subprocess.Popen([*command, "--size", "64", "--quiet"], stdout=subprocess.DEVNULL) as process:
        copies: list[Path] = []
        while process.poll() is None:
            time.sleep(chance.uniform(0.3, 2))
            process.send_signal(signal.SIGSTOP)  # so that the files of the store are of one moment
            if (tmp_path / "out").is_dir():
                copies.append(tmp_path / f"copy-{len(copies)}")
                copied_as_after_a_power_cut(tmp_path / "out", copies[-1], chance)
            process.send_signal(signal.SIGCONT)
    copies.append(tmp_path / "ended")
    copied_as_after_a_power_cut(tmp_path / "out", copies[-1], chance)
    for copy in [*chance.sample(copies[:-1], min(2, len(copies) - 1)), copies[-1]]:
        extract(samples, copy, size=64)
        assert (exported(copy), exported(copy, frames=True), files_below(copy)) == expected
        assert not check(copy).flaws
