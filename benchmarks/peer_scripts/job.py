"""What every script is told, and what it tells: `python -m peer_scripts.NAME INPUT OUT [--part I/N]`."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIXES = {".jpg", ".png"}


@dataclass(slots=True, kw_only=True)
class Job:
    """A folder of pictures, or one video, and where the findings go."""

    options: argparse.Namespace
    boxes: dict[str, list[list[float]]] = field(default_factory=dict)
    """`NAME#INDEX` of a frame, to x0, y0, x1, y1 of each of its faces."""

    @property
    def out(self) -> Path:
        """A folder that is there."""
        path: Path = self.options.out
        return path

    def pictures(self) -> list[Path]:
        """The pictures of this part."""
        part, parts = self.options.part
        every = sorted(path for path in self.options.input.iterdir() if path.suffix in SUFFIXES)
        return every[part::parts]

    def frames(self) -> Iterator[tuple[str, Any]]:
        """Name and BGR pixels of each frame of this part, read by OpenCV."""
        import cv2

        if self.options.input.is_dir():
            for path in self.pictures():
                yield f"{path.name}#0", cv2.imread(str(path))
            return
        part, parts = self.options.part
        video = cv2.VideoCapture(str(self.options.input))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        first, last = count * part // parts, count * (part + 1) // parts
        if first:
            video.set(cv2.CAP_PROP_POS_FRAMES, first)
        for i in range(first, last):
            _, image = video.read()
            yield f"{self.options.input.name}#{i}", image

    def finish(self) -> None:
        """Writes what was found."""
        part, _ = self.options.part
        (self.out / f"found-{part}.json").write_text(json.dumps(self.boxes))


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of every script."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("input", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--part", type=_part, default=(0, 1), metavar="I/N", help="every Nth picture from the Ith")
    return arguments


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    return int(part), int(parts)
