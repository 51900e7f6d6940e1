"""A data set of Hugging Face: chips with what is known of them, and a card (pip install datasets).

    python examples/hugging_face.py FOLDER OUT

FOLDER is a result folder; OUT is new. What is there can be pushed to the hub as it is, if the people in it agree.
"""

import sys
from pathlib import Path

import datasets

import faceloom


def main(folder: str, out: str) -> None:
    """Exports the faces and loads them as anybody would."""
    faceloom.export(folder, "hf", out=out)
    faces = datasets.load_dataset(out, split="train", cache_dir=str(Path(out).with_name("cache")))
    sharp = faces.filter(lambda row: (row["sharpness"] or 0) > 30)
    print(f"{len(faces)} faces, {len(sharp)} of them sharp; columns: {', '.join(faces.column_names)}")
    row = faces[0]
    print(f"the first is {row['image'].size[0]} pixels wide, of {row['source']}, box {[round(n) for n in row['box']]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
