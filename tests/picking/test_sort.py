import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom
from faceloom.choices import SortKey
from faceloom.errors import BudgetError, RequestError
from faceloom.picking.ordering import chain
from faceloom.store.database import connect
from store.made_results import CONFIG, write_media, write_result

NUMBERS = set(SortKey) - {"histogram", "landmarks", "shape", "identity", "name"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sort")
    write_result(write_media(folder / "in"), folder / "out")
    return folder / "out"


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "faces")


def listed(out: Path) -> list[dict[str, Any]]:
    text = out.read_text() if out.is_file() else (out / "sorted.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def place(line: Mapping[str, Any]) -> tuple[str, int, int]:
    return line["source"], line["frame"], line["index"]


@pytest.mark.parametrize("seed", range(10))
def test_each_point_of_a_chain_is_followed_by_the_nearest_that_is_left(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32)
    order, lengths = chain(points)
    assert sorted(order.tolist()) == list(range(40))
    assert np.linalg.norm(points - points.mean(axis=0), axis=1).argmax() == order[0]
    for i in range(39):
        apart = np.linalg.norm(points[order[i + 1 :]] - points[order[i]], axis=1)
        assert lengths[i + 1] == pytest.approx(apart[0], abs=1e-3)
        assert apart[0] <= apart.min() + 1e-3


def test_a_chain_takes_equal_points_in_their_order() -> None:
    order, lengths = chain(np.array([[0, 0], [9, 0], [0, 0], [9, 0]], np.float32))
    assert order.tolist() in ([0, 2, 1, 3], [1, 3, 0, 2])
    assert lengths.tolist() == pytest.approx([0, 0, 9, 0])
    assert chain(np.zeros((0, 4), np.float32))[0].tolist() == []


def test_a_line_is_gone_along() -> None:
    points = np.random.default_rng(4).permutation(50)
    order, _ = chain(np.repeat(points[:, None], 2, axis=1).astype(np.float32))
    assert points[order].tolist() in (list(range(50)), list(range(49, -1, -1)))


@pytest.mark.parametrize("key", sorted(SortKey))
def test_every_key_puts_every_face_in_a_place(key: str, faces: Path, tmp_path: Path) -> None:
    done = faceloom.sort(faces, tmp_path / "order.jsonl", by=key, as_="list")
    lines = listed(tmp_path / "order.jsonl")
    assert done.faces == len({place(line) for line in lines}) == len(faceloom.open(faces))
    assert [line["place"] for line in lines] == list(range(1, len(lines) + 1))
    values = [line["value"] for line in lines]
    known = [value for value in values if value is not None]
    assert values[len(known) :] == [None] * (len(values) - len(known))
    if key in NUMBERS:
        assert known == sorted(known)
        back = faceloom.sort(faces, tmp_path / "back.jsonl", by=key, as_="list", descending=True)
        assert back.unknown == len(values) - len(known) == done.unknown
        assert [line["value"] for line in listed(tmp_path / "back.jsonl")] == known[::-1] + values[len(known) :]


def test_by_name_is_the_order_of_exports(faces: Path, tmp_path: Path) -> None:
    faceloom.sort(faces, tmp_path / "order.jsonl", by="name", as_="list")
    exported = [json.loads(line) for line in faceloom.export(faces).splitlines()]
    assert [place(line) for line in listed(tmp_path / "order.jsonl")] == [place(line) for line in exported]


def test_files_stand_in_the_order_of_their_names(faces: Path, tmp_path: Path) -> None:
    faceloom.sort(faces, tmp_path / "order", by="yaw")
    lines = listed(tmp_path / "order")
    files = sorted(path.name for path in (tmp_path / "order").glob("*.jpg"))
    assert files == [line["file"] for line in lines]
    for line in lines:
        own = faces / f"chips/{line['source']}/{line['frame']:06}_{line['index']}.jpg"
        assert (tmp_path / "order" / line["file"]).read_bytes() == own.read_bytes()


def test_bins_are_folders_in_order(faces: Path, tmp_path: Path) -> None:
    faceloom.sort(faces, tmp_path / "order", by="time", bins=2)
    folders = {Path(line["file"]).parent.name: line["value"] for line in listed(tmp_path / "order")}
    assert folders == {"1_0 to 0.5": 0.0, "2_0.5 to 1": 1.0, "3_unknown": None}
    faceloom.sort(faces, tmp_path / "alike", by="identity", bins=4)
    counts = [len(list(folder.iterdir())) for folder in sorted((tmp_path / "alike").glob("[0-9]"))]
    assert sum(counts) == len(faceloom.open(faces))
    assert max(counts) - min(counts) <= 1


def test_faces_without_a_chip_are_left_out_of_folders_and_not_of_lists(faces: Path, tmp_path: Path) -> None:
    (faces / "chips/bob.png/000000_0.jpg").unlink()
    assert faceloom.sort(faces, tmp_path / "order").lost == 1
    assert faceloom.sort(faces, tmp_path / "order.jsonl", as_="list").lost == 0
    assert len(listed(tmp_path / "order")) + 1 == len(listed(tmp_path / "order.jsonl"))


def test_what_people_said_holds(faces: Path, tmp_path: Path) -> None:
    said = faceloom.corrections(faces)
    said.reject("bob.png#0/0")
    said.move_box("ann_in_july.png#0/0", [0, 0, 400, 400])
    faceloom.sort(faces, tmp_path / "order.jsonl", by="size", as_="list")
    lines = listed(tmp_path / "order.jsonl")
    assert (lines[-1]["source"], lines[-1]["value"]) == ("ann_in_july.png", 400)
    assert "bob.png" not in {line["source"] for line in lines}


def test_a_key_that_there_is_nothing_of_is_refused_with_what_to_do(tmp_path: Path) -> None:
    bare = {**CONFIG, "stages": {"detect/yunet": {}}}
    write_result(write_media(tmp_path / "in"), tmp_path / "faces", config=bare)
    with connect(tmp_path / "faces", read_only=False) as db:
        db.execute("UPDATE face SET embedding = NULL, landmarks = NULL, chip = NULL")
    for key, message in (
        ("identity", "faceloom extend"),
        ("shape", "no landmarks"),
        ("hue", "no chips"),
        ("fame", "there is no by 'fame'"),
    ):
        with pytest.raises(RequestError, match=message):
            faceloom.sort(tmp_path / "faces", tmp_path / "order.jsonl", by=key, as_="list")
    with pytest.raises(RequestError, match="--as list"):
        faceloom.sort(tmp_path / "faces", tmp_path / "order", by="size")
    with pytest.raises(BudgetError, match="raise --memory"):
        faceloom.sort(tmp_path / "faces", tmp_path / "order.jsonl", by="size", as_="list", memory="1MiB")
    assert faceloom.sort(tmp_path / "faces", tmp_path / "order.jsonl", by="size", as_="list").faces == 17
