import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.models.weights import WeightCache
from store.made_results import write_media, write_result

EXAMPLES = Path(__file__).parents[1] / "examples"
PACKAGES = Path(faceloom.__file__).parents[1]


def run(name: str, *arguments: object, cwd: Path) -> str:
    """What an example prints; it has nothing to say on stderr."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    paths = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clip(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples without the crowd: a portrait and a clip of three people."""
    folder = tmp_path_factory.mktemp("few")
    for name in ("portrait.png", "clip.mp4"):
        (folder / name).symlink_to(samples / name)
    return folder


def test_people_per_folder_has_a_folder_of_each_person(shared: Path, cache: WeightCache, tmp_path: Path) -> None:
    prepared(cache, "dlib")
    for person in ("Tony_Blair", "Ariel_Sharon"):
        for number in range(1, 6):
            picture = f"{person}/{person}_{number:04}.jpg"
            (tmp_path / "photos").mkdir(exist_ok=True)
            shutil.copy(shared / "lfw_subset_krasserm/images" / picture, tmp_path / "photos")
    printed = run("people_per_folder", "photos", "out", cwd=tmp_path)
    assert "in 10 photos" in printed
    for name in ("person 1", "person 2"):
        assert f"{name}: " in printed
        chips = list((tmp_path / "out/people" / name).iterdir())
        whose = Counter("Tony" if "Tony" in chip.name else "Ariel" for chip in chips)
        assert len(chips) >= 4
        assert whose.most_common()[0][1] >= len(chips) - 1


def test_interview_clip_prints_a_row_a_frame_in_order_of_time(samples: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(run("interview_clip", samples / "clip.mp4", cwd=tmp_path).splitlines()))
    assert len(rows) == 25
    times = [float(row["time_s"]) for row in rows]
    assert times == sorted(times)
    assert all(len(row) == 3 + 136 for row in rows)
    assert all(0 <= float(row["mouth"]) < 1 for row in rows)


def test_the_notebook_writes_a_contact_sheet(samples: Path, tmp_path: Path) -> None:
    faceloom.extract([samples / "portrait.png", samples / "crowd.jpg"], tmp_path / "faces", size=128, mask=[])
    printed = run("notebook", cwd=tmp_path)
    assert "26 faces of 2 sources; 0 frames failed" in printed
    (count,) = re.findall(r"(\d+) of them", printed)
    sheet = (tmp_path / "sheet.html").read_text()
    assert sheet.count("<img ") == int(count) > 0


def test_the_own_detector_finds_faces_in_the_dark(samples: Path, tmp_path: Path) -> None:
    image = np.asarray(cv2.imread(str(samples / "crowd.jpg"), cv2.IMREAD_COLOR))
    cv2.imwrite(str(tmp_path / "night.png"), (image * 0.04).astype(np.uint8))
    (ours, without), *_ = re.findall(
        r"night\.png#0: (\d+) faces, (\d+) without", run("own_detector", "night.png", cwd=tmp_path)
    )
    assert int(ours) > int(without)


def test_the_dataset_is_one_table_with_the_chips_in_it(clip: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "out").mkdir()
    run("dataset_to_parquet", clip / "portrait.png", "out", cwd=tmp_path)
    (row,) = parquet.read_table(tmp_path / "out/faces.parquet").to_pylist()
    assert row["source"] == "portrait.png"
    assert row["score"] >= 0.8
    chip = cv2.imdecode(np.frombuffer(row["chip_webp"], np.uint8), cv2.IMREAD_COLOR)
    assert chip is not None
    assert chip.shape == (256, 256, 3)


def test_the_camera_tells_of_every_frame(samples: Path, tmp_path: Path) -> None:
    printed = run("camera_stream", samples / "clip.mp4", cwd=tmp_path)
    frames = re.findall(r"frame (\d+): (\d+) of (\d+) faces look here", printed)
    assert [int(number) for number, *_ in frames] == list(range(25))
    assert all(int(looking) <= int(faces) for _, looking, faces in frames)
    assert any(int(faces) for *_, faces in frames)


def test_budgets_are_compared_before_anything_is_run(clip: Path, tmp_path: Path, cache: WeightCache) -> None:
    prepared(cache, "unet")
    printed = run("budget_what_if", clip, "100MiB", "2GiB", cwd=tmp_path)
    assert printed.startswith("26 frames")
    assert re.search(r"^100MiB: \S+ needs \d+ MiB$", printed, re.MULTILINE)
    (most,) = re.findall(r"^2GiB: \S+ s, \d+ workers, (\d+) MiB at most$", printed, re.MULTILINE)
    assert 0 < int(most) <= 2048
    assert "pass 1: detect/yunet" in printed
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_goes_on_and_does_nothing_twice(clip: Path, tmp_path: Path) -> None:
    first, _, second = run("resume", clip, "out", cwd=tmp_path).splitlines()
    (done,) = re.findall(r"interrupted after (\d+) frames", first)
    assert 0 < int(done) < 26
    assert second == f"done: 26 frames, {done} of which were done before"
    whole = tmp_path / "whole"
    faceloom.extract(clip, whole, size=128)
    assert faceloom.export(tmp_path / "out") == faceloom.export(whole)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of a few faces, of no network."""
    folder = tmp_path_factory.mktemp("made")
    write_result(write_media(folder / "in"), folder / "faces")
    return folder / "faces"


def test_pandas_tells_of_sources_and_faces(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: it is in the extra 'pandas'")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: it is in the extra 'pandas'")
    printed = run("faces_in_pandas", made, cwd=tmp_path)
    assert re.search(r"^deep/crowd\.jpg +12 ", printed, re.MULTILINE)
    assert "17 of 17 faces look here" in printed
    assert "(68, 2)" in printed


def test_torch_is_given_tensors(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: it is in the extra 'torch'")
    printed = run("torch_dataset", made, cwd=tmp_path)
    assert "'chip': (8, 3, 64, 64), 'landmarks': (8, 68, 2)" in printed
    assert "(1, 3, 64, 64)" in printed


def test_a_data_set_of_hugging_face_is_loaded_as_anybody_would(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")
    printed = run("hugging_face", made, "out", cwd=tmp_path)
    assert "17 faces, 0 of them sharp" in printed
    assert "64 pixels wide, of ann_in_july.png" in printed


def test_every_example_is_run_here_and_says_how_it_is_run() -> None:
    tests = Path(__file__).read_text()
    names = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert len(names) == 11
    for name in names:
        text = (EXAMPLES / f"{name}.py").read_text()
        assert f'run("{name}"' in tests
        assert f"python examples/{name}.py" in text
        assert 15 <= len(text.splitlines()) <= 50
