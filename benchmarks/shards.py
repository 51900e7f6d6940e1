"""A million files or a hundred: `python benchmarks/shards.py [--faces 20000]`, chips in a folder against WebDataset.

Makes a result folder of so many faces with a chip each (`large_stores.py`), exports it as WebDataset, and lists, reads
and copies the chips of both, each in a process of its own; CPU-seconds and files a CPU-second.
"""

import argparse
import shutil
import sys
from pathlib import Path

from large import OUT, cost_of, made

_FOLDER = "import os, sys\nfor top, _, names in os.walk(sys.argv[1]):\n    for name in names:\n        "
_SHARDS = (
    "import sys, tarfile, pathlib\nfor path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
    "    with tarfile.open(path) as tar:\n        for told in tar:\n            "
)
_LIST = "pass"
_READ = ("open(os.path.join(top, name), 'rb').read()", "told.name.endswith('.jpg') and tar.extractfile(told).read()")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=OUT, help="where the folders are made, and kept")
    chosen = parser.parse_args()
    folder = made(chosen.out, chosen.faces, chip_every=1)
    shards = folder.with_name(f"{folder.name}.shards")
    shutil.rmtree(shards, ignore_errors=True)
    export = [sys.executable, "-m", "faceloom", "export", str(folder), "--to", "webdataset", "--out", str(shards)]
    copies = [folder.with_name(f"{folder.name}.{kind}.copy") for kind in ("chips", "shards")]
    script = [sys.executable, "-c"]
    rows = (
        ("written", None, export),
        ("listed", [*script, _FOLDER + _LIST, str(folder / "chips")], [*script, _SHARDS + _LIST, str(shards)]),
        ("read", [*script, _FOLDER + _READ[0], str(folder / "chips")], [*script, _SHARDS + _READ[1], str(shards)]),
        ("copied", ["cp", "-r", str(folder / "chips"), str(copies[0])], ["cp", "-r", str(shards), str(copies[1])]),
        ("removed", ["rm", "-r", str(copies[0])], ["rm", "-r", str(copies[1])]),
    )
    print("| CPU-s, chips a CPU-second, peak MiB | a file a chip | shards |\n| --- | ---: | ---: |")
    for name, one, other in rows:
        print(f"| {name} | {_cell(one, chosen.faces)} | {_cell(other, chosen.faces)} |", flush=True)
    print(
        f"\n{sum(1 for _ in (folder / 'chips').rglob('*.jpg'))} names against {sum(1 for _ in shards.iterdir())} files"
    )
    return 0


def _cell(command: list[str] | None, faces: int) -> str:
    if command is None:
        return "with the run"
    cpu_s, peak_bytes = cost_of(command)
    return f"{cpu_s:.2f}, {faces / max(cpu_s, 0.01):,.0f}, {peak_bytes / 2**20:.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
