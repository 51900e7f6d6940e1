"""Masks of single parts of a face, soft edges, and foreheads that turn with the head."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import faceloom
from faceloom.api import extract
from faceloom.choices import EngineName
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_engine
from faceloom.errors import RequestError
from faceloom.faces import Face, FrameId, Patch
from faceloom.geometry.drawings import Drawing
from faceloom.geometry.landmarks import MEAN_FACE, outer_eye_distance
from faceloom.geometry.pose import MEAN_HEAD, backwards
from faceloom.mask.bisenet import PARTS, BiSeNet
from faceloom.mask.extended import Extended
from faceloom.networks.face_parts import CLASSES
from faceloom.orders.flows import make_flow
from faceloom.pipeline.faces import MaskStep
from faceloom.store.reading import read_config

SIZE = 256


def answers(count: int) -> Mapping[str, Any]:
    """How likely pixels are of each class, made up."""
    logits = np.random.default_rng(0).normal(0, 4, (count, len(CLASSES), 512, 512)).astype(np.float32)
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return {"classes": likely}


def test_the_classes_of_a_face_are_together_its_mask() -> None:
    likely = answers(2)
    face, hair, *parts = BiSeNet(parts=("face", "hair", *list(PARTS)[1:])).decode_each(likely)
    whole = BiSeNet().decode({"face": likely["classes"][:, PARTS["face"]].sum(axis=1)})
    np.testing.assert_array_equal(face, whole)
    np.testing.assert_array_equal(hair, parts[CLASSES.index("hair")])
    together = np.sum(np.stack(parts).astype(np.int64), axis=0)
    assert np.abs(together - 255).max() <= len(CLASSES) / 2  # each is rounded


def test_the_network_gives_its_classes_from_the_same_checkpoint(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    checkpoints: Any = pytest.importorskip("faceloom.engines.checkpoints")
    torch.manual_seed(0)
    state = dict(checkpoints.empty_network(BiSeNet().network).to_empty(device="cpu").state_dict())
    for name, values in state.items():
        if values.is_floating_point():
            values.uniform_(0.5, 1.5) if "running_var" in name else values.normal_(0, 0.05)
        else:
            values.zero_()
    torch.save(state, tmp_path / "made.pth")
    engine = start_engine(Runtime(engine=EngineName.TORCH))
    plain, apart = BiSeNet(), BiSeNet(parts=("face", "hair", "left-brow"))
    landmarks = (MEAN_FACE * 60 + 50).astype(np.float32)
    pixels = np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8)
    patch = Patch(pixels=pixels, x=0, y=0, held_bytes=0, frame_shape=(160, 160))
    box = np.array([30, 30, 130, 130], np.float32)
    faces = [
        Face(frame=FrameId("made", i), index=0, box=box, score=0.9, landmarks=landmarks, patch=patch) for i in (0, 1)
    ]
    one, several = (
        MaskStep("mask/bisenet", plugin, engine.load(tmp_path / "made.pth", plugin.network), 2).run(faces)
        for plugin in (plain, apart)
    )
    for whole, parts in zip(one, several, strict=True):
        assert set(parts.masks) == {"bisenet", "bisenet-hair", "bisenet-left-brow"}
        assert np.abs(parts.masks["bisenet"].astype(int) - whole.masks["bisenet"]).max() <= 1
        assert parts.masks["bisenet-hair"].any()


def test_parts_of_one_network_are_one_stage() -> None:
    flow = make_flow({"mask": ["bisenet:hair", "bisenet", "components", "bisenet:left-brow"]})
    assert [stage.name for stage in flow.of("mask")] == ["mask/bisenet", "mask/components"]
    plugin = flow.of("mask")[0].plugin
    assert isinstance(plugin, BiSeNet)
    assert plugin.names("bisenet") == ("bisenet-hair", "bisenet", "bisenet-left-brow")
    assert "parts" not in make_flow({"mask": ["bisenet"]}).describe()["mask/bisenet"]


@pytest.mark.parametrize(
    ("mask", "words"),
    [("unet:hair", "has no parts such as 'hair'"), ("bisenet:har", "did you mean 'hair'"), ("nothing:hair", "nothing")],
)
def test_a_part_that_there_is_not_is_refused(mask: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        make_flow({"mask": [mask]})


@settings(max_examples=20)
@given(st.floats(0.02, 0.3), st.sampled_from(["components", "extended"]))
def test_a_soft_edge_fades_where_the_hard_one_was(share: float, name: str) -> None:
    landmarks = (MEAN_FACE * 90 + 80).astype(np.float32)
    flow = make_flow({"mask": [name], "soft_edges": share})
    soft = flow.of("mask")[0].plugin.drawing.draw(landmarks, size=SIZE)  # type: ignore[attr-defined]
    hard = make_flow({"mask": [name]}).of("mask")[0].plugin.drawing.draw(landmarks, size=SIZE)  # type: ignore[attr-defined]
    fades = (soft > 5) & (soft < 250)
    assert fades.sum() > ((hard > 5) & (hard < 250)).sum()
    width_px = share * float(outer_eye_distance(landmarks))
    far = np.abs(_distance_to_edge(hard)) > width_px + 2
    assert (np.abs(soft.astype(int) - hard)[far] <= 7).all()  # a Gaussian ends nowhere


def _distance_to_edge(mask: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    ndimage = pytest.importorskip("scipy.ndimage")
    inside = mask >= 128
    return np.asarray(ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside))


def test_soft_edges_reach_masks_of_networks_and_stores(samples: Path, tmp_path: Path) -> None:
    options = {"mask": ["components", "unet"], "size": 64, "mask_size": 256}
    extract(samples / "portrait.png", tmp_path / "soft", soft_edges=0.2, **options)  # type: ignore[arg-type]
    with faceloom.open(tmp_path / "soft") as results:
        (stored,) = results.faces()
        masks = {name: results.mask(stored, name) for name in ("components", "unet")}
    (frame,) = faceloom.stream([samples / "portrait.png"], soft_edges=0.2, mask=options["mask"])  # type: ignore[arg-type]
    (hard,) = faceloom.stream([samples / "portrait.png"], mask=options["mask"])  # type: ignore[arg-type]
    for name, mask in masks.items():
        assert mask is not None
        np.testing.assert_array_equal(mask, frame.faces[0].masks[name])
        grey = (mask > 20) & (mask < 235)
        before = (hard.faces[0].masks[name] > 20) & (hard.faces[0].masks[name] < 235)
        assert grey.sum() > 2 * before.sum()
    assert read_config(tmp_path / "soft")["stages"]["mask/unet"]["soft"] == 0.2


def test_folders_of_before_there_were_edges_or_depths_go_on() -> None:
    described = make_flow({"mask": ["components", "extended", "face"]}).describe()
    assert set(described["mask/components"]) == {"grow", "weights"}
    assert set(described["mask/extended"]) == {"grow", "lift", "weights"}
    assert set(described["mask/face"]) <= {"weights"}
    assert Extended().drawing == Drawing("extended/1", (0.04, 0.3))


def seen(yaw_deg: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The mean head's landmarks, turned to the right of the picture, in a mask's pixels."""
    yaw = np.radians(yaw_deg)
    x = MEAN_HEAD[:, 0] * np.cos(yaw) - MEAN_HEAD[:, 2] * np.sin(yaw)
    return np.asarray(np.stack([x, MEAN_HEAD[:, 1]], axis=1) * 60 + (128, 150), np.float32)


def test_a_forehead_lies_behind_the_brows_of_a_head_that_is_turned() -> None:
    ahead, right = backwards(seen(0)), backwards(seen(40))
    assert abs(ahead[0]) < 1
    assert right[0] < -20  # a nose that points to the right has the back of its head to the left
    usual, turning = Extended(), replace(Extended(), depth=0.4)

    def middle(plugin: Extended, yaw_deg: float) -> float:
        landmarks = seen(yaw_deg)
        above = plugin.draw(landmarks, size=SIZE)[: int(landmarks[17:27, 1].min()) - 4]
        return float(np.nonzero(above >= 128)[1].mean())

    assert middle(turning, 0) == pytest.approx(middle(usual, 0), abs=1)
    assert middle(turning, 40) < middle(usual, 40) - 3
    assert middle(turning, -40) > middle(usual, -40) + 3
