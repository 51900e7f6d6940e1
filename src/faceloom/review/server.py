"""What the page asks, and who answers: one thread owns the store, one reads frames, two read chips."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from faceloom.errors import BudgetError, FaceloomError, GeometryError, MediaError, RequestError, StoreError
from faceloom.formats import checks
from faceloom.formats.record import encode_mask
from faceloom.review.beside import faces_beside
from faceloom.review.frames import masks_of, place_of_face, read_frame
from faceloom.review.pictures import FramePictures, sheet, thumbnail
from faceloom.review.remaker import Remaker
from faceloom.review.reviewed import MOST_ROWS, ReviewedFolder, StaleListingError
from faceloom.store.soundness import DAMAGE

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_Answer = TypeVar("_Answer")
_Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
_SCRIPTS = (
    *("main", "api", "cells", "dialogs", "dom", "keys"),
    *("people", "pairs", "grid", "frame", "mask", "problems", "history", "looks"),
)
_PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    **{f"{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
"""Every file of the page by its path, and what it is. Nothing else of the disk has an address."""
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (StaleListingError, 410),
    (RequestError, 400),
    (GeometryError, 400),
    (MediaError, 422),
    (BudgetError, 507),
    (MemoryError, 507),
    (StoreError, 503),
    (FaceloomError, 500),
)
_CHIP_PX = (16, 1024)
_TILE_PX = (16, 256)
_MOST_TILES = 120
_FRAME_PX = (64, 4096)


class ReviewServer:
    """A result folder, and the threads that look into it."""

    def __init__(self, folder: Path, *, budget_bytes: int | None = None) -> None:
        import cv2  # noqa: F401  # here: where two threads import it first, one finds half of it
        import simplejpeg  # noqa: F401

        self._folder = folder
        self._store = ThreadPoolExecutor(1, "store")
        self._frames = ThreadPoolExecutor(1, "frames")
        self._chips = ThreadPoolExecutor(2, "chips")
        try:
            self._reviewed = self._store.submit(ReviewedFolder, folder, budget_bytes=budget_bytes).result()
        except BaseException:
            self._end()
            raise
        self._pictures = FramePictures(folder, budget_bytes=budget_bytes)
        self._remaker = Remaker(folder, budget_bytes=budget_bytes)

    def close(self) -> None:
        """Ends the threads, each when it has done what it was asked."""
        self._remaker.close()
        self._store.submit(self._reviewed.close)
        self._frames.submit(self._pictures.close)
        self._end()

    def _end(self) -> None:
        for threads in (self._store, self._frames, self._chips):
            threads.shutdown()

    @property
    def app(self) -> "Starlette":
        """What answers requests that have been let in."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        asked: Mapping[str, Callable[[Request], Awaitable[Any]]] = {
            "/api/state": self._state,
            "/api/people": self._people,
            "/api/pairs": self._pairs,
            "/api/list": self._list,
            "/api/rows": self._rows,
            "/api/place": self._place,
            "/api/sources": self._sources,
            "/api/problems": self._problems,
            "/api/looks": self._looks,
            "/api/history": self._history,
            "/api/frame": self._frame,
            "/api/masks": self._masks,
            "/api/beside": self._beside,
            "/api/doubtful": self._doubtful,
        }
        routes = [Route(path, _as_json(ask)) for path, ask in asked.items()]
        routes += [Route("/api/say", _as_json(self._say), methods=["POST"])]
        routes += [Route("/api/preview", _as_picture(self._preview), methods=["POST"])]
        routes += [Route("/chip/{face:int}", _as_picture(self._chip))]
        routes += [Route("/mask/{face:int}", _as_picture(self._mask, "image/png"))]
        routes += [Route("/sheet/{listing}", _as_picture(self._sheet))]
        routes += [Route("/frame/{source:int}/{frame:int}", _as_picture(self._frame_picture))]
        routes += [Route(f"/{path}", _page_file(*told)) for path, told in _PAGE.items()]
        return Starlette(routes=routes)

    async def _of_store(self, ask: Callable[[ReviewedFolder], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._store, ask, self._reviewed)

    async def _of_frames(self, ask: Callable[[FramePictures], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._frames, ask, self._pictures)

    async def _state(self, request: "Request") -> Any:
        state = await self._of_store(lambda of: of.state())
        return {**state, "making": self._remaker.is_making, "not_made": self._remaker.problem}

    async def _people(self, request: "Request") -> Any:
        told = request.query_params
        sort, search = told.get("sort", "size"), told.get("search", "")
        first, count = _whole(told, "first", 0), min(_whole(told, "count", 60), MOST_ROWS)

        def ask(of: ReviewedFolder) -> Any:
            of.refresh()
            doubts = of.doubts().distances if sort == "doubt" else None
            answer = of.people().page(sort=sort, search=search, first=first, count=count, doubts=doubts)
            return {**answer, "version": of.version}

        return await self._of_store(ask)

    async def _pairs(self, request: "Request") -> Any:
        count = _whole(request.query_params, "count", 20)
        return await self._of_store(lambda of: {"pairs": of.pairs(count)})

    async def _list(self, request: "Request") -> Any:
        told = dict(request.query_params)
        asked = {**told, "rejected": told.get("rejected") != "0"}
        return await self._of_store(lambda of: of.list_faces(asked))

    async def _rows(self, request: "Request") -> Any:
        told = request.query_params
        name, first, count = told.get("listing", ""), _whole(told, "first", 0), _whole(told, "count", 60)
        return await self._of_store(lambda of: of.rows(name, first, count))

    async def _place(self, request: "Request") -> Any:
        told = request.query_params
        name, face = told.get("listing", ""), _whole(told, "face", 0)
        return await self._of_store(lambda of: {"place": of.place_in(name, face)})

    async def _sources(self, request: "Request") -> Any:
        search, count = request.query_params.get("search", ""), _whole(request.query_params, "count", 50)
        return await self._of_store(lambda of: {"sources": of.sources(search, count)})

    async def _problems(self, request: "Request") -> Any:
        first, count = _whole(request.query_params, "first", 0), _whole(request.query_params, "count", 100)
        return await self._of_store(lambda of: of.problems(first, count))

    async def _looks(self, request: "Request") -> Any:
        ranges = request.query_params.get("ranges", "")
        return await self._of_store(lambda of: of.looks(ranges))

    async def _history(self, request: "Request") -> Any:
        return await self._of_store(lambda of: {"corrections": of.history(), "version": of.version})

    async def _frame(self, request: "Request") -> Any:
        told, folder = request.query_params, self._folder

        def ask(_: FramePictures) -> Any:
            if "face" in told:
                return read_frame(folder, *place_of_face(folder, _whole(told, "face", 0)))
            return read_frame(folder, _whole(told, "source", 0), _whole(told, "frame", 0))

        return await self._of_frames(ask)

    async def _masks(self, request: "Request") -> Any:
        face = _whole(request.query_params, "face", 0)
        return await self._of_frames(lambda _: {"masks": sorted(masks_of(self._folder, face))})

    async def _beside(self, request: "Request") -> Any:
        face = _whole(request.query_params, "face", 0)
        return await self._of_frames(lambda _: faces_beside(self._folder, face))

    async def _doubtful(self, request: "Request") -> Any:
        told = request.query_params
        source, frame = _whole(told, "source", 0), _whole(told, "frame", 0)
        return await self._of_store(lambda of: {"face": of.next_doubtful(source, frame)})

    async def _mask(self, request: "Request") -> bytes:
        face, name = request.path_params["face"], request.query_params.get("name", "")

        def ask(_: FramePictures) -> bytes:
            masks = masks_of(self._folder, face)
            if name not in masks:
                raise RequestError(f"there is no mask {name!r} of face {face}")
            return encode_mask(masks[name].pixels())

        return await self._of_frames(ask)

    async def _say(self, request: "Request") -> Any:
        told = await _told(request)
        answer = await self._of_store(lambda of: of.say(told))
        if answer.pop("to_make"):
            self._remaker.ask()
        return answer

    async def _preview(self, request: "Request") -> bytes:
        told = await _told(request)
        points = checks.pixels(told.get("landmarks"), (68, 2), "landmarks").astype(np.float32)
        place = int(told.get("source_id", 0)), int(told.get("frame", 0))
        size = _between(int(told.get("size", 256)), *_CHIP_PX)
        return await self._of_frames(lambda of: of.preview(*place, points, size=size))

    async def _chip(self, request: "Request") -> bytes:
        face, size = request.path_params["face"], _between(_whole(request.query_params, "size", 128), *_CHIP_PX)
        chip = await self._of_store(lambda of: of.chip_of(face))
        if chip is None:
            return await self._of_frames(lambda of: of.face(face, size=size))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._chips, lambda: thumbnail(self._folder, chip, longest=size))

    async def _sheet(self, request: "Request") -> bytes:
        told, name = request.query_params, request.path_params["listing"]
        first, count = _whole(told, "first", 0), min(_whole(told, "count", 30), _MOST_TILES)
        across, size = _between(_whole(told, "across", 6), 1, 16), _between(_whole(told, "size", 128), *_TILE_PX)
        chips = await self._of_store(lambda of: of.chips(name, first, count))
        padded = [*chips, *[None] * (count - len(chips))]  # so that tiles of every sheet are where they are
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._chips, lambda: sheet(self._folder, padded, across=across, size=size))

    async def _frame_picture(self, request: "Request") -> bytes:
        told, place = request.query_params, (request.path_params["source"], request.path_params["frame"])
        longest = _between(_whole(told, "size", 1600), *_FRAME_PX)
        if "part" not in told:
            return await self._of_frames(lambda of: of.whole(*place, longest=longest))
        try:
            x0, y0, x1, y1 = (int(text) for text in told["part"].split(","))
        except ValueError as error:
            raise RequestError(f"{told['part']!r:.80} are not four numbers of pixels") from error
        return await self._of_frames(lambda of: of.part(*place, (x0, y0, x1, y1), longest=longest))


async def _told(request: "Request") -> dict[str, Any]:
    told = await request.json()
    if not isinstance(told, dict):
        raise RequestError("what is said is an object of JSON")
    return told


def _whole(told: Mapping[str, str], key: str, usual: int) -> int:
    text = told.get(key, str(usual))
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise RequestError(f"{key} is {text!r:.40}, but has to be a number")
    return int(text)


def _between(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _page_file(name: str, kind: str) -> _Endpoint:
    from starlette.responses import Response

    content = resources.files("faceloom.review").joinpath("page", name).read_bytes()

    async def answer(request: "Request") -> "Response":
        return Response(content, media_type=kind)

    return answer


def _as_json(ask: "Callable[[Request], Awaitable[Any]]") -> _Endpoint:
    from starlette.responses import JSONResponse

    async def answer(request: "Request") -> "Response":
        return JSONResponse(await ask(request))

    return _guarded(answer)


def _as_picture(ask: "Callable[[Request], Awaitable[bytes]]", kind: str = "image/jpeg") -> _Endpoint:
    from starlette.responses import Response

    async def answer(request: "Request") -> "Response":
        return Response(await ask(request), media_type=kind)

    return _guarded(answer)


def _guarded(answer: _Endpoint) -> _Endpoint:
    """An answer, or what is wrong in words."""
    from starlette.responses import JSONResponse

    async def guarded(request: "Request") -> "Response":
        try:
            return await answer(request)
        except (FaceloomError, sqlite3.Error, MemoryError, *DAMAGE) as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            if isinstance(error, sqlite3.OperationalError):
                status = 503
            return JSONResponse({"error": str(error) or type(error).__name__}, status)

    return guarded
