"""WorkPlaces in a result folder, writing beside them, and who may read what is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from faceloom.errors import RequestError, StoreError
from faceloom.store.beside import entries_of, new_file, new_folder, part_of, refuse_full
from faceloom.store.folder import file_name, move_into_place, on_network, recover_files, remove_files, write_file
from faceloom.store.places import WorkPlaces, file_below, place_below, remove_below
from faceloom.store.privacy import is_open_to_others, make_folder, make_private, opener


@pytest.mark.parametrize("told", ["a", "a/b.jpg", "./a//b", "a/.../b", "..a", Path("a/b")])
def test_what_lies_below_a_folder_is_a_place(told: str | Path, tmp_path: Path) -> None:
    assert place_below(tmp_path, told) == file_below(tmp_path, told) == tmp_path / told


@pytest.mark.parametrize("told", ["", ".", "/", "/etc", "//etc", "..", "a/../..", "a/..", "a\0b", None, 7, b"a"])
def test_what_does_not_is_left_alone(told: object, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not lie below .*, so it is left alone") as raised:
        place_below(tmp_path, told)
    assert raised.value.path == tmp_path


def test_no_link_is_followed_on_the_way_and_one_that_lies_there_is_no_file(tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    out.mkdir()
    away.mkdir()
    (out / "link").symlink_to(away)
    for told in ("link/a", "link/deep/a"):
        with pytest.raises(StoreError, match=r"a link leads from .* and links in it are not followed") as raised:
            place_below(out, told)
        assert raised.value.path == out
    assert place_below(out, "link") == out / "link"
    with pytest.raises(StoreError, match=r"'link' in .* is a link, and links in it are not followed") as raised:
        file_below(out, "link")
    assert raised.value.path == out / "link"
    (tmp_path / "way").symlink_to(out)  # to the folder itself one may lead
    assert place_below(tmp_path / "way", "a/b") == tmp_path / "way/a/b"


TOLD = ("a", "a/b.jpg", "a/./b", "a//b", "a/.../b", "..a", "", ".", "/etc", "..", "a/..", "a/../b", "a\0b", "link/a")


@pytest.mark.parametrize("told", TOLD)
def test_places_of_one_folder_are_the_same_when_its_folders_are_looked_at_once(told: str, tmp_path: Path) -> None:
    def answer(place: Callable[[str], Path]) -> object:
        try:
            return place(told)
        except StoreError as error:
            return str(error)

    (tmp_path / "away").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "away")
    places, wanted = WorkPlaces(tmp_path / "out"), answer(lambda told: place_below(tmp_path / "out", told))
    assert [answer(places.place) for _ in range(2)] == [wanted, wanted]


def test_what_is_removed_is_counted_by_files_and_links_and_nothing_else_goes(tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    for path in (out / "a/1.jpg", out / "a/b/2.jpg", out / "c.jpg", away / "kept.jpg"):
        write_file(path, b"x")
    (out / "a/b/to-folder").symlink_to(away)
    (out / "a/b/to-file").symlink_to(away / "kept.jpg")
    (out / "link").symlink_to(away)
    (out / "broken").symlink_to(away / "nothing")
    assert [remove_below(out, told) for told in ("a", "c.jpg", "link", "broken", "none", "c.jpg")] == [4, 1, 1, 1, 0, 0]
    assert list(out.iterdir()) == []
    assert (away / "kept.jpg").exists()
    (out / "empty").mkdir()
    assert remove_below(out, "empty") == 0
    assert not (out / "empty").exists()


def test_the_files_of_a_source_are_its_chips_and_overlays(tmp_path: Path) -> None:
    for below in ("chips/a.jpg/0.jpg", "overlays/a.jpg/0.jpg", "chips/b.jpg/0.jpg", "other/a.jpg/0.jpg"):
        write_file(tmp_path / below, b"x")
    remove_files(tmp_path, "a.jpg")
    remove_files(tmp_path, "a.jpg")  # there are none any more
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg") if path.is_file())
    assert left == ["chips/b.jpg/0.jpg", "other/a.jpg/0.jpg"]


@pytest.mark.parametrize(
    ("source", "path"),
    [("a.jpg", "a.jpg"), ("a/b.jpg", "a/b.jpg"), ("/a/b.jpg", "a/b.jpg"), ("ä" * 80, "ä" * 80)],
)
def test_a_source_lies_under_its_name(source: str, path: str) -> None:
    assert file_name(source) == path


def test_a_part_of_a_name_that_is_too_long_is_cut_and_told_apart() -> None:
    names = [file_name("x/" + "ä" * 81 + end) for end in ("1", "2")]
    assert names[0] != names[1]
    for name in names:
        folder, _, part = name.partition("/")
        kept, mark, digest = part.partition("~")
        assert (folder, kept, mark, len(digest)) == ("x", "ä" * 80, "~", 12)


def test_a_chunks_files_move_and_a_link_or_the_folders_own_files_never_do(tmp_path: Path) -> None:
    pending = tmp_path / ".pending/1-0"
    write_file(pending / "chips/a/1.jpg", b"new")
    write_file(pending / "faceloom.sqlite", b"x")
    write_file(pending / "faceloom.lock", b"x")
    (pending / "chips/a/link").symlink_to("/etc")
    write_file(tmp_path / "chips/a/0.jpg", b"old")
    write_file(tmp_path / "chips/a/1.jpg", b"old")
    move_into_place(tmp_path, pending)
    assert sorted(path.name for path in (tmp_path / "chips/a").iterdir()) == ["0.jpg", "1.jpg"]
    assert (tmp_path / "chips/a/1.jpg").read_bytes() == b"new"
    assert not pending.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pending", "chips"]


def test_what_cannot_be_moved_says_what_to_do(tmp_path: Path) -> None:
    write_file(tmp_path / ".pending/1-0/chips", b"a file")
    write_file(tmp_path / "chips/a/0.jpg", b"x")
    with pytest.raises(StoreError, match=r"chips cannot be written .*; mend that and run the same command again"):
        move_into_place(tmp_path, tmp_path / ".pending/1-0")


def test_only_chunks_that_are_committed_are_recovered(tmp_path: Path) -> None:
    asked = []
    for name in ("1-0", "1-1", "2-10", "x-1", "1-", "-1", "1", "1-1-1", "1234567890123456789-1"):
        write_file(tmp_path / f".pending/{name}/chips/{name}.jpg", b"x")

    def is_committed(run_id: int, number: int) -> bool:
        asked.append((run_id, number))
        return (run_id, number) != (1, 1)

    recover_files(tmp_path, is_committed)
    assert sorted(asked) == [(1, 0), (1, 1), (2, 10)]
    assert sorted(path.name for path in (tmp_path / "chips").iterdir()) == ["1-0.jpg", "2-10.jpg"]
    assert not (tmp_path / ".pending").exists()


def test_a_link_in_place_of_what_is_pending_goes_alone(tmp_path: Path) -> None:
    write_file(tmp_path / "away/1-0/chips/a.jpg", b"x")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".pending").symlink_to(tmp_path / "away")
    recover_files(out, lambda *_: True)
    assert list(out.iterdir()) == []
    assert (tmp_path / "away/1-0/chips/a.jpg").exists()


@pytest.mark.parametrize(
    ("mounts", "where", "is_network"),
    [
        ("disk / ext4 rw 0 0\nserver:/x {0}/nfs nfs4 rw 0 0", "nfs/out", True),
        ("disk / ext4 rw 0 0\nserver:/x {0}/nfs nfs4 rw 0 0", "nfs", True),
        ("disk / ext4 rw 0 0\nserver:/x {0}/nfs nfs4 rw 0 0", "nfs2/out", False),
        ("server:/ / nfs rw 0 0\ndisk {0}/disk ext4 rw 0 0", "disk/out", False),
        ("disk {0}/disk ext4 rw 0 0\nserver:/ / nfs rw 0 0", "disk/out", False),
        ("disk / ext4 rw 0 0\nx {0}/my\\040share fuse.sshfs rw 0 0", "my share/out", True),
        ("disk {0} ext4 rw 0 0\nx {0} 9p rw 0 0", "out", True),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(
    mounts: str, where: str, is_network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / where).mkdir(parents=True)
    asked = []

    def read_text(path: Path, **_: object) -> str:
        asked.append(str(path))
        return mounts.format(tmp_path)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert on_network(tmp_path / where) is is_network
    assert asked == ["/proc/self/mounts"]


def test_where_mounts_are_not_told_nothing_is_on_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refused)
    assert on_network(tmp_path) is False


# --- beside --------------------------------------------------------------------------------------------


def test_a_new_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "faces.jsonl"
    with new_file(target) as part:
        assert (part, part.read_bytes()) == (tmp_path / ".faces.jsonl.faceloom-part", b"")
        part.write_text("whole")
        assert not target.exists()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("whole", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.jsonl"]
    with pytest.raises(FileExistsError), new_file(target):
        pass
    assert target.read_text() == "whole"


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def break_off(part: Path) -> None:
        write_file(part / "a/b" if part.is_dir() else part, b"half")
        raise KeyError

    for new in (new_file, new_folder):
        with pytest.raises(KeyError), new(tmp_path / "target") as part:
            break_off(part)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_somebody_makes_meanwhile_stays_theirs(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(FileExistsError), new_file(target):
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_that_leads_nowhere_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileExistsError), new_file(tmp_path / "link"):
        pass


@pytest.mark.parametrize("new", [new_file, new_folder])
def test_two_at_once_are_told_apart(new: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path) -> None:
    refused = pytest.raises(RequestError, match=r"another faceloom is writing .*; wait until it ends")
    with new(tmp_path / "target"), refused, new(tmp_path / "target"):
        pass


def test_a_folder_that_cannot_be_replaced_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "people"
    target.mkdir()
    assert part_of(target) == tmp_path / ".people.faceloom-part"
    monkeypatch.setattr(Path, "is_mount", lambda path: path == target)
    assert part_of(target) == target / ".faceloom-part"
    with new_folder(target) as part:
        for name in ("b/1", "a/1"):
            write_file(part / name, name.encode())
        assert entries_of(target) == []
    assert sorted(entries_of(target)) == ["a", "b"]
    assert (target / "b/1").read_bytes() == b"b/1"
    assert not (target / ".faceloom-part").exists()


def test_a_name_may_be_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    with new_file(tmp_path / ("x" * 255)) as part:
        assert len(part.name) == 200 + len("..faceloom-part")


@pytest.mark.parametrize("number", [28, 122])
def test_a_full_disk_is_said_and_other_errors_are_somebody_elses(number: int) -> None:
    with pytest.raises(StoreError, match=r"a cannot be written .*; free some space and run the same command again"):
        refuse_full(OSError(number, os.strerror(number)), Path("a"))
    refuse_full(OSError(13, "denied"), Path("a"))


# --- who may read --------------------------------------------------------------------------------------


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_and_folders_are_for_their_owner_unless_they_are_shared(tmp_path: Path) -> None:
    found = {}
    for share in (False, True):
        folder = tmp_path / str(share) / "deep"
        make_folder(folder, share=share)
        make_folder(folder, share=not share)  # as it was
        write_file(folder / "written", b"x")  # for whom the umask says, and nothing to be run
        assert (folder / "written").stat().st_mode & 0o777 == 0o644
        with open(folder / "file", "w", opener=opener(share=share)):
            found[share] = (folder.stat().st_mode & 0o777, (folder / "file").stat().st_mode & 0o777)
    assert found == {False: (0o700, 0o600), True: (0o755, 0o644)}


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "away")
    with pytest.raises(OSError, match="symbolic links"), open(tmp_path / "link", "w", opener=opener()):
        pass
    with pytest.raises(StoreError, match=r"link cannot be written .*; make the folder writable and run the same"):
        write_file(tmp_path / "link", b"x")
    assert not (tmp_path / "away").exists()


def test_a_folder_is_taken_from_others_and_keeps_what_else_its_mode_says(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o2700
    tmp_path.chmod(0o500)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o500
    tmp_path.chmod(0o700)


def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("folder", "file", "is_open"),
    [(0o755, 0o644, True), (0o710, 0o640, True), (0o701, 0o604, True), (0o744, 0o644, False), (0o755, 0o633, False)],
)
def test_others_need_a_way_in_and_a_file_to_read(folder: int, file: int, is_open: bool, tmp_path: Path) -> None:
    (tmp_path / "x").touch(mode=file)
    (tmp_path / "x").chmod(file)
    tmp_path.chmod(folder)
    assert is_open_to_others(tmp_path, "x") is is_open
