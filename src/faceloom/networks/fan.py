"""FAN: four stacked hourglasses that draw a heatmap for each of 68 landmarks.

Source: Bulat and Tzimiropoulos 2017, ICCV, arXiv 1703.07332, "How far are we from solving the 2D & 3D Face Alignment
problem?", figure 1 and section 3.1; the block is that of Bulat and Tzimiropoulos 2017, arXiv 1703.00862, figure 4b.
Names of layers are those of the checkpoints of github.com/1adrianb/face-alignment.
"""

import torch
from torch import nn
from torch.nn import functional

_STACKS = 4
_DEPTH = 4
_CHANNELS = 256
_LANDMARKS = 68


class FAN(nn.Module):
    """(N, 3, 256, 256) RGB 0..1 to `heatmaps` (N, 68, 64, 64), those of the last hourglass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = _Block(64, 128)
        self.conv3 = _Block(128, 128)
        self.conv4 = _Block(128, _CHANNELS)
        for i in range(_STACKS):
            self.add_module(f"m{i}", _Hourglass())
            self.add_module(f"top_m_{i}", _Block(_CHANNELS, _CHANNELS))
            self.add_module(f"conv_last{i}", nn.Conv2d(_CHANNELS, _CHANNELS, 1))
            self.add_module(f"bn_end{i}", nn.BatchNorm2d(_CHANNELS))
            self.add_module(f"l{i}", nn.Conv2d(_CHANNELS, _LANDMARKS, 1))
            if i < _STACKS - 1:
                self.add_module(f"bl{i}", nn.Conv2d(_CHANNELS, _CHANNELS, 1))
                self.add_module(f"al{i}", nn.Conv2d(_LANDMARKS, _CHANNELS, 1))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.bn1(self.conv1(image)).relu_()
        x = self.conv4(self.conv3(functional.avg_pool2d(self.conv2(x), 2)))
        for i in range(_STACKS):
            features = self._layer("top_m_", i, self._layer("m", i, x))
            features = self._layer("bn_end", i, self._layer("conv_last", i, features)).relu_()
            heatmaps = self._layer("l", i, features)
            if i < _STACKS - 1:
                x = x + self._layer("bl", i, features) + self._layer("al", i, heatmaps)
        return {"heatmaps": heatmaps}

    def _layer(self, name: str, number: int, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(f"{name}{number}")(x)


class _Hourglass(nn.Module):
    """Halves its input four times, and adds what it finds at each size to the larger one."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(1, _DEPTH + 1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", _Block(_CHANNELS, _CHANNELS))
        self.b2_plus_1 = _Block(_CHANNELS, _CHANNELS)

    def forward(self, x: torch.Tensor, level: int = _DEPTH) -> torch.Tensor:
        low = self.get_submodule(f"b2_{level}")(functional.avg_pool2d(x, 2))
        low = self.b2_plus_1(low) if level == 1 else self(low, level - 1)
        low = self.get_submodule(f"b3_{level}")(low)
        return self.get_submodule(f"b1_{level}")(x) + functional.interpolate(low, scale_factor=2, mode="nearest")


class _Block(nn.Module):
    """Three convolutions in a row, each of half as many channels, whose answers stand side by side; plus the input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        widths = (before, after // 2, after // 4, after // 4)
        for i in range(1, 4):
            self.add_module(f"bn{i}", nn.BatchNorm2d(widths[i - 1]))
            self.add_module(f"conv{i}", nn.Conv2d(widths[i - 1], widths[i], 3, padding=1, bias=False))
        self.downsample: nn.Module = nn.Identity()
        if before != after:
            self.downsample = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x]
        for i in range(1, 4):
            activated = self.get_submodule(f"bn{i}")(found[-1]).relu_()
            found.append(self.get_submodule(f"conv{i}")(activated))
        return torch.cat(found[1:], 1) + self.downsample(x)
