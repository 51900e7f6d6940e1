"""Objects in a store that fails in the ways such stores fail: nothing is lost, and each fault is named."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.errors import MediaError, RequestError
from faceloom.events import Event, Notice
from faceloom.media import remote
from faceloom.results.exporting import export
from faceloom.store.publishing import publish
from faceloom.store.reading import read_frames
from faceloom.supervisor import fetching
from films import write_film
from jobs import exported, files_below

pytest.importorskip("s3fs", reason="s3fs is not installed here: it is in the extra 'remote'")
server_of_moto = pytest.importorskip("moto.server", reason="moto[server] is not installed here")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # moto and botocore warn of themselves
BUCKET = "holiday"
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
EXPIRED = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>The token has expired</Message></Error>"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Faulty:
    """A store that answers the next requests for an object as it is told to."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.faults: dict[str, list[Any]] = {}
        """By the end of the object's name: a status with a body, the bytes after which an answer breaks off, something
        that is done before the answer, or None for an answer as it should be.
        """
        self.refusals: dict[str, list[tuple[str, bytes]]] = {}
        """The same for what is written."""
        self.fetched: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        name = environ["PATH_INFO"].rpartition("/")[2]
        with self._lock:
            is_get = environ["REQUEST_METHOD"] == "GET" and bool(name) and name != BUCKET
            if is_get:
                self.fetched.append(name)
            faults: list[Any] = self.faults.get(name, []) if is_get else []
            if environ["REQUEST_METHOD"] == "PUT":
                faults = self.refusals.get(name, [])
            fault = faults.pop(0) if faults else None
        if callable(fault):
            fault()
            fault = None
        if fault is None:
            return self._app(environ, start)
        if isinstance(fault, tuple):
            status, body = fault
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        return self._cut(environ, start, fault)

    def _cut(self, environ: dict[str, Any], start: Callable[..., Any], length: int) -> Iterator[bytes]:
        """An answer that promises all and ends early."""
        whole = b"".join(self._app(environ, start))
        yield whole[:length]


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3") / "media"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(samples / "clip.mp4", folder / "deep")
    for number in range(4):
        content = (samples / "portrait.png").read_bytes() + bytes([number])
        (folder / f"{number}.png").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def here(media: Path) -> Path:
    extract(media, media.parent / "here", size=64)
    return media.parent / "here"


@pytest.fixture
def store(media: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A bucket with the files, behind a server of this machine."""
    import boto3
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    faulty = Faulty(server_of_moto.DomainDispatcherApplication(server_of_moto.create_backend_app))
    server = make_server("127.0.0.1", 0, faulty, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.01)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for path in media.rglob("*"):
        if path.is_file():
            client.put_object(Bucket=BUCKET, Key=str(path.relative_to(media)), Body=path.read_bytes())
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield faulty
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
    server.shutdown()
    thread.join()


def require_same(out: Path, here: Path) -> None:
    for frames in (False, True):
        assert exported(out, frames=frames) == exported(here, frames=frames)
    assert files_below(out) == files_below(here)


def test_a_bucket_is_done_like_a_folder_and_each_object_is_fetched_once(
    store: Faulty, here: Path, tmp_path: Path
) -> None:
    summary = extract(f"s3://{BUCKET}", tmp_path / "out", size=64, memory="500MiB")
    assert summary.peak_bytes <= summary.budget_bytes
    require_same(tmp_path / "out", here)
    assert sorted(store.fetched) == ["0.png", "1.png", "2.png", "3.png", "clip.mp4"]
    summary = extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    assert summary.skipped == summary.frames
    assert len(store.fetched) == 5


def test_faults_that_pass_cost_nothing(store: Faulty, here: Path, tmp_path: Path) -> None:
    store.faults = {
        "0.png": [("503 Slow Down", SLOW_DOWN)] * 3,
        "1.png": [("500 Internal Server Error", b""), 1000],
        "2.png": [0, 50_000],
        "clip.mp4": [20_000, ("503 Slow Down", SLOW_DOWN)],
    }
    extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    assert not any(store.faults.values()), "a fault was not met"
    require_same(tmp_path / "out", here)


def test_an_expired_token_and_a_store_that_is_down_are_named_and_mended(
    store: Faulty, here: Path, tmp_path: Path
) -> None:
    store.faults = {
        "0.png": [("400 Bad Request", EXPIRED)] * 50,
        "1.png": [("503 Slow Down", SLOW_DOWN)] * 50,
    }
    summary = extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    assert summary.failed == 2
    reasons = {row["source"]: row["reason"] for row in read_frames(tmp_path / "out") if row["status"] == "failed"}
    assert reasons.keys() == {"0.png", "1.png"}
    assert "expired" in reasons["0.png"].lower()
    assert "request rate" in reasons["1.png"].lower()
    store.faults = {}
    before = len(store.fetched)
    assert extract(f"s3://{BUCKET}", tmp_path / "out", size=64).failed == 0
    assert sorted(store.fetched[before:]) == ["0.png", "1.png"]
    require_same(tmp_path / "out", here)


def test_an_object_that_has_changed_is_done_again(store: Faulty, samples: Path, tmp_path: Path) -> None:
    import boto3

    extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    before = len(store.fetched)
    body = (samples / "crowd.jpg").read_bytes()
    boto3.client("s3").put_object(Bucket=BUCKET, Key="0.png", Body=body)
    told: list[Event] = []
    extract(f"s3://{BUCKET}", tmp_path / "out", size=64, on_event=told.append)
    assert store.fetched[before:] == ["0.png"]
    assert [event.text for event in told if isinstance(event, Notice)] == [
        "0.png has changed since it was last read; doing it again"
    ]


def test_a_changed_object_that_cannot_be_fetched_keeps_what_was_found(
    store: Faulty, here: Path, samples: Path, tmp_path: Path
) -> None:
    import boto3

    extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    boto3.client("s3").put_object(Bucket=BUCKET, Key="0.png", Body=(samples / "crowd.jpg").read_bytes())
    store.faults = {"0.png": [("503 Slow Down", SLOW_DOWN)] * 50}
    extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    require_same(tmp_path / "out", here)


def test_a_result_is_published_to_a_bucket_and_what_is_there_is_left_alone(
    store: Faulty, here: Path, tmp_path: Path
) -> None:
    import boto3

    first = publish(here, f"s3://{BUCKET}/faces")
    again = publish(here, f"s3://{BUCKET}/faces")
    assert (first.known, again.files, again.known) == (0, 0, first.files)
    client = boto3.client("s3")
    for told in client.list_objects_v2(Bucket=BUCKET, Prefix="faces/")["Contents"]:
        path = tmp_path / told["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.get_object(Bucket=BUCKET, Key=told["Key"])["Body"].read())
    require_same(tmp_path / "faces", here)


def put(name: str, content: bytes) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)


def test_an_object_that_changes_between_its_listing_and_its_end_is_done_as_it_is_then(
    store: Faulty, samples: Path, media: Path, tmp_path: Path
) -> None:
    other = (samples / "crowd.jpg").read_bytes()
    same_size = (media / "1.png").read_bytes()[:-1] + b"x"
    store.faults = {"0.png": [lambda: put("0.png", other)], "1.png": [lambda: put("1.png", same_size)]}
    extract(f"s3://{BUCKET}", tmp_path / "out", size=64)
    (tmp_path / "media/deep").mkdir(parents=True)
    for path in media.rglob("*.*"):
        (tmp_path / "media" / path.relative_to(media)).write_bytes(path.read_bytes())
    (tmp_path / "media/0.png").write_bytes(other)
    (tmp_path / "media/1.png").write_bytes(same_size)
    extract(tmp_path / "media", tmp_path / "here", size=64)
    require_same(tmp_path / "out", tmp_path / "here")
    before = len(store.fetched)
    assert extract(f"s3://{BUCKET}", tmp_path / "out", size=64).skipped == 29
    assert len(store.fetched) == before, "what is done is fetched again"


@pytest.fixture(scope="module")
def film(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", samples / "clip.mp4", options={"g": "10"})


@pytest.fixture
def large(film: Path, store: Faulty, monkeypatch: pytest.MonkeyPatch) -> str:
    """The film in the bucket, where it passes for a large one."""
    monkeypatch.setattr(fetching, "_LARGE_BYTES", 100_000)
    monkeypatch.setattr(remote, "_PART_BYTES", 200_000)
    put("films/film.mp4", film.read_bytes())
    return f"s3://{BUCKET}/films/film.mp4"


def test_parts_of_a_film_come_through_faults(store: Faulty, film: Path, large: str, tmp_path: Path) -> None:
    store.faults = {
        "film.mp4": [
            None,
            ("503 Slow Down", SLOW_DOWN),
            0,
            None,
            ("500 Internal Server Error", b""),
            *[None, 50_000, lambda: time.sleep(1), ("503 Slow Down", SLOW_DOWN), 1000] * 3,
        ]
    }
    options: dict[str, Any] = {"size": 64, "start": "2.0", "end": "2.5"}
    extract(film, tmp_path / "here", **options)
    assert extract(large, tmp_path / "out", **options).failed == 0
    assert not any(store.faults.values()), "a fault was not met"
    require_same(tmp_path / "out", tmp_path / "here")


def test_a_film_that_changes_while_its_parts_are_fetched_is_named_and_done_anew(
    store: Faulty, film: Path, large: str, samples: Path, tmp_path: Path
) -> None:
    other = write_film(tmp_path / "other.mp4", samples / "clip.mp4", times=5, options={"g": "12"})
    store.faults = {"film.mp4": [*[None] * 15, lambda: put("films/film.mp4", other.read_bytes())]}
    options: dict[str, Any] = {"align": None, "mask": (), "scratch": int(1.9 * film.stat().st_size)}
    first = extract(large, tmp_path / "out", **options)
    assert first.failed > 0
    reasons = {row["reason"] for row in read_frames(tmp_path / "out") if row["status"] == "failed"}
    assert len(reasons) == 1
    assert "has changed while it was fetched" in reasons.pop()
    assert extract(large, tmp_path / "out", **options).failed == 0
    other.rename(tmp_path / "film.mp4")
    extract(tmp_path / "film.mp4", tmp_path / "here", align=None, mask=())
    require_same(tmp_path / "out", tmp_path / "here")


def test_a_token_that_expires_between_parts_of_a_film_is_named_and_what_is_left_is_done_later(
    store: Faulty, film: Path, large: str, tmp_path: Path
) -> None:
    store.faults = {"film.mp4": [*[None] * 32, *[("400 Bad Request", EXPIRED)] * 100]}
    options: dict[str, Any] = {"align": None, "mask": (), "scratch": int(1.9 * film.stat().st_size)}
    first = extract(large, tmp_path / "out", **options)
    assert 0 < first.failed < 150
    reasons = {row["reason"] for row in read_frames(tmp_path / "out") if row["status"] == "failed"}
    assert "expired" in reasons.pop().lower()
    assert not reasons
    store.faults = {}
    again = extract(large, tmp_path / "out", **options)
    assert (again.failed, again.skipped) == (0, 150 - first.failed)
    extract(film, tmp_path / "here", align=None, mask=())
    require_same(tmp_path / "out", tmp_path / "here")


def test_exports_go_to_a_bucket_through_faults_and_are_there_when_they_are_whole(
    store: Faulty, here: Path, tmp_path: Path
) -> None:
    import boto3

    client = boto3.client("s3")
    store.refusals = {"faces.csv": [("503 Slow Down", SLOW_DOWN)] * 2}
    export(here, "csv", out=f"s3://{BUCKET}/exports/faces.csv")
    assert not any(store.refusals.values()), "a fault was not met"
    content = client.get_object(Bucket=BUCKET, Key="exports/faces.csv")["Body"].read()
    assert content.decode() == export(here, "csv")
    export(here, "yolo", out=tmp_path / "yolo")
    export(here, "yolo", out=f"s3://{BUCKET}/exports/yolo")
    there = {
        one["Key"].removeprefix("exports/yolo/"): client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        for one in client.list_objects_v2(Bucket=BUCKET, Prefix="exports/yolo/")["Contents"]
    }
    assert there == {
        str(path.relative_to(tmp_path / "yolo")): path.read_bytes()
        for path in (tmp_path / "yolo").rglob("*")
        if path.is_file()
    }
    with pytest.raises(RequestError, match="there already"):
        export(here, "yolo", out=f"s3://{BUCKET}/exports/yolo")
    store.refusals = {"other.csv": [("400 Bad Request", EXPIRED)] * 50}
    with pytest.raises(MediaError, match=r"other\.csv cannot be written: .*expired"):
        export(here, "csv", out=f"s3://{BUCKET}/exports/other.csv")
    assert client.list_objects_v2(Bucket=BUCKET, Prefix="exports/other")["KeyCount"] == 0
