from pathlib import Path

import pytest

from faceloom.memory.guess_module import guess_module

pytest.importorskip("torch", reason="PyTorch is not installed")


def test_a_guess_knows_the_weights_and_grows_with_the_picture(tmp_path: Path) -> None:
    checkpoint = tmp_path / "any.pth"
    checkpoint.write_bytes(b"1234")
    small, large = (
        guess_module(checkpoint, "faceloom.networks.s3fd:S3FD", {"image": (1, 3, side, side)}) for side in (256, 512)
    )
    # 22.5 million weights, as the published file of 89,843,225 bytes says.
    assert small.weights_bytes == large.weights_bytes == pytest.approx(89_843_225, rel=0.001)
    assert large.item_bytes == pytest.approx(4 * small.item_bytes, rel=0.01)
    assert large.batch_s[1] > 3 * small.batch_s[1]
    assert not small.is_measured
