"""What `export --to webdataset` writes, as tar and as WebDataset itself read it."""

import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.errors import RequestError, StoreError
from faceloom.formats import webdataset

_FACES_OF_SHARD = 2


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of a portrait and a crowd."""
    folder = tmp_path_factory.mktemp("webdataset") / "out"
    pictures = folder.parent / "a.b/..c"
    pictures.mkdir(parents=True)
    for name in ("portrait.png", "crowd.jpg"):
        shutil.copy(samples / name, pictures)
    faceloom.extract(folder.parent / "a.b", folder, size=64, mask_size=32)
    return folder


@pytest.fixture
def shards(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Its shards of two faces each."""
    monkeypatch.setattr(webdataset, "FACES_OF_SHARD", _FACES_OF_SHARD)
    faceloom.export(made, "webdataset", out=tmp_path / "shards")
    return sorted((tmp_path / "shards").iterdir())


def test_shards_have_so_many_faces_each_in_the_order_of_exports(made: Path, shards: list[Path]) -> None:
    keys = []
    for path in shards:
        with tarfile.open(path) as tar:
            names = [name.removesuffix(".json") for name in tar.getnames() if name.endswith(".json")]
        assert len(names) == _FACES_OF_SHARD or path == shards[-1]
        keys += names
    with faceloom.open(made) as results:
        assert keys == [f"{face.frame.source}/{face.frame.index:06}_{face.index}" for face in results.faces()]
    assert [path.name for path in shards] == [f"faces-{number:06}.tar" for number in range(len(shards))]


def test_a_face_is_its_line_its_chip_and_its_masks(made: Path, shards: list[Path]) -> None:
    lines = iter(faceloom.export(made, "jsonl").splitlines())
    with faceloom.open(made) as results:
        faces = iter(results.faces())
        for path in shards:
            with tarfile.open(path) as tar:
                content = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
            for name in [name for name in content if name.endswith(".json")]:
                face, key = next(faces), name.removesuffix(".json")
                told, line = json.loads(content[name]), json.loads(next(lines))
                assert told == {**line, "masks": {one: {"size": 32} for one in line["masks"]}}
                assert content[f"{key}.jpg"] == (made / str(face.chip)).read_bytes()
                for mask in face.masks:
                    png = cv2.imdecode(np.frombuffer(content[f"{key}.{mask}.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
                    np.testing.assert_array_equal(png, results.mask(face, mask))


def test_the_same_faces_are_the_same_bytes(made: Path, shards: list[Path], tmp_path: Path) -> None:
    faceloom.export(made, "webdataset", out=tmp_path / "again")
    assert [path.read_bytes() for path in shards] == [
        path.read_bytes() for path in sorted((tmp_path / "again").iterdir())
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves files open
def test_webdataset_reads_a_sample_a_face(made: Path, shards: list[Path]) -> None:
    package = pytest.importorskip("webdataset", reason="webdataset is not installed")
    read = package.WebDataset([str(path) for path in shards], shardshuffle=False).decode("rgb8")
    with faceloom.open(made) as results:
        for face, sample in zip(results.faces(), read, strict=True):
            assert sample["json"]["box"] == pytest.approx(face.box.tolist(), abs=1e-3)
            assert np.abs(sample["jpg"].astype(int) - results.chip(face)).max() <= 3  # two decoders of JPEG
            assert sample["extended.png"].shape[:2] == (32, 32)


def test_a_chip_that_is_not_there_is_named_and_nothing_is_left(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    chip = next((copy / "chips").rglob("*.jpg"))
    while chip.is_dir():
        chip = next(chip.iterdir())
    chip.unlink()
    with pytest.raises(StoreError, match="faceloom check"):
        faceloom.export(copy, "webdataset", out=tmp_path / "shards")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_it_is_a_folder_and_no_text(made: Path) -> None:
    with pytest.raises(RequestError, match="--out"):
        faceloom.export(made, "webdataset")


def test_nothing_is_one_empty_shard(samples: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 128, np.uint8))
    faceloom.extract(tmp_path / "grey.png", tmp_path / "out", size=64)
    faceloom.export(tmp_path / "out", "webdataset", out=tmp_path / "shards")
    with tarfile.open(tmp_path / "shards/faces-000000.tar") as tar:
        assert tar.getnames() == []
