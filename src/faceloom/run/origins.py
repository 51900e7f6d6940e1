"""The frame that a chip comes from, drawn: read in this process, one frame."""

from pathlib import Path

from faceloom.errors import MediaError, RequestError
from faceloom.frame import Frame
from faceloom.media.chip_files import encode_jpeg, encode_png
from faceloom.media.reading import FrameReader
from faceloom.run.finish import draw_overlay
from faceloom.store.exports import read_chip_size, read_faces_of
from faceloom.store.origins import Origin

_ENCODERS = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}


def draw_origin(origin: Origin, target: Path) -> None:
    """Writes the frame that a chip comes from, with its face drawn on it, to a new PNG or JPEG file.

    Raises:
        RequestError: the target is there already, cannot be written or has another suffix; or the chip lies in no
            result folder, so that its source's path is not known.
        MediaError: the frame cannot be read.
    """
    encode = _ENCODERS.get(target.suffix.lower())
    if encode is None:
        raise RequestError(f"{target} is to be a picture, but its suffix is none of {', '.join(_ENCODERS)}")
    if origin.folder is None:
        raise RequestError(
            f"{origin.chip} lies in no result folder that knows it: only the name of its source is known"
        )
    frame = _read(origin)
    faces = [face for face in read_faces_of(origin.folder, frame.id) if face.index == origin.index]
    chip_size = read_chip_size(origin.folder)
    assert chip_size is not None  # the store has told of a chip
    content = encode(draw_overlay(frame.image, faces, chip_size=chip_size))
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise RequestError(f"{target} is there already; name another, or remove it") from error
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error.strerror}") from error


def _read(origin: Origin) -> Frame:
    assert origin.span is not None
    with FrameReader() as reader:
        (read,) = reader.reads([origin.span])
        answer = read()
    if not isinstance(answer, Frame):
        raise MediaError(f"frame {origin.frame} of {origin.path} cannot be read: {answer.reason}", path=origin.path)
    return answer
