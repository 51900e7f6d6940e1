"""Our networks against those of the packages that publish the checkpoints, with one set of random values in both."""

from typing import Any

import numpy as np
import pytest

import peer_networks
from faceloom.align.fan import Fan, highest
from faceloom.detect.s3fd import S3fd
from faceloom.errors import StageError

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
checkpoints: Any = pytest.importorskip("faceloom.engines.checkpoints")


def with_values_of(network: str, other: Any) -> Any:
    """Our network with the values of another; every key has to fit."""
    ours = checkpoints.empty_network(network)
    ours.load_state_dict(other.state_dict(), assign=True)
    return ours.eval()


def disturbed(module: Any) -> Any:
    """With statistics of batches as after some training."""
    for name, values in module.state_dict().items():
        if name.endswith("running_mean"):
            values.normal_(0, 0.1)
        if name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    return module.eval()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def s3fd() -> Any:
    return peer_networks.load("face_alignment", "detection.sfd.net_s3fd").s3fd().eval()


def test_s3fd_is_the_published_one(s3fd: Any) -> None:
    image = 100 * torch.rand(2, 3, 160, 192)
    with torch.inference_mode():
        theirs = s3fd(image)
        ours = with_values_of("faceloom.networks.s3fd:S3FD", s3fd)(image)
    for i, stride in enumerate((4, 8, 16, 32, 64, 128)):
        torch.testing.assert_close(ours[f"score_{stride}"], theirs[2 * i].softmax(1)[:, 1])
        torch.testing.assert_close(ours[f"box_{stride}"], theirs[2 * i + 1])


def test_s3fd_decodes_as_the_published_one(s3fd: Any) -> None:
    detect = peer_networks.load("face_alignment", "detection.sfd.detect")
    plugin = S3fd(min_score=0.51)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    with torch.inference_mode():
        network = with_values_of("faceloom.networks.s3fd:S3FD", s3fd)
        answers = network(torch.from_numpy(plugin.prepare(pictures)["image"]))
    outputs = {name: values.numpy() for name, values in answers.items()}
    (ours,) = plugin.decode(outputs, height=96, width=128)
    (theirs,) = detect.batch_detect(s3fd, torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()), "cpu")
    theirs = theirs[theirs[:, 4] >= np.float32(0.51)]
    assert 0 < len(theirs) == len(ours.scores)
    np.testing.assert_allclose(np.column_stack([ours.boxes, ours.scores]), theirs, rtol=1e-4, atol=1e-3)


def test_fan_is_the_published_one() -> None:
    other = disturbed(peer_networks.load("face_alignment", "models.fan").FAN(4))
    image = torch.rand(2, 3, 256, 256)
    with torch.inference_mode():
        ours = with_values_of("faceloom.networks.fan:FAN", other)(image)
        torch.testing.assert_close(ours["heatmaps"], other(image)[-1])


def test_heatmaps_become_points_as_upstream() -> None:
    heatmaps = np.random.default_rng(1).standard_normal((2, 68, 64, 64)).astype(np.float32)
    heatmaps[0, 0, 0, 5] = heatmaps[0, 1, 63, 9] = heatmaps[1, 2, 30, 0] = heatmaps[1, 3, 8, 63] = 99  # on the edges
    theirs, _, peaks = peer_networks.load("face_alignment", "utils").get_preds_fromhm(heatmaps.copy())
    points, heights = highest(heatmaps)
    np.testing.assert_allclose(points + 0.5, theirs)
    np.testing.assert_allclose(heights, peaks)
    landmarks = Fan().decode({"heatmaps": heatmaps}).landmarks
    np.testing.assert_allclose(landmarks, 4 * theirs - 0.5, rtol=1e-6)


def test_the_crop_of_fan_is_upstreams() -> None:
    """Of a box of the usual shape, three quarters as wide as it is high."""
    box = np.array([[100, 50, 175, 150]], np.float32)
    crop = Fan.first_square
    side = crop.scale * 100
    ((x0, y0, x1, y1),) = crop.around(box, np.zeros(1))
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    np.testing.assert_allclose(centre, [137.5, 100 - 0.12 * 100])
    np.testing.assert_allclose(side, 200 * (75 + 100) / 195)


def test_bisenet_is_the_published_one() -> None:
    other = disturbed(peer_networks.load("facexlib", "parsing.bisenet").BiSeNet(19))
    image = torch.randn(1, 3, 512, 512)
    with torch.inference_mode():
        ours = with_values_of("faceloom.networks.bisenet:BiSeNetModule", other)
        theirs = other(image)[0]
        torch.testing.assert_close(ours.logits(image), theirs)
        face = theirs.softmax(1)[:, [1, 2, 3, 4, 5, 10, 11, 12, 13]].sum(1)
        torch.testing.assert_close(ours(image)["face"], face)


def test_a_network_that_is_not_there_is_refused() -> None:
    with pytest.raises(StageError, match="nowhere"):
        checkpoints.empty_network("faceloom.networks.nowhere:Nothing")
