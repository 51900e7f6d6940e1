"""What the plan says will be held, beside what was held, of runs in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.engines.engine import Network


def run(arguments: list[str | Path]) -> str:
    command = [sys.executable, "-m", "faceloom", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_loading_took_is_not_held_beside_the_first_batch(
    samples: Path, tmp_path: Path, network: Callable[[str], Network]
) -> None:
    network("dlib")  # 35 MB while it is loaded, where heaps keep what is freed
    network("unet")  # 52 MB at the first batch
    portrait = cv2.imread(str(samples / "portrait.png"))
    assert portrait is not None
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.resize(portrait, (250, 250)))  # frames that a heap keeps
    flow = ["--identify", "dlib", "--mask", "unet", "--json"]
    run(["profile", tmp_path, *flow])  # which would hold more than the run
    told = json.loads(
        run(["extract", tmp_path, "--out", tmp_path / "out", "--threads", "1", "--no-chips", "--quiet", *flow])
    )
    assert told["peak_bytes"]["cpu"] <= told["predicted_peak_bytes"]["cpu"]


@pytest.mark.parametrize("cell", [1000, 1300], ids=["views of the frame", "copies"])
def test_patches_of_large_faces_do_not_pile_up_beside_the_next_photo(samples: Path, tmp_path: Path, cell: int) -> None:
    """Those of twelve faces look into their frame, those of three are copied; faces wait for calls of several."""
    portrait = cv2.imread(str(samples / "portrait.png"))
    assert portrait is not None
    face = cv2.resize(portrait if cell == 1000 else portrait[:352, 80:432], (cell, cell))
    photo = np.random.default_rng(0).integers(60, 140, (3024, 4032, 3), np.uint8)  # files of 7 MB
    for y, x in product(range(0, 3 * cell if cell == 1000 else cell, cell), range(0, 4032 - cell + 1, cell)):
        photo[y : y + cell, x : x + cell] = face
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), photo)
    # What is fastest differs by machine, and calls for one face leave none that waits.
    flow = ["--threads", "1", "--batch", "align=4!", "--quiet", "--json"]
    told = json.loads(run(["extract", tmp_path, "--out", tmp_path / "out", *flow]))
    assert told["faces"] >= 6 * 3
    assert told["peak_bytes"]["cpu"] <= told["predicted_peak_bytes"]["cpu"]
