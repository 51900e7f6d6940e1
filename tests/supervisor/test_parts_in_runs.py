"""Large remote videos, of which only the parts that are needed are fetched: the same faces as when fetched whole."""

import asyncio
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.isolation import module_command, module_environment
from faceloom.media import remote
from faceloom.media.parts import ByteRange, held_on_disk
from faceloom.store.checking import check
from faceloom.store.reading import read_frames
from faceloom.supervisor import fetching
from films import write_film
from jobs import exported, files_below

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: it is in the extra 'remote'")
pytestmark = pytest.mark.slow
OPTIONS = {"g": "10", "bf": "3", "x264-params": "open-gop=1"}
"""Of frames that come in another order than they are coded in, some after a keyframe that they are shown before."""


@pytest.fixture(scope="module")
def film(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_film(path, samples / "clip.mp4", options=OPTIONS)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes came, request by request; small videos pass for large ones."""
    sizes: list[int] = []
    part = remote._part

    def counted(file: Any, first: int, stop: int) -> bytes:
        sizes.append(stop - first)
        return part(file, first, stop)

    monkeypatch.setattr(remote, "_part", counted)
    monkeypatch.setattr(fetching, "_LARGE_BYTES", 100_000)
    return sizes


@pytest.fixture
def bucket(film: Path) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/bucket/film.mp4", film.read_bytes())
    yield "memory://bucket/film.mp4"
    system.store.clear()


def require_same(out: Path, here: Path) -> None:
    for frames in (False, True):
        assert exported(out, frames=frames) == exported(here, frames=frames)
    assert files_below(out) == files_below(here)
    assert not (out / ".scratch").exists()
    assert not check(out).flaws


@pytest.mark.parametrize(
    "wanted", [{"start": "1.2", "end": "1.8"}, {"every": 30}, {"start": "130f", "detect_every": 4}], ids=str
)
def test_of_an_excerpt_no_more_is_fetched_than_it_takes(
    wanted: dict[str, Any], film: Path, bucket: str, fetched: list[int], tmp_path: Path
) -> None:
    extract(film, tmp_path / "here", size=64, **wanted)
    extract(bucket, tmp_path / "out", size=64, **wanted)
    require_same(tmp_path / "out", tmp_path / "here")
    assert fetched
    if "end" in wanted:
        assert sum(fetched) < film.stat().st_size


def test_a_video_larger_than_the_scratch_is_done_in_windows(
    film: Path, bucket: str, fetched: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    fetch = fetching.Fetcher.fetch_ranges
    lock = threading.Lock()

    def watched(self: fetching.Fetcher, one: Any, path: Path, ranges: Sequence[ByteRange], *, known: Path) -> None:
        fetch(self, one, path, ranges, known=known)
        with lock:
            held.append(sum(held_on_disk(other) for other in path.parent.iterdir() if other.suffix != ".parts"))

    monkeypatch.setattr(fetching.Fetcher, "fetch_ranges", watched)
    size = film.stat().st_size
    scratch = int(1.9 * size)
    extract(film, tmp_path / "here", size=64, align=None, mask=())
    extract(bucket, tmp_path / "out", size=64, align=None, mask=(), scratch=scratch)
    require_same(tmp_path / "out", tmp_path / "here")
    assert len(held) > 4
    assert max(held) <= scratch // 2 + 8 * 4096  # of each file the last block of each part
    assert sum(fetched) <= size + 10_000  # the index twice, and where its parts are
    assert not [row for row in read_frames(tmp_path / "out") if row["reason"]]


def test_a_video_whose_groups_of_pictures_do_not_fit_says_so_and_is_done_when_they_do(
    film: Path, bucket: str, fetched: list[int], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"align": None, "mask": (), "chips": False}
    size = film.stat().st_size
    assert extract(bucket, tmp_path / "out", **options, scratch=size).failed == 150
    reasons = {row["reason"] for row in read_frames(tmp_path / "out")}
    (reason,) = reasons
    assert "half of the scratch" in reason
    assert "keyframe" in reason
    assert extract(bucket, tmp_path / "out", **options, scratch=4 * size).failed == 0
    extract(film, tmp_path / "here", **options)
    require_same(tmp_path / "out", tmp_path / "here")


@pytest.mark.parametrize("kind", ["fragmented", "matroska", "cut off"])
def test_where_no_index_tells_a_video_is_fetched_whole_if_it_fits(
    kind: str, samples: Path, film: Path, fetched: list[int], tmp_path: Path
) -> None:
    path = tmp_path / ("film.mkv" if kind == "matroska" else "film.mp4")
    fragments = {"movflags": "frag_keyframe+empty_moov"} if kind == "fragmented" else {}
    write_film(path, samples / "clip.mp4", times=1, options=OPTIONS, container=fragments)
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    fsspec.filesystem("memory").pipe(f"/others/{path.name}", path.read_bytes())
    options: dict[str, Any] = {"align": None, "mask": (), "start": "0.5"}
    here = extract(path, tmp_path / "here", **options)
    there = extract(f"memory://others/{path.name}", tmp_path / "out", **options)
    assert here.failed == there.failed
    require_same(tmp_path / "out", tmp_path / "here")
    too_small = extract(f"memory://others/{path.name}", tmp_path / "less", **options, scratch=path.stat().st_size)
    assert too_small.failed == 1
    (row,) = read_frames(tmp_path / "less")
    assert "half of the scratch" in row["reason"]
    if kind != "matroska":
        assert "nor in parts: " in row["reason"]


class Web:
    """Servers of a folder: one that gives ranges, and one that gives all whatever it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.asked: list[str | None] = []
        """The ranges."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> int:
        from aiohttp import web

        async def ranged(request: web.Request) -> web.StreamResponse:
            self.asked.append(request.headers.get("Range"))
            return web.FileResponse(self._folder / request.match_info["name"])

        async def whole(request: web.Request) -> web.StreamResponse:
            self.asked.append(request.headers.get("Range"))
            content = (self._folder / request.match_info["name"]).read_bytes()
            return web.Response(body=content, headers={"Accept-Ranges": "none"})

        app = web.Application()
        app.router.add_get("/ranged/{name}", ranged)
        app.router.add_get("/whole/{name}", whole)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def web(film: Path) -> Iterator[Web]:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed here: it is in the extra 'remote'")
    served = Web(film.parent)
    yield served
    served.close()


@pytest.mark.parametrize("way", ["ranged", "whole"])
def test_parts_come_from_servers_of_the_web_that_give_them_and_all_from_others(
    way: str, web: Web, film: Path, fetched: list[int], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"align": None, "mask": (), "start": "1.2", "end": "1.8"}
    extract(f"http://127.0.0.1:{web.port}/{way}/film.mp4", tmp_path / "out", **options)
    extract(film, tmp_path / "here", **options)
    require_same(tmp_path / "out", tmp_path / "here")
    if way == "ranged":
        assert 0 < sum(fetched) < 0.6 * film.stat().st_size
    else:
        assert len(web.asked) < 8, "what cannot be had is asked for again and again"


def test_a_run_over_parts_that_is_killed_goes_on(web: Web, film: Path, tmp_path: Path) -> None:
    draw = random.Random(3)
    options: dict[str, Any] = {"align": None, "mask": ()}
    extract(film, tmp_path / "here", **options)
    command = [*module_command("faceloom"), "extract", f"http://127.0.0.1:{web.port}/ranged/film.mp4", "--quiet"]
    command += ["--out", str(tmp_path / "out"), "--align", "none", "--mask", "none"]
    command += ["--scratch", str(int(1.9 * film.stat().st_size))]
    for seconds in (3, 5, 7):
        process = subprocess.Popen(command, start_new_session=True, env={**os.environ, **module_environment()})
        try:
            process.wait(draw.uniform(0.5, 1) * seconds)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert subprocess.run(command, check=False, env={**os.environ, **module_environment()}).returncode == 0
    require_same(tmp_path / "out", tmp_path / "here")
