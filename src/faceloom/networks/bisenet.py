"""BiSeNet: 19 classes of a face's pixels, on ResNet-18.

Source: Yu et al. 2018, ECCV, arXiv 1808.00897, "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", section 3 and figure 2, in the variant of github.com/zllrunning/face-parsing.PyTorch, whose spatial path
is the second stage of the ResNet (He et al. 2015, arXiv 1512.03385). Names of layers are those of its checkpoint.
"""

import torch
from torch import nn
from torch.nn import functional

from faceloom.networks.face_parts import CLASSES, FACE


class BiSeNetModule(nn.Module):
    """(N, 3, H, W) RGB, normalized as for ImageNet, to `face` (N, H, W): how likely a pixel is one of the face's."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _FeatureFusion(256, 256)
        self.conv_out = _Output(256, 256)
        # Of use in training alone; here so that the checkpoint fits.
        self.conv_out16 = _Output(128, 64)
        self.conv_out32 = _Output(128, 64)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        likely = self.logits(image).softmax(1)
        return {"face": sum((likely[:, CLASSES.index(name)] for name in FACE[1:]), likely[:, CLASSES.index(FACE[0])])}

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 19, H, W) in the order of `CLASSES`."""
        spatial, context = self.cp(image)
        small = self.conv_out(self.ffm(spatial, context))
        return functional.interpolate(small, image.shape[2:], mode="bilinear", align_corners=True)


class BiSeNetClasses(BiSeNetModule):
    """The same, to `classes` (N, 19, H, W): how likely a pixel is of each of them."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"classes": self.logits(image).softmax(1)}


class _Convolution(nn.Module):
    """A convolution, normalized and rectified."""

    def __init__(self, before: int, after: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x)).relu_()


class _Output(nn.Module):
    def __init__(self, before: int, between: int) -> None:
        super().__init__()
        self.conv = _Convolution(before, between)
        self.conv_out = nn.Conv2d(between, len(CLASSES), 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_out(self.conv(x))


class _AttentionRefinement(nn.Module):
    """Weighs the channels by what the whole picture holds (section 3.2)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = _Convolution(before, after)
        self.conv_atten = nn.Conv2d(after, after, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.conv(x)
        return features * self.bn_atten(self.conv_atten(features.mean((2, 3), keepdim=True))).sigmoid()


class _ContextPath(nn.Module):
    """Features of an eighth of the size: the ResNet's own, and those with all that is around (section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = _ResNet18()
        self.arm16 = _AttentionRefinement(256, 128)
        self.arm32 = _AttentionRefinement(512, 128)
        self.conv_head32 = _Convolution(128, 128)
        self.conv_head16 = _Convolution(128, 128)
        self.conv_avg = _Convolution(512, 128, kernel=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        eighth, sixteenth, thirty_second = self.resnet(x)
        whole = self.conv_avg(thirty_second.mean((2, 3), keepdim=True))
        context = self.arm32(thirty_second) + whole
        context = self.conv_head32(functional.interpolate(context, sixteenth.shape[2:], mode="nearest"))
        context = self.arm16(sixteenth) + context
        return eighth, self.conv_head16(functional.interpolate(context, eighth.shape[2:], mode="nearest"))


class _FeatureFusion(nn.Module):
    """Weighs the channels of both paths by what the whole picture holds (section 3.3)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convblk = _Convolution(before, after, kernel=1)
        self.conv1 = nn.Conv2d(after, after // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(after // 4, after, 1, bias=False)

    def forward(self, spatial: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        features = self.convblk(torch.cat([spatial, context], 1))
        weights = self.conv2(self.conv1(features.mean((2, 3), keepdim=True)).relu_()).sigmoid()
        return features * weights + features


class _ResNet18(nn.Module):
    """Features of an eighth, a sixteenth and a thirty-second of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_Residual(64, 64, 1), _Residual(64, 64, 1))
        self.layer2 = nn.Sequential(_Residual(64, 128, 2), _Residual(128, 128, 1))
        self.layer3 = nn.Sequential(_Residual(128, 256, 2), _Residual(256, 256, 1))
        self.layer4 = nn.Sequential(_Residual(256, 512, 2), _Residual(512, 512, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu_(), 3, stride=2, padding=1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class _Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return (features + self.downsample(x)).relu_()
