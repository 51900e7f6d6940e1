"""Detectors from files of a user's own, held against boxes made by people: `python benchmarks/own_networks.py`.

Prints the table of docs/plugins.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import faceloom
from faceloom.options.calls import StreamOptions
from faceloom.orders.flows import make_flow
from truth import SHARED_DATA, BoxedPicture, dlib_faces, markdown, tally

FILES = ("scrfd_2.5g_kps", "scrfd_500m_bnkps", "retinaface_mbnet0.25", "ultraface_rfb_640")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    pictures = dlib_faces(parser.parse_args().data)
    columns = ("detector", "layout", "canvas", "faces", "found", "false", "recall", "precision")
    print(markdown("Own detectors", columns, rows(pictures)))


def rows(pictures: Sequence[BoxedPicture]) -> Iterator[Sequence[str]]:
    """What each detector finds with its default options."""
    for name in ("yunet", "centerface"):
        yield name, "", "any", *_found({"detect": name, "align": None}, pictures)
    for file in FILES:
        weights = {"detect/onnx": SHARED_DATA.parent / f"weights/{file}.onnx"}
        options: StreamOptions = {"detect": "onnx", "align": None, "weights": weights}
        told = make_flow(options).stages[0].plugin.options
        height, width = told["canvas"] or (0, 0)
        yield file, told["layout"], f"{width} x {height}" if width else "any", *_found(options, pictures)


def _found(options: StreamOptions, pictures: Sequence[BoxedPicture]) -> tuple[str, ...]:
    frames = faceloom.stream([picture.image for picture in pictures], **options)
    boxes = (np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4) for frame in frames)
    found = tally(pictures, boxes)
    return str(found.there), str(found.right), str(found.wrong), f"{found.recall:.3f}", f"{found.precision:.3f}"


if __name__ == "__main__":
    main()
