import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.grouping import group
from faceloom.results.exporting import export
from faceloom.store.store import Store
from faceloom.store.summary import read_summary
from identify_stand_ins import write_sface

pytestmark = pytest.mark.slow


@pytest.fixture(params=[0, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> set[int]:
    """The permissions of a folder and of everything in it."""
    return {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*")) if not path.is_symlink()}


def options(folder: Path, **more: Any) -> dict[str, Any]:
    weights = {"identify/sface": write_sface(folder / "sface.onnx")}
    return {"identify": "sface", "weights": weights, "overlay": True, "size": 64, "mask_size": 32, **more}


def written(samples: Path, folder: Path, **more: Any) -> Path:
    """A folder with all that is written of faces."""
    out = folder / "all"
    out.mkdir(mode=0o700)
    share = {key: value for key, value in more.items() if key == "share"}
    extract(samples / "portrait.png", out / "faces", **options(folder, **more))
    group(out / "faces", folders=out / "people", copy=True, threshold=0.5, **share)
    export(out / "faces", "jsonl", out=out / "faces.jsonl", **share)
    export(out / "faces", "csv", out=out / "frames.csv", frames=True, **share)
    export(out / "faces", "pts", out=out / "points", **share)
    return out


def test_what_is_written_of_faces_is_for_its_owner_alone(samples: Path, tmp_path: Path, umask: int) -> None:
    out = written(samples, tmp_path)
    (chip,) = (out / "faces/chips").rglob("*.jpg")
    assert main(["where", str(chip), "--out", str(out / "frame.png")]) == 0
    assert modes(out) == {0o700, 0o600}
    assert not read_summary(out / "faces")["open_to_others"]


def test_what_is_shared_is_for_whom_the_umask_allows(samples: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        out = written(samples, tmp_path, share=True)
    finally:
        os.umask(before)
    out.chmod(0o755)
    assert modes(out) == {0o755, 0o644}
    assert read_summary(out / "faces")["open_to_others"]


def test_the_log_of_a_store_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    (tmp_path / "out").mkdir()
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        assert {path.suffix for path in (tmp_path / "out").iterdir()} >= {".sqlite", ".sqlite-wal", ".sqlite-shm"}
        assert modes(tmp_path / "out") == {0o700, 0o600}


def test_show_tells_of_an_older_folder_that_others_may_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(tmp_path / "out"):
        pass
    assert main(["show", str(tmp_path / "out")]) == 0
    assert "others" not in capsys.readouterr().out
    for path in (tmp_path / "out", tmp_path / "out/faceloom.sqlite"):
        path.chmod(0o755)
    assert main(["show", str(tmp_path / "out")]) == 0
    assert "others on this machine may read" in capsys.readouterr().out
