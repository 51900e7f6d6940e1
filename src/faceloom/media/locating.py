"""Locating: where the packets of a video lie in its file, as its container's index tells it."""

from array import array
from pathlib import Path

import numpy as np

from faceloom.errors import MediaError
from faceloom.media.decoding import marked_keyframes, open_video, packets_of, video_stream
from faceloom.media.extents import Extents


def locate(path: Path) -> Extents:
    """The packets of a video whose index is here, whatever is here of what they hold.

    Raises:
        MediaError: it has no video stream, or its index does not tell.
        MemoryError: there is too little memory to tell.
    """
    ticks, offsets, sizes, keyframes = array("q"), array("q"), array("q"), array("b")
    with open_video(path) as container:
        stream = video_stream(container, path)
        marked = marked_keyframes(stream)  # a demuxer asks the stream itself, which is not here
        for packet in packets_of(container, stream):
            if packet.pts is None or packet.pos is None:
                raise MediaError("its index tells no times", path=path)
            ticks.append(packet.pts)
            offsets.append(packet.pos)
            sizes.append(packet.size)
            keyframes.append(packet.pos in marked)
    if not any(keyframes):
        raise MediaError("its index names no keyframes", path=path)
    return Extents(
        ticks=np.array(ticks, np.int64),
        offsets=np.array(offsets, np.int64),
        sizes=np.array(sizes, np.int64),
        keyframes=np.array(keyframes, np.bool_),
    )
