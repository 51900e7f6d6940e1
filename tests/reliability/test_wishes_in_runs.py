"""The same faces whatever is wished of the plan: exports are compared by their sha256."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import faceloom
from faceloom.api import extract
from faceloom.errors import BudgetError
from faceloom.events import TRIED_ANYWAY, Event, Notice
from faceloom.units import MIB
from jobs import exported

FLOW: dict[str, Any] = {"mask": ["unet"], "size": 64, "every": 25}


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("portrait.png", "clip.mp4"):
        shutil.copy(samples / name, folder)
    return folder


def digest(folder: Path) -> str:
    return hashlib.sha256(exported(folder).encode()).hexdigest()


@pytest.fixture(scope="module")
def free(media: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("free") / "out"
    extract(media, out, **FLOW)
    return digest(out)


@pytest.mark.parametrize(
    ("wishes", "passes", "batches"),
    [
        ({"passes": "together"}, 1, {}),
        ({"passes": "separate"}, 3, {}),
        ({"pass_": ("detect", "align,mask")}, 2, {}),
        (
            {"batch": {"detect": "2!", "align": "3!", "mask": "2!"}, "passes": "separate"},
            3,
            {"detect/yunet": 2, "align/facemesh": 3, "mask/unet": 2},
        ),
        ({"batch": {"mask": 1, "align": "1"}, "reserve": "256MiB"}, 1, {"mask/unet": 1, "align/facemesh": 1}),
    ],
)
def test_the_same_faces_come_out_under_every_wish(
    wishes: dict[str, Any], passes: int, batches: dict[str, int], media: Path, free: str, tmp_path: Path
) -> None:
    summary = extract(media, tmp_path / "out", **FLOW, **wishes)
    laid = summary.plan["phases"]
    assert len(laid) == passes
    taken = {stage["stage"]: stage["batch"] for phase in laid for stage in phase["stages"]}
    assert taken == taken | batches
    assert summary.failed == 0
    assert digest(tmp_path / "out") == free


def test_wishes_are_no_part_of_what_a_folder_is_held_to(media: Path, free: str, tmp_path: Path) -> None:
    first = extract(media, tmp_path / "out", **FLOW, passes="separate", batch={"align": 1})
    again = extract(media, tmp_path / "out", **FLOW, passes="together", try_anyway=True, reserve="100MiB")
    assert (first.frames, again.skipped) == (again.frames, again.frames)
    assert digest(tmp_path / "out") == free


def test_a_stage_that_is_thought_too_large_is_tried_and_finds_the_same_within_the_ceiling(
    media: Path, free: str, tmp_path: Path
) -> None:
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path / "no", **FLOW, memory="150MiB")
    memory = refused.value.needed_bytes - MIB // 2
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.kind)

    summary = extract(media, tmp_path / "out", **FLOW, memory=memory, try_anyway=True, on_event=note)
    if TRIED_ANYWAY not in notices:
        pytest.skip("what this process holds left room for a plan")
    assert summary.peak_bytes <= memory
    assert summary.failed == 0
    assert digest(tmp_path / "out") == free


def test_a_forecast_tells_what_each_wish_costs_against_the_plan_without_any(media: Path) -> None:
    wishes: dict[str, Any] = {"passes": "separate", "batch": {"mask": "2!"}, "reserve": "256MiB"}
    found = faceloom.plan(media, mask=["unet"], every=25, **wishes)
    texts = [one.wish for one in found.wishes]
    assert texts == ["", "--batch mask/unet=2!", "--passes separate", "--reserve 256MiB"]
    plans = [one.planned.plan for one in found.wishes if not isinstance(one.planned, BudgetError)]
    assert len(plans) == 4
    assert all(plan.seconds >= plans[0].seconds - 1e-6 for plan in plans)
    assert len(plans[2].phases) == 3
    assert not faceloom.plan(media, every=25).wishes
