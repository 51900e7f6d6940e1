"""Remote inputs in real runs: objects and archives of local servers are done like files."""

import contextlib
import functools
import http.server
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.errors import BudgetError, MediaError, RequestError
from faceloom.events import Event, Notice, Progress
from faceloom.media import remote
from faceloom.store.checking import check
from faceloom.store.forgetting import forget
from faceloom.store.merging import merge
from faceloom.store.reading import read_frames
from jobs import exported, files_below

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: it is in the extra 'remote'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, a video, something broken, and a text."""
    folder = tmp_path_factory.mktemp("remote") / "media"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(samples / "clip.mp4", folder / "deep")
    shutil.copy(samples / "portrait.png", folder)
    (folder / "cut.jpg").write_bytes((samples / "crowd.jpg").read_bytes()[:40_000])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    (folder / "notes.txt").write_text("nothing to see")
    return folder


@pytest.fixture(scope="module")
def here(media: Path) -> Path:
    """What a run over the same files on this machine finds."""
    extract(media, media.parent / "here", size=64)
    return media.parent / "here"


@pytest.fixture
def bucket(media: Path) -> Iterator[str]:
    """The files in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    for path in media.rglob("*"):
        if path.is_file():
            system.pipe(f"/bucket/{path.relative_to(media)}", path.read_bytes())
    yield "memory://bucket"
    system.store.clear()


class Server(http.server.ThreadingHTTPServer):
    """A server of files that can be told to fail."""

    faults: dict[str, list[Any]]
    """What the next answers about a file are, by its name: a status, a number of bytes after which it breaks off."""
    asked: list[str]


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        faults = self.server.faults.get(name, [])
        fault = faults.pop(0) if faults else None
        if isinstance(fault, int) and fault > 0:
            self.send_error(fault)
            return
        if isinstance(fault, int):
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:-fault])
            self.close_connection = True
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed here: it is in the extra 'remote'")
    with Server(("127.0.0.1", 0), functools.partial(Handler, directory=str(media))) as server:
        server.faults, server.asked = {}, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: Server, name: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def require_same(out: Path, here: Path) -> None:
    for frames in (False, True):
        assert exported(out, frames=frames) == exported(here, frames=frames)
    assert files_below(out) == files_below(here)
    assert not (out / ".scratch").exists()
    assert not check(out).flaws


def test_objects_below_a_prefix_are_done_like_a_folder(bucket: str, here: Path, tmp_path: Path) -> None:
    extract(bucket, tmp_path / "out", size=64)
    require_same(tmp_path / "out", here)


def test_more_objects_than_fit_into_the_scratch_come_in_waves(
    bucket: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.supervisor import fetching

    held: list[int] = []
    fetch = fetching.Fetcher._fetch

    def watched(self: fetching.Fetcher, one: Any, path: Path) -> None:
        fetch(self, one, path)
        total = 0
        for other in path.parent.iterdir():
            with contextlib.suppress(FileNotFoundError):  # of the last wave, whose files go meanwhile
                total += other.stat().st_size
        held.append(total)

    monkeypatch.setattr(fetching.Fetcher, "_fetch", watched)
    sizes = sorted(info["size"] for info in fsspec.filesystem("memory").find("/bucket", detail=True).values())
    scratch = 2 * sizes[-1] + 1024
    assert scratch < 2 * sum(sizes)
    extract(bucket, tmp_path / "out", size=64, scratch=max(scratch, 1 << 20))
    require_same(tmp_path / "out", here)
    assert max(held) <= max(scratch, 1 << 20)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("where", ["remote", "here"])
def test_members_of_an_archive_are_done_like_a_folder(
    kind: str, where: str, media: Path, here: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "media"), {"zip": "zip", "tar": "tar", "tar.gz": "gztar"}[kind], media)
    if where == "remote":
        fsspec.filesystem("memory").pipe(f"/archives/media.{kind}", Path(archive).read_bytes())
        address = f"memory://archives/media.{kind}"
    else:
        address = f"file://{archive}"
    extract(address, tmp_path / "out", size=64)
    prefix = f"media.{kind}/"
    assert exported(tmp_path / "out").replace(prefix, "") == exported(here)
    assert exported(tmp_path / "out", frames=True).replace(prefix, "") == exported(here, frames=True)


def test_a_chained_address_names_members_below_nothing(media: Path, here: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "media"), "zip", media)
    extract(f"zip://::file://{archive}", tmp_path / "out", size=64)
    require_same(tmp_path / "out", here)


def test_members_that_climb_out_stay_in_the_scratch(samples: Path, tmp_path: Path) -> None:
    picture = (samples / "portrait.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../../climbed.png", picture)
        file.writestr("/absolute.png", picture + b"2")
        file.writestr("a\nb.png", picture + b"3")
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        whole = tarfile.TarInfo("whole.png")
        whole.size = len(picture)
        tar.addfile(whole, io.BytesIO(picture))
    before = set(tmp_path.parent.iterdir())
    code = main(
        [
            *("extract", f"file://{tmp_path}/evil.zip", f"file://{tmp_path}/evil.tar"),
            *("--out", str(tmp_path / "out"), "--size", "64", "--quiet"),
        ]
    )
    assert code in {0, 1}
    assert set(tmp_path.parent.iterdir()) == before
    names = {json.loads(line)["source"] for line in exported(tmp_path / "out", frames=True).splitlines()}
    assert not any(".." in name.split("/") or name.startswith("/") for name in names)
    assert "evil.tar/whole.png" in names
    assert b"root:" not in b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_files_of_a_web_server_are_done_and_asked_for_once(server: Server, here: Path, tmp_path: Path) -> None:
    names = ["deep/clip.mp4", "portrait.png", "cut.jpg", "broken.png"]
    extract([url(server, name) for name in names], tmp_path / "out", size=64)
    expected = exported(here).replace("deep/clip.mp4", "clip.mp4")
    assert sorted(exported(tmp_path / "out").splitlines()) == sorted(expected.splitlines())
    asked = len(server.asked)
    summary = extract([url(server, name) for name in names[:3]], tmp_path / "out", size=64)
    assert summary.failed == 0
    assert len(server.asked) == asked, "what is done is fetched again"


def test_a_server_that_fails_now_and_then_costs_nothing(server: Server, tmp_path: Path, samples: Path) -> None:
    server.faults = {"portrait.png": [503, -1000, 503], "clip.mp4": [500, -20_000]}
    names = ["portrait.png", "deep/clip.mp4"]
    summary = extract([url(server, name) for name in names], tmp_path / "out", size=64)
    assert (summary.failed, summary.frames) == (0, 26)
    assert server.faults == {"portrait.png": [], "clip.mp4": []}


def test_what_cannot_be_fetched_is_a_row_and_is_done_when_it_can(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)
    server.faults = {"portrait.png": [503] * 20, "clip.mp4": [503] * 20}
    names = ["portrait.png", "cut.jpg", "deep/clip.mp4"]
    first = extract([url(server, name) for name in names], tmp_path / "out", size=64)
    assert (first.frames, first.failed) == (3, 2)
    failed = [row for row in read_frames(tmp_path / "out") if row["status"] == "failed"]
    assert {row["source"] for row in failed} == {"portrait.png", "clip.mp4"}
    assert all("cannot be fetched" in row["reason"] for row in failed)
    assert all("503" in row["reason"] for row in failed)
    again = extract([url(server, name) for name in names], tmp_path / "out", size=64)
    assert again.failed == 2
    server.faults = {}
    last = extract([url(server, name) for name in names], tmp_path / "out", size=64)
    assert (last.frames, last.failed) == (27, 0)
    assert not (tmp_path / "out/.scratch").exists()


def test_what_cannot_be_fetched_in_one_wave_keeps_its_reason_through_the_next(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.supervisor import fetching

    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(fetching, "_FILES_A_WAVE", (1, 1, 1))
    server.faults = {"portrait.png": [503] * 20, "clip.mp4": [503] * 20}
    names = ["portrait.png", "deep/clip.mp4", "cut.jpg"]
    extract([url(server, name) for name in names], tmp_path / "out", size=64)
    failed = [row for row in read_frames(tmp_path / "out") if row["status"] == "failed"]
    assert {row["source"] for row in failed} == {"portrait.png", "clip.mp4"}
    assert all("cannot be fetched" in row["reason"] for row in failed)


def test_an_object_that_has_changed_is_done_again_and_no_other(bucket: str, samples: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    extract(bucket, tmp_path / "out", size=64)
    before = exported(tmp_path / "out")
    fsspec.filesystem("memory").pipe("/bucket/portrait.png", (samples / "crowd.jpg").read_bytes())
    extract(bucket, tmp_path / "out", size=64, on_event=told.append)
    changed = [event.text for event in told if isinstance(event, Notice) and event.kind == "source_changed"]
    assert len(changed) == 1
    assert "portrait.png has changed" in changed[0]
    after = exported(tmp_path / "out")
    others = [[line for line in text.splitlines() if "portrait.png" not in line] for text in (before, after)]
    assert others[0] == others[1]
    assert before != after


def test_addresses_of_a_list_have_names_of_their_own(bucket: str, samples: Path, tmp_path: Path) -> None:
    lines = ["memory://bucket/portrait.png", str(samples / "portrait.png"), "memory://bucket/gone.png"]
    (tmp_path / "list").write_text("\n".join(lines))
    assert extract((), tmp_path / "out", from_list=tmp_path / "list", size=64).failed == 1
    rows = {row["source"]: row["reason"] for row in read_frames(tmp_path / "out")}
    assert rows == {
        "memory/bucket/portrait.png": None,
        str(samples / "portrait.png").lstrip("/"): None,
        "memory/bucket/gone.png": "cannot be fetched: there is nothing at memory://bucket/gone.png",
    }


def test_shards_of_remote_inputs_merge_to_the_same(bucket: str, here: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        extract(bucket, tmp_path / str(number), size=64, shard=f"{number}/3")
    merge([tmp_path / "1", tmp_path / "2", tmp_path / "3"], tmp_path / "out")
    require_same(tmp_path / "out", here)


def test_secrets_of_an_address_are_stored_and_told_nowhere(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TRIES", 1)
    query = "?X-Amz-Credential=me&X-Amz-Signature=5ec3e7"
    server.faults = {f"cut.jpg{query}": [403] * 9}
    inputs = [url(server, f"portrait.png{query}"), url(server, f"cut.jpg{query}")]
    log = tmp_path / "log"
    main(["extract", *inputs, "--out", str(tmp_path / "out"), "--size", "64", "--verbose", "--log-file", str(log)])
    told = capfd.readouterr()
    places = [path for path in (tmp_path / "out").rglob("*") if path.is_file()] + [log]
    content = b"".join(path.read_bytes() for path in places) + (told.out + told.err).encode()
    assert b"portrait.png" in content
    assert b"5ec3e7" not in content


@pytest.mark.parametrize("address", ["nosuch://bucket/a", "memory://nothing/here"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises((RequestError, MediaError), match=address.partition(":")[0]):
        extract(address, tmp_path / "out", size=64)


def test_a_plan_and_a_second_look_take_no_addresses(bucket: str, tmp_path: Path) -> None:
    assert main(["plan", bucket]) == 2
    assert main(["extract", bucket, "--out", str(tmp_path / "out"), "--only-empty"]) == 2


def test_a_run_over_remote_inputs_that_is_killed_goes_on(server: Server, here: Path, tmp_path: Path) -> None:
    draw = random.Random(2)
    names = ["deep/clip.mp4", "portrait.png", "cut.jpg", "broken.png"]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", *(url(server, name) for name in names)]
    command += ["--out", str(out), "--size", "64", "--quiet"]
    started = time.monotonic()
    for _ in range(4):
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(draw.uniform(0.3, 1) * max(4.0, time.monotonic() - started))
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert subprocess.run(command, check=False, capture_output=True, timeout=300).returncode == 1  # broken.png
    expected = exported(here).replace("deep/clip.mp4", "clip.mp4")
    assert sorted(exported(out).splitlines()) == sorted(expected.splitlines())
    assert not (out / ".scratch").exists()
    assert not check(out).flaws


def test_what_a_kill_leaves_in_the_scratch_goes_with_the_next_run_and_before_anything_is_forgotten(
    bucket: str, tmp_path: Path
) -> None:
    extract(bucket, tmp_path / "out", size=64)
    (tmp_path / "out/.scratch").mkdir()
    (tmp_path / "out/.scratch/left.png").write_bytes(b"of portrait.png")
    forget(tmp_path / "out", source="portrait.png")
    assert not (tmp_path / "out/.scratch").exists()
    extract(bucket, tmp_path / "out", size=64)
    assert "portrait.png" not in exported(tmp_path / "out")


def test_a_scratch_that_is_a_link_is_not_followed(bucket: str, tmp_path: Path) -> None:
    extract(f"{bucket}/portrait.png", tmp_path / "out", size=64)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious.png").write_bytes(b"irreplaceable")
    (tmp_path / "out/.scratch").symlink_to(tmp_path / "outside")
    extract(bucket, tmp_path / "out", size=64)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["precious.png"]


def test_a_scratch_larger_than_the_disk_is_refused(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="lower --scratch"):
        extract(bucket, tmp_path / "out", size=64, scratch="900TiB")


def test_a_run_is_published_while_it_goes_on_and_at_its_end(bucket: str, samples: Path, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    seen: list[int] = []

    def look(event: Event) -> None:
        """Holds the run up, however quick the machine is, until something of it is published."""
        if not isinstance(event, Progress) or seen:
            return
        for _ in range(6000):
            if system.exists("/faces/faceloom.sqlite"):
                seen.append(len(system.find("/faces/chips")))
                return
            time.sleep(0.01)

    extract(samples, tmp_path / "out", size=64, publish="memory://faces", snapshot_every=1.0, on_event=look)
    assert seen, "nothing was published before the end"
    copy = tmp_path / "copy"
    for name in system.find("/faces"):
        (copy / name.removeprefix("/faces/")).parent.mkdir(parents=True, exist_ok=True)
        (copy / name.removeprefix("/faces/")).write_bytes(system.cat_file(name))
    assert exported(copy) == exported(tmp_path / "out")
    assert files_below(copy) == files_below(tmp_path / "out")
    assert not check(copy).flaws


def test_an_address_that_nothing_can_be_published_to_is_refused_before_the_run(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nosuch"):
        extract(samples, tmp_path / "out", size=64, publish="nosuch://faces")
    assert not (tmp_path / "out").exists()


def test_a_file_of_options_that_only_lies_there_publishes_nothing(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faceloom.toml").write_text('[extract]\npublish = "memory://faces"\n')
    assert main(["extract", str(samples), "--out", str(tmp_path / "out")]) == 2
    assert "may not set publish" in capsys.readouterr().err
