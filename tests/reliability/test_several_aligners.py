"""Several aligners in one order: the mean of what each finds alone, under every plan and after every end."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.api import extract
from faceloom.errors import BudgetError, RequestError
from faceloom.models.weights import WeightCache
from faceloom.results.results import Results
from jobs import exported, files_below
from reliability.kill_fuzz import Fuzz, write_media

PAIR = ("facemesh", "facemesh_v2")
FLOW: dict[str, Any] = {"align": PAIR, "size": 64, "every": 8}


@pytest.fixture(scope="module", autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the tests where the weights cannot be had."""
    for name in ("yunet", *PAIR):
        prepared(cache, name)


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("portrait.png", "clip.mp4"):
        shutil.copy(samples / name, folder)
    return folder


@pytest.fixture(scope="module")
def reference(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    extract(media, out, **FLOW)
    return out


def test_landmarks_are_the_mean_of_those_that_each_finds_alone(media: Path) -> None:
    alone = [list(faceloom.stream(media, align=name, mask="none", every=8)) for name in PAIR]
    together = list(faceloom.stream(media, align=PAIR, mask="none", every=8))
    faces = [[face for frame in frames for face in frame.faces] for frames in (*alone, together)]
    assert len(faces[0]) == len(faces[1]) == len(faces[2]) > 4
    for one, other, both in zip(*faces, strict=True):
        assert one.landmarks is not None
        assert other.landmarks is not None
        assert both.landmarks is not None
        np.testing.assert_allclose(both.landmarks, (one.landmarks + other.landmarks) / 2, atol=1e-3)
        assert both.confidence == min(one.confidence or 0, other.confidence or 0)
        assert (one.landmark_spread, other.landmark_spread) == (None, None)
        assert both.landmark_spread is not None
        assert 0 < both.landmark_spread < 0.2
        assert not both.sightings


@pytest.mark.parametrize(
    ("wishes", "passes"),
    [
        ({"passes": "together"}, 1),
        ({"passes": "separate"}, 3),
        ({"pass_": ("detect,align/facemesh_v2", "align/facemesh")}, 2),
        ({"pass_": ("detect", "align/facemesh_v2", "align/facemesh"), "batch": {"align": "3!"}}, 3),
        ({"batch": {"align/facemesh": 1, "align/facemesh_v2": "2!"}, "threads": 1}, 1),
    ],
)
def test_the_same_faces_come_out_under_every_plan(
    wishes: dict[str, Any], passes: int, media: Path, reference: Path, tmp_path: Path
) -> None:
    summary = extract(media, tmp_path / "out", **FLOW, **wishes)
    assert len(summary.plan["phases"]) == passes
    assert summary.failed == 0
    assert exported(tmp_path / "out") == exported(reference)
    assert files_below(tmp_path / "out") == files_below(reference)


def test_the_smallest_budget_that_a_refusal_names_is_enough(media: Path, reference: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path / "no", **FLOW, memory="120MiB")
    assert refused.value.needed_bytes is not None
    memory = refused.value.needed_bytes + (4 << 20)  # a little for what differs from start to start
    summary = extract(media, tmp_path / "out", **FLOW, memory=memory)
    assert summary.failed == 0
    assert summary.peak_bytes <= memory
    assert exported(tmp_path / "out") == exported(reference)


def test_a_folder_is_gone_on_with_whichever_aligner_is_named_first_and_with_no_other(
    media: Path, reference: Path, tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "out")
    again = extract(media, tmp_path / "out", **{**FLOW, "align": PAIR[::-1]})
    assert again.skipped == again.frames
    with pytest.raises(RequestError, match="facemesh_v2"):
        extract(media, tmp_path / "out", **{**FLOW, "align": "facemesh"})


def test_a_run_that_is_killed_at_random_moments_ends_as_one_in_peace(samples: Path, tmp_path: Path) -> None:
    media = write_media(samples, tmp_path / "media")
    flags = [*(flag for name in PAIR for flag in ("--align", name)), "--every", "5", "--max-faces", "4"]
    tally = Fuzz(media, tmp_path, seed=5, flags=flags).run(5)
    assert not tally.problems, str(tally)
    assert tally.finished


def test_filters_look_at_the_mean(media: Path, tmp_path: Path) -> None:
    extract(media, tmp_path / "out", **FLOW, filter=["distance=0.0001"])
    with Results(tmp_path / "out") as results:
        assert not list(results.faces())
        rejected = list(results.faces(rejected=True))
    assert rejected
    assert all(face.rejected and face.rejected.startswith("distance") for face in rejected)
    assert all(face.landmark_spread is not None for face in rejected)


def test_faces_that_come_with_landmarks_keep_them(media: Path, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "faces.jsonl").write_text(exported(reference))
    options: dict[str, Any] = {**FLOW, "detect": "import", "from_": tmp_path / "faces.jsonl"}
    summary = extract(media, tmp_path / "out", **options)
    assert summary.failed == 0
    with Results(reference) as before, Results(tmp_path / "out") as after:
        for one, other in zip(before.faces(), after.faces(), strict=True):
            assert one.landmarks is not None
            assert other.landmarks is not None
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)
            assert other.landmark_spread == round(one.landmark_spread or 0, 4)
