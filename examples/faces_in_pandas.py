"""Faces in pandas: who is in which picture, how large and how sharp, as tables (pip install 'faceloom[pandas]').

    python examples/faces_in_pandas.py FOLDER

FOLDER is a result folder. One row a face; what people corrected is seen.
"""

import sys

import faceloom


def main(folder: str) -> None:
    """Prints what a few lines of pandas make of a result folder."""
    with faceloom.open(folder) as results:
        faces = results.to_pandas()

    faces["size"] = faces[["x1", "y1"]].to_numpy().max(axis=1) - faces[["x0", "y0"]].to_numpy().min(axis=1)
    by_source = faces.groupby("source").agg(
        faces=("index", "size"), largest=("size", "max"), sharpest=("sharpness", "max")
    )
    print(by_source.sort_values("faces", ascending=False).head(10).round(1).to_string())

    looking = faces[faces["yaw"].abs() < 20]
    print(f"\n{len(looking)} of {len(faces)} faces look here")
    print(f"landmarks are arrays: {faces['landmarks'].iloc[0].shape}")


if __name__ == "__main__":
    main(*sys.argv[1:])
