"""The same faces whatever the budget, the workers and the place: exports are compared byte for byte."""

import json
import shutil
from pathlib import Path

import pytest

from faceloom.api import extract, stream
from faceloom.errors import BudgetError
from faceloom.formats.jsonl import rounded
from jobs import exported, files_below

SIZE = 64


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("crowd.jpg", "portrait.png", "clip.mp4"):
        shutil.copy(samples / name, folder)
    return folder


@pytest.fixture(scope="module")
def reference(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    extract(media, out, size=SIZE)
    return out


@pytest.fixture(scope="module")
def smallest_bytes(media: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path_factory.mktemp("refused") / "out", size=SIZE, memory="150MiB")
    assert refused.value.needed_bytes is not None
    return refused.value.needed_bytes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("of_smallest", [1.0, 1.7, None])
def test_any_budget_and_number_of_workers_gives_the_same_export(
    media: Path, reference: Path, smallest_bytes: int, of_smallest: float | None, threads: int, tmp_path: Path
) -> None:
    # Rounded up as the message of the refusal does, and a little more for what differs from start to start.
    memory = None if of_smallest is None else int(of_smallest * smallest_bytes) + (4 << 20)
    summary = extract(media, tmp_path / "out", size=SIZE, memory=memory, threads=threads)
    assert summary.failed == 0
    assert exported(tmp_path / "out") == exported(reference)
    assert exported(tmp_path / "out", frames=True) == exported(reference, frames=True)
    assert files_below(tmp_path / "out") == files_below(reference)


def test_a_worker_in_this_process_finds_the_same(media: Path, reference: Path) -> None:
    stored = [json.loads(line) for line in exported(reference).splitlines()]
    found = {
        (frame.id.source, frame.id.index, face.index): face
        for frame in stream(media, threads=2)
        for face in frame.faces
    }
    assert found.keys() == {(row["source"], row["frame"], row["index"]) for row in stored}
    for row in stored:
        face = found[row["source"], row["frame"], row["index"]]
        assert row["landmarks"] == rounded(face.landmarks)
        assert row["box"] == rounded(face.box)
