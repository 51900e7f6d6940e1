"""Dataset to Parquet: the good faces of a collection as one Parquet file, with boxes, landmarks, masks and chips.

    python examples/dataset_to_parquet.py PICTURES OUT

OUT/faces is the result folder, OUT/faces.parquet the table (pip install 'faceloom[parquet]').
"""

import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet

import faceloom


def main(pictures: str, out: str) -> None:
    """Finds the faces, keeps those that are large and sharp, and writes their table with the chips in it."""
    folder, table = Path(out, "faces"), Path(out, "faces.parquet")
    faceloom.extract(pictures, folder, size=256, format="webp")
    with faceloom.open(folder) as results:
        good = results.faces(min_score=0.8, min_size=48, min_sharpness=30)
        # The columns are those of `faceloom export --to parquet`; the chips' files become one more.
        chips = [None if face.chip is None else Path(folder, face.chip).read_bytes() for face in good]
        rows = good.to_arrow().append_column("chip_webp", pyarrow.array(chips, pyarrow.binary()))
        print(f"{len(good)} of {len(results)} faces in {table}: {', '.join(rows.column_names)}")
    pyarrow.parquet.write_table(rows, table)


if __name__ == "__main__":
    main(*sys.argv[1:])
