"""A result folder to review, with pictures and a clip that can be read again, and a page without a browser."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import clips
from clips import write_clip
from faceloom.faces import FrameId
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_index import index_video
from faceloom.review.guard import Door, Guard
from faceloom.review.server import ReviewServer
from faceloom.store.folder import write_file
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.store import Store
from store.made_results import CONFIG, SIZE, chip_of, face_of

HOSTILE = "<img src=x onerror=alert(1)>.png"
PICTURES: Mapping[str, int] = {"ann.png": 2, "bob.png": 1, HOSTILE: 1, "crowd.png": 24}
"""How many faces each has."""
CLIP, FRAMES = "walk.mp4", 12
HEIGHT, WIDTH = 360, 480
PERSONS = 4
PORT = 8765


def write_review(folder: Path) -> Path:
    """A result folder of pictures, a clip of numbered frames and a file that failed; everybody has a name."""
    media, out = folder / "in", folder / "out"
    media.mkdir()
    for number, name in enumerate(PICTURES):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 256, (12, 16, 3), np.uint8)
        (media / name).write_bytes(cv2.imencode(".png", cv2.resize(small, (WIDTH, HEIGHT)))[1].tobytes())
    write_clip(media / CLIP, [i * 3600 for i in range(FRAMES)])
    (media / "broken.jpg").write_bytes(b"no picture")
    faces = [placed(FrameId(name, 0), i) for name, count in PICTURES.items() for i in range(count)]
    faces += [placed(FrameId(CLIP, i), 0) for i in range(FRAMES)]
    with Store(out) as store:
        store.configuration.use({**CONFIG, "overlay": False})
        store.begin_run(versions={"faceloom": "0.1.0"})
        _take_up(store, media)
        _commit(store, faces)
        store.end_run(outcome="done", summary={})
    ids, _ = read_embeddings(out)
    write_persons(out, ids, [f"person {i % PERSONS + 1}" for i in range(len(ids))])
    return out


def placed(frame: FrameId, index: int) -> FaceRow:
    """A face somewhere in its frame, with landmarks as faces have them, and a chip that follows from them."""
    rng = np.random.default_rng([len(frame.source), frame.index, index])
    middle = rng.random(2) * (WIDTH - 200, HEIGHT - 160) + (100, 80)
    landmarks = (MEAN_FACE * 24 + middle + rng.normal(0, 0.5, (68, 2))).astype(np.float32)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    chip = face_of(frame, index).chip
    return face_of(
        frame,
        index,
        box=np.concatenate([low, high]),
        landmarks=landmarks,
        frame_to_chip=frame_to_chip(landmarks, size=SIZE),
        quality=round(float(rng.random()), 3),
        score=round(0.5 + float(rng.random()) / 2, 3),
        chip=chip,
    )


def _take_up(store: Store, media: Path) -> None:
    with store.sources.adding():
        for name in sorted(PICTURES):
            source, _ = store.sources.add(Source(name=name, path=media / name, kind=SourceKind.PICTURE), other_names=())
            store.sources.add_picture(source)
        clip, _ = store.sources.add(Source(name=CLIP, path=media / CLIP, kind=SourceKind.VIDEO), other_names=())
        store.sources.add_video(clip, index_video(media / CLIP), sha256="a" * 64)
        broken = Source(name="broken.jpg", path=media / "broken.jpg", kind=SourceKind.PICTURE)
        store.sources.add_failed(store.sources.add(broken, other_names=())[0], "this is no picture")


def _commit(store: Store, faces: list[FaceRow]) -> None:
    places = dict.fromkeys(face.frame for face in faces)
    frames = [
        FrameRow(id=place, height=height, width=width, status=Status.DONE, sha256=f"{number:064x}")
        for number, place in enumerate(places)
        for height, width in [(clips.HEIGHT, clips.WIDTH) if place.source == CLIP else (HEIGHT, WIDTH)]
    ]
    for face in faces:
        assert face.chip
        write_file(store.files_of(0) / face.chip, chip_of(face))
    store.commit(ChunkRows(number=0, frames=tuple(frames), faces=tuple(faces), seconds=1.0))


@dataclass(frozen=True)
class Answered:
    """What a request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Page:
    """Asks as a browser does, but of the application itself: no port, no process."""

    def __init__(self, folder: Path, **told: Any) -> None:
        self.server = ReviewServer(folder, **told)
        self.door = Door(token="secret", port=PORT)
        self._app = Guard(self.server.app, self.door)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def ask(self, path: str, told: Any = None, *, token: str = "secret", **headers: str) -> Answered:
        """GET, or POST of what is told, below the token."""
        path, _, query = path.partition("?")
        content = b"" if told is None else json.dumps(told).encode()
        sent = {"host": f"127.0.0.1:{PORT}"}
        sent |= {} if told is None else {"content-type": "application/json", "content-length": str(len(content))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET" if told is None else "POST",
            "scheme": "http",
            "path": f"/{token}/{path}" if token else f"/{path}",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
            "server": ("127.0.0.1", PORT),
            "client": ("127.0.0.1", 1),
        }
        return asyncio.run(self._answered(scope, content))

    async def _answered(self, scope: dict[str, Any], content: bytes) -> Answered:
        answers: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            answers.append(message)

        await self._app(scope, receive, send)
        start, *rest = answers
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answered(start["status"], headers, b"".join(part.get("body", b"") for part in rest))

    def get(self, path: str) -> Any:
        """The document of an answer that has to be one."""
        answered = self.ask(path)
        assert answered.status == 200, answered.body
        return answered.json

    def say(self, **told: Any) -> Any:
        answered = self.ask("api/say", told)
        assert answered.status == 200, answered.body
        return answered.json

    def faces(self, **query: Any) -> list[dict[str, Any]]:
        """All faces of a list."""
        from urllib.parse import urlencode

        listed = self.get(f"api/list?{urlencode(query)}")
        found: list[dict[str, Any]] = []
        while len(found) < listed["total"]:
            found += self.get(f"api/rows?listing={listed['listing']}&first={len(found)}&count=7")["faces"]
        return found


def key(face: Mapping[str, Any]) -> tuple[str, int, int]:
    return face["source"], face["frame"], face["index"]
