"""Exports to where others read them, a bucket for one: written on this machine, some files at a time, and copied."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.formats.record import Piece
from faceloom.media.remote import RemoteFolder, without_secrets
from faceloom.store.exports import export, fill, opened_pieces

UNFINISHED = ".faceloom-part"
"""An object of this name lies below an export of many files until all of them are there."""
_THREADS = 4
_FILES_AT_ONCE = 256
_BYTES_AT_ONCE = 1 << 26


def export_remote(
    folder: Path,
    address: str,
    *,
    to: str,
    layout: str | None = None,
    frames: bool = False,
    rejected: bool = False,
    found_only: bool = False,
    smooth: bool = False,
    raw: bool = False,
) -> None:
    """Writes an export to an address: one object, which is there when it is whole, or objects below a prefix.

    Raises:
        RequestError: something is there already; or as `exports.export_to`.
        MediaError: it cannot be written there.
        OSError: it cannot be written on this machine.
        StoreError: as `exports.export_to`.
    """
    target = RemoteFolder(address)
    if target.is_there():
        shown = without_secrets(address)
        hint = f"with {UNFINISHED} in it if an export was broken off there"
        raise RequestError(f"{shown} is there already ({hint}); name another, or remove it")
    with tempfile.TemporaryDirectory(prefix="faceloom-export-") as place:
        if frames:
            with (Path(place) / "frames").open("w", encoding="utf-8") as text:
                export(folder, text, to=to, frames=True, raw=raw)
            target.put(Path(place) / "frames")
            return
        told = {"rejected": rejected, "found_only": found_only, "smooth": smooth, "raw": raw}
        with opened_pieces(folder, to=to, layout=layout, **told) as (chosen, pieces):
            if chosen.is_folder:
                _put_files(target, Path(place), pieces)
                return
            with (Path(place) / "export").open("wb") as file:
                file.writelines(piece for _, piece in pieces)
        target.put(Path(place) / "export")


def _put_files(target: RemoteFolder, place: Path, pieces: Iterator[Piece]) -> None:
    """Copies many files, some at a time; until all are there, one more tells that they are not."""
    mark = place / UNFINISHED
    mark.touch()
    target.put(mark, UNFINISHED)
    mark.unlink()
    names: list[str] = []
    size = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="export") as pool:
        for name in fill(place, pieces, share=False):
            names.append(name)
            size += (place / name).stat().st_size
            if len(names) >= _FILES_AT_ONCE or size >= _BYTES_AT_ONCE:
                _put(target, place, names, pool)
                names, size = [], 0
        _put(target, place, names, pool)
    target.remove(UNFINISHED)


def _put(target: RemoteFolder, place: Path, names: list[str], pool: ThreadPoolExecutor) -> None:
    begun: list[Future[None]] = [pool.submit(target.put, place / name, name) for name in names]
    for one in begun:
        one.result()
    for name in names:
        (place / name).unlink()
