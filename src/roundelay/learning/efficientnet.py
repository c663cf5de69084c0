"""EfficientNet-Lite0 as an encoder, under timm's names: with our decoder a model of 21 MB.

Tan and Le 2019 (EfficientNet), without squeeze-and-excitation and with ReLU6 in place of swish.
BatchNorm's epsilon and the padding are TensorFlow's, since weights from ImageNet were trained so.
"""

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-3

STEM = 32

STAGES = (
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
"""Blocks, side of the kernel, stride and channels."""

GIVEN = (0, 1, 2, 4, 6)
"""Stages after which the features of a size are complete."""

EXPANSION = 6


class SameConv(nn.Conv2d):
    """A convolution with stride, padded as TensorFlow's SAME: the odd pixel below and right."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x))

    def padded(self, x: Tensor) -> Tensor:
        """The map with zeros around it as the convolution wants them."""
        side, stride = self.kernel_size[0], self.stride[0]
        top, bottom = _same(x.shape[-2], side, stride)
        left, right = _same(x.shape[-1], side, stride)
        return F.pad(x, (left, right, top, bottom))


def _same(length: int, side: int, stride: int) -> tuple[int, int]:
    """Pixels before and after a row, so that of `length` pixels ``ceil(length / stride)`` come."""
    missing = max((-(-length // stride) - 1) * stride + side - length, 0)
    return missing // 2, missing - missing // 2


class SeparableBlock(nn.Module):
    """A convolution in each channel, then 1 x 1 (the first stage)."""

    def __init__(self, inner: int, outer: int, side: int) -> None:
        super().__init__()
        self.conv_dw = _in_each_channel(inner, side, 1)
        self.bn1 = _norm(inner)
        self.conv_pw = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn2 = _norm(outer)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv_pw(_relu6(self.bn1(self.conv_dw(x)))))
        return out


class InvertedResidual(nn.Module):
    """1 x 1 to more channels, a convolution in each, 1 x 1 to few (MobileNetV2)."""

    def __init__(self, inner: int, outer: int, side: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * inner
        self.conv_pw = nn.Conv2d(inner, wide, 1, bias=False)
        self.bn1 = _norm(wide)
        self.conv_dw = _in_each_channel(wide, side, stride)
        self.bn2 = _norm(wide)
        self.conv_pwl = nn.Conv2d(wide, outer, 1, bias=False)
        self.bn3 = _norm(outer)
        self.adds = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        out = _relu6(self.bn1(self.conv_pw(x)))
        out = _relu6(self.bn2(self.conv_dw(out)))
        given: Tensor = self.bn3(self.conv_pwl(out))
        return given.add_(x) if self.adds else given


class EfficientNetLite0(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side, 16 to 320 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_stem = SameConv(channels, STEM, 3, 2, bias=False)
        self.bn1 = _norm(STEM)
        inner = (STEM, *(width for *_, width in STAGES))
        self.blocks = nn.ModuleList(
            _stage(number, inner[number], *stage) for number, stage in enumerate(STAGES)
        )
        self.channels = tuple(STAGES[number][-1] for number in GIVEN)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = _relu6(self.bn1(self.conv_stem(x)))
        for number, stage in enumerate(self.blocks):
            x = stage(x)
            if number in GIVEN:
                features.append(x)
        return features


def _stage(
    number: int, inner: int, depth: int, side: int, stride: int, outer: int
) -> nn.Sequential:
    if number == 0:
        return nn.Sequential(SeparableBlock(inner, outer, side))
    rest = [InvertedResidual(outer, outer, side, 1) for _ in range(depth - 1)]
    return nn.Sequential(InvertedResidual(inner, outer, side, stride), *rest)


def _in_each_channel(channels: int, side: int, stride: int) -> nn.Conv2d:
    if stride > 1:
        return SameConv(channels, channels, side, stride, groups=channels, bias=False)
    return nn.Conv2d(channels, channels, side, 1, side // 2, groups=channels, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


def _relu6(x: Tensor) -> Tensor:
    return F.relu6(x, inplace=True)
