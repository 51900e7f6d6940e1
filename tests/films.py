"""Films for tests: the sample clip over and over, coded as a test wants it."""

from collections.abc import Mapping
from pathlib import Path


def write_film(
    path: Path, clip: Path, *, times: int = 6, options: Mapping[str, str], container: Mapping[str, str] | None = None
) -> Path:
    """The clip so many times over, in H.264 that is large for what it shows."""
    import av

    with av.open(str(clip)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    with av.open(str(path), "w", options=dict(container or {})) as target:
        video = target.add_stream("libx264", rate=25, options={"crf": "3", "preset": "ultrafast", **options})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for number in range(times * len(frames)):
            frame = av.VideoFrame.from_ndarray(frames[number % len(frames)], format="rgb24")
            frame.pts = number
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
    return path
