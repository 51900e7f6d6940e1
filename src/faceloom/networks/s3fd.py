"""S3FD: a single-shot detector on VGG-16 whose six heads see faces of 16 to 512 pixels.

Source: Zhang et al. 2017, ICCV, arXiv 1708.05237, "S3FD: Single Shot Scale-invariant Face Detector", section 3 and
figure 2. Names of layers are those of the checkpoint of github.com/1adrianb/face-alignment.
"""

import torch
from torch import nn
from torch.nn import functional

STRIDES = (4, 8, 16, 32, 64, 128)
"""Of the six heads, in pixels."""
_NORMALIZED = {"conv3_3": 256, "conv4_3": 512, "conv5_3": 512}
"""Taps early in the network, and their channels: their values are large, and are scaled to a length that is learned."""
_DEEP = {"fc7": 1024, "conv6_2": 512, "conv7_2": 256}
_TAPPED = {**{f"{name}_norm": channels for name, channels in _NORMALIZED.items()}, **_DEEP}
_BLOCKS = (
    (("conv1_1", 3, 64), ("conv1_2", 64, 64)),
    (("conv2_1", 64, 128), ("conv2_2", 128, 128)),
    (("conv3_1", 128, 256), ("conv3_2", 256, 256), ("conv3_3", 256, 256)),
    (("conv4_1", 256, 512), ("conv4_2", 512, 512), ("conv4_3", 512, 512)),
    (("conv5_1", 512, 512), ("conv5_2", 512, 512), ("conv5_3", 512, 512)),
)
_BACKGROUNDS = 3
"""Kinds of background that the finest head tells apart, of which the likeliest counts (section 3.3, max-out)."""


class S3FD(nn.Module):
    """(B, 3, H, W) BGR less the mean of VGG to scores `score_4`... (B, h, w) and offsets `box_4`... (B, 4, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        for name, before, after in (layer for block in _BLOCKS for layer in block):
            self.add_module(name, nn.Conv2d(before, after, 3, padding=1))
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for name, channels in _NORMALIZED.items():
            self.add_module(f"{name}_norm", _LengthNorm(channels))
        for position, (name, channels) in enumerate(_TAPPED.items()):
            classes = _BACKGROUNDS + 1 if position == 0 else 2
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(channels, classes, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        answers: dict[str, torch.Tensor] = {}
        for (name, x), stride in zip(self._taps(image).items(), STRIDES, strict=True):
            logits = self.get_submodule(f"{name}_mbox_conf")(x)
            if logits.shape[1] > 2:
                logits = torch.cat([logits[:, :_BACKGROUNDS].amax(1, keepdim=True), logits[:, _BACKGROUNDS:]], 1)
            answers[f"score_{stride}"] = logits.softmax(1)[:, 1]
            answers[f"box_{stride}"] = self.get_submodule(f"{name}_mbox_loc")(x)
        return answers

    def _taps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        taps: dict[str, torch.Tensor] = {}
        for block in _BLOCKS:
            for name, *_ in block:
                x = self._relu(name, x)
            if block[-1][0] in _NORMALIZED:
                name = f"{block[-1][0]}_norm"
                taps[name] = self.get_submodule(name)(x)
            x = functional.max_pool2d(x, 2)
        x = taps["fc7"] = self._relu("fc7", self._relu("fc6", x))
        x = taps["conv6_2"] = self._relu("conv6_2", self._relu("conv6_1", x))
        taps["conv7_2"] = self._relu("conv7_2", self._relu("conv7_1", x))
        return taps

    def _relu(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(name)(x).relu_()


class _LengthNorm(nn.Module):
    """Gives the channels of each pixel the length 1, then a scale for each channel (Liu et al. 2015, ParseNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.float().pow(2).sum(1, keepdim=True).sqrt() + 1e-10  # squares overflow in half precision
        return (x / length).to(x.dtype) * self.weight[:, None, None]
