"""Tells a broken installation from a bad file: where a library fails in an odd way, a sound file is tried.

Readers of pictures raise TypeErrors over damaged files too, so that the kind of an error alone tells nothing.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from faceloom.errors import InstallationError
from faceloom.faults import chain_of, is_breakage, is_refused_library

_SIDE = 32


def raise_if_broken(error: Exception, read_sound_file: Callable[[], object]) -> None:
    """To be called with what reading a file has raised.

    Raises:
        InstallationError: a sound file cannot be read either, for a reason of the same kind.
        MemoryError: there was too little to load a library.
    """
    _raise_if_short(error)
    if not is_breakage(error):
        return
    try:
        read_sound_file()
    except Exception as again:  # what it is decides
        _raise_if_short(again)
        if is_breakage(again):
            what = f"{type(again).__name__}: {again}"
            message = (
                f"the installation is broken: even a sound file cannot be read ({what}); install faceloom anew,"
                " in an environment of its own; faceloom doctor names the versions"
            )
            raise InstallationError(message) from again


def _raise_if_short(error: Exception) -> None:
    if any(map(is_refused_library, chain_of(error))):
        raise MemoryError(str(error)) from error


def read_sound_picture(content: bytes) -> None:
    """Reads a small picture that is whole, by the decoder that this content is for."""
    from faceloom.media.chip_files import encode_jpeg, encode_png
    from faceloom.media.pictures import read_picture

    image = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    is_jpeg = content.startswith(b"\xff\xd8\xff")
    read_picture(encode_jpeg(image) if is_jpeg else encode_png(image), Path("a sound picture"))


def read_sound_video() -> None:
    """Writes and reads a short clip."""
    from faceloom.media.video_index import index_video
    from faceloom.media.videos import VideoReader

    with tempfile.TemporaryDirectory(prefix="faceloom-sound-") as folder:
        path = write_sound_video(Path(folder) / "sound.mp4", levels=[0, 0])
        index_video(path)
        VideoReader(path, threads=1).close()


def write_sound_video(path: Path, *, levels: Sequence[int]) -> Path:
    """Writes a small clip with a grey frame of each of these levels, 0 to 255."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for level in levels:
            frame = av.VideoFrame.from_ndarray(np.full((_SIDE, _SIDE, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
