"""Exporting: what a result folder holds, written in a format for other programs."""

import io
import tempfile
from pathlib import Path
from typing import TextIO, Unpack, overload

from faceloom.errors import RequestError
from faceloom.media.remote import is_remote, without_secrets
from faceloom.options.calls import ExportOptions
from faceloom.options.keywords import takes
from faceloom.store import exports
from faceloom.store.beside import new_file, refuse_full
from faceloom.store.copies import CopyKind, note_made


@overload
def export(folder: str | Path, to: str = ..., *, out: None = ..., **options: Unpack[ExportOptions]) -> str: ...
@overload
def export(folder: str | Path, to: str = ..., *, out: Path, **options: Unpack[ExportOptions]) -> Path: ...
@overload
def export(folder: str | Path, to: str = ..., *, out: str, **options: Unpack[ExportOptions]) -> str | Path: ...
@overload
def export(folder: str | Path, to: str = ..., *, out: TextIO, **options: Unpack[ExportOptions]) -> None: ...
@takes(ExportOptions)
def export(
    folder: str | Path,
    to: str = "jsonl",
    *,
    out: str | Path | TextIO | None = None,
    **options: Unpack[ExportOptions],
) -> str | Path | None:
    """Writes every face of a result folder in a format, sorted by source, frame and index.

    Args:
        folder: a result folder, also one that a run is writing to.
        to: the format's name, as `faceloom export --to` has it; docs/formats.md says what each loses.
        out: a new file, or a new folder where the format is many files, or an address of fsspec for either, as in
            s3://bucket/faces.csv; or an open file of text. The text is the answer if it is left out.
        options: as docs/options.md lists them.

    Returns:
        The text without `out`, the path with a path, the address with an address, None with an open file.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an unknown format, or one that is not for this; or `out` is there already or cannot be written.
        MediaError: the address cannot be written to.
        StoreError: the folder holds no results that can be read, or the disk is full.
    """
    chosen = {name: bool(options[name]) for name in ("frames", "rejected", "found_only", "smooth", "raw")}
    if options["layout"] is not None and not isinstance(out, str | Path):
        raise RequestError("a layout is that of files; name a place to write to")
    if out is None:
        text = io.StringIO()
        exports.export(Path(folder), text, to=to, **chosen)
        return text.getvalue()
    if not isinstance(out, str | Path):
        exports.export(Path(folder), out, to=to, **chosen)
        return None
    if isinstance(out, str) and is_remote(out):
        return _write_remote(Path(folder), out, to=to, layout=options["layout"], **chosen)
    return _write_here(Path(folder), Path(out), to=to, layout=options["layout"], share=options["share"], **chosen)


def _write_here(folder: Path, out: Path, *, to: str, layout: str | None, share: bool, **chosen: bool) -> Path:
    try:
        _write(folder, out, to=to, layout=layout, share=share, **chosen)
    except FileExistsError as error:
        raise RequestError(f"{out} is there already; name another, or remove it") from error
    except OSError as error:
        refuse_full(error, out)
        raise RequestError(f"{out} cannot be written: {error}") from error
    note_made(folder, CopyKind.EXPORT, out)  # which forgetting will name
    return out


def _write_remote(folder: Path, address: str, *, to: str, layout: str | None, **chosen: bool) -> str:
    from faceloom.store.remote_exports import export_remote

    try:
        export_remote(folder, address, to=to, layout=layout, **chosen)
    except OSError as error:
        refuse_full(error, Path(tempfile.gettempdir()))
        raise RequestError(f"{without_secrets(address)} cannot be written: {error}") from error
    note_made(folder, CopyKind.EXPORT, without_secrets(address))  # which forgetting will name
    return address


def _write(
    folder: Path,
    out: Path,
    *,
    to: str,
    layout: str | None,
    frames: bool,
    rejected: bool,
    found_only: bool,
    smooth: bool,
    raw: bool,
    share: bool,
) -> None:
    if not frames:
        told = {"rejected": rejected, "found_only": found_only, "smooth": smooth, "raw": raw, "share": share}
        exports.export_to(folder, out, to=to, layout=layout, **told)
        return
    with new_file(out, share=share) as part, part.open("w", encoding="utf-8") as file:
        exports.export(folder, file, to=to, frames=True, raw=raw)
