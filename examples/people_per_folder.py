"""People per folder: sorts the faces of a collection of photos into a folder for each person, the sharpest face first.

    python examples/people_per_folder.py PHOTOS OUT

OUT/faces is the result folder, OUT/people has the folders; links in them lead to the chips.
"""

import sys
from pathlib import Path

import faceloom


def main(photos: str, out: str) -> None:
    """Finds the faces, tells them apart, and says who was found how often."""
    faces, people = Path(out, "faces"), Path(out, "people")
    # Nothing makes faces comparable unless an identifier is asked for. Masks are not needed here.
    summary = faceloom.extract(photos, faces, identify="dlib", mask=[], memory="1GiB")
    print(f"{summary.faces} faces in {summary.frames} photos")
    for person in faceloom.group(faces, sort="sharpness", folders=people):
        print(f"{person.name}: {person.faces} faces, the sharpest of them {person.best}")


if __name__ == "__main__":
    main(*sys.argv[1:])
