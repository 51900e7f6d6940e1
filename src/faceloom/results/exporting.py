"""Exporting: what a result folder holds, written in a format for other programs."""

import io
from pathlib import Path
from typing import TextIO, overload

from faceloom.errors import RequestError
from faceloom.store import exports


@overload
def export(folder: str | Path, to: str = ..., *, out: None = ..., frames: bool = ..., rejected: bool = ...) -> str: ...
@overload
def export(folder: str | Path, to: str = ..., *, out: str | Path, frames: bool = ..., rejected: bool = ...) -> Path: ...
@overload
def export(folder: str | Path, to: str = ..., *, out: TextIO, frames: bool = ..., rejected: bool = ...) -> None: ...
def export(
    folder: str | Path,
    to: str = "jsonl",
    *,
    out: str | Path | TextIO | None = None,
    frames: bool = False,
    rejected: bool = False,
) -> str | Path | None:
    """Writes every face of a result folder in a format, sorted by source, frame and index.

    Args:
        folder: a result folder, also one that a run is writing to.
        to: the format's name, as `faceloom export --to` has it; docs/formats.md says what each loses.
        out: a new file, or a new folder where the format is many files; or an open file of text. The text is the
            answer if it is left out.
        frames: with `jsonl` and `csv`, write a line for each frame in place of each face.
        rejected: whether faces that a filter rejected are among them, marked; `jsonl`, `csv` and `parquet` can.

    Returns:
        The text without `out`, the path with a path, None with an open file.

    Raises:
        RequestError: an unknown format, or one that is not for this; or `out` is there already or cannot be written.
        StoreError: the folder holds no results that can be read.
    """
    if out is None:
        text = io.StringIO()
        exports.export(Path(folder), text, to=to, frames=frames, rejected=rejected)
        return text.getvalue()
    if not isinstance(out, str | Path):
        exports.export(Path(folder), out, to=to, frames=frames, rejected=rejected)
        return None
    try:
        _write(Path(folder), Path(out), to=to, frames=frames, rejected=rejected)
    except FileExistsError as error:
        raise RequestError(f"{out} is there already; name another, or remove it") from error
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error}") from error
    return Path(out)


def _write(folder: Path, out: Path, *, to: str, frames: bool, rejected: bool) -> None:
    if not frames:
        exports.export_to(folder, out, to=to, rejected=rejected)
        return
    with out.open("x", encoding="utf-8") as file:
        exports.export(folder, file, to=to, frames=True)
