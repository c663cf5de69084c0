"""The paper's network: a U-Net with one of our encoders, under smp's names.

Ronneberger et al. 2015 (U-Net), He et al. 2016 (ResNet), Xie et al. 2017 (ResNeXt). State-dict
keys, shapes and outputs are those of segmentation-models-pytorch 0.6 for the same weights, bit
for bit. ``resnet18_quarter`` is ``resnet18`` with a quarter of every width: a baton of 3.6 MB.
The encoder ``efficientnet_lite0`` stands in a file of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roundelay.learning.efficientnet import EfficientNetLite0


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (ResNet18)."""

    expansion = 1

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inner, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu_(self.bn1(self.conv1(x)))
        out: Tensor = self.bn2(self.conv2(x))
        return F.relu_(out.add_(shortcut))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 in 32 groups, 1 x 1, beside a shortcut (ResNeXt50 32x4d)."""

    expansion = 4

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, 2 * width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * width)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, stride, 1, groups=32, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(inner, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu_(self.bn1(self.conv1(x)))
        x = F.relu_(self.bn2(self.conv2(x)))
        out: Tensor = self.bn3(self.conv3(x))
        return F.relu_(out.add_(shortcut))


def _shortcut(inner: int, outer: int, stride: int) -> nn.Module | None:
    if stride == 1 and inner == outer:
        return None
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


WIDTH = 64


@dataclass(frozen=True)
class Shape:
    """What tells one of our ResNets from another."""

    block: type[BasicBlock | Bottleneck]
    depths: tuple[int, int, int, int]
    """Blocks in each of the encoder's stages."""
    width: int = WIDTH
    """Channels of the encoder's stem; the decoder's last block has a quarter of them."""


class Encoder(nn.Module):
    """The stem and four stages; gives features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side."""

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        block, depths, width = shape.block, shape.depths, shape.width
        outer = block.expansion * width
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(block, width, width, depths[0], 1)
        self.layer2 = _stage(block, outer, 2 * width, depths[1], 2)
        self.layer3 = _stage(block, 2 * outer, 4 * width, depths[2], 2)
        self.layer4 = _stage(block, 4 * outer, 8 * width, depths[3], 2)
        self.channels = (width, outer, 2 * outer, 4 * outer, 8 * outer)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [F.relu_(self.bn1(self.conv1(x)))]
        features.append(self.layer1(F.max_pool2d(features[0], 3, 2, 1)))
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features


def _stage(
    block: type[BasicBlock | Bottleneck], inner: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    rest = [block(width * block.expansion, width, 1) for _ in range(depth - 1)]
    return nn.Sequential(block(inner, width, stride), *rest)


def _conv(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(True)
    )


class DecoderBlock(nn.Module):
    """Twice the side by nearest neighbour, the encoder's features beside it, two convolutions."""

    def __init__(self, inner: int, skip: int, outer: int) -> None:
        super().__init__()
        self.inner = inner
        self.conv1 = _conv(inner + skip, outer)
        self.conv2 = _conv(outer, outer)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Decoder(nn.Module):
    """Five blocks, from 1/32 of the side back to all of it."""

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        inner = (channels[-1], *widths[:-1])
        skips = (*channels[-2::-1], 0)
        self.blocks = nn.ModuleList(
            DecoderBlock(i, s, o) for i, s, o in zip(inner, skips, widths, strict=True)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.every_block(features)[-1]

    def every_block(self, features: list[Tensor]) -> list[Tensor]:
        """What each block gives, at 1/16, 1/8, 1/4, 1/2 and all of the side."""
        x, skips, found = features[-1], [*features[-2::-1], None], []
        for block, skip in zip(self.blocks, skips, strict=True):
            x = block(x, skip)
            found.append(x)
        return found


SHAPES = {
    "resnet18_quarter": Shape(BasicBlock, (2, 2, 2, 2), width=16),
    "resnet18": Shape(BasicBlock, (2, 2, 2, 2)),
    "resnext50_32x4d": Shape(Bottleneck, (3, 4, 6, 3)),
}
LITE0 = "efficientnet_lite0"

ENCODERS = (*SHAPES, LITE0)
"""The encoders that need no extra."""


class Unet(nn.Module):
    """Logits ``[batch, regions, height, width]`` of images ``[batch, channels, height, width]``.

    Raises ValueError where a side is no multiple of 32.
    """

    def __init__(self, encoder: str, channels: int, regions: int, *, deep: bool = False) -> None:
        super().__init__()
        width = SHAPES[encoder].width if encoder in SHAPES else WIDTH
        widths = tuple(width * times // 4 for times in (16, 8, 4, 2, 1))
        self.encoder = _encoder(encoder, channels)
        self.decoder = Decoder(self.encoder.channels, widths)
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], regions, 3, padding=1))
        coarse = (widths[2], widths[1]) if deep else ()
        self.deep_heads = nn.ModuleList(nn.Conv2d(width, regions, 1) for width in coarse)

    def at_every_scale(self, images: Tensor) -> list[Tensor]:
        """The logits, then those of the coarse heads at 1/4 and 1/8 of the side."""
        blocks = self.decoder.every_block(self.encoder(images))
        coarse = zip(self.deep_heads, (blocks[2], blocks[1]), strict=True)
        return [self.segmentation_head(blocks[-1]), *(head(block) for head, block in coarse)]

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] % 32 or images.shape[-2] % 32:
            raise ValueError(f"sides must be multiples of 32, not {tuple(images.shape[-2:])}")
        out: Tensor = self.segmentation_head(self.decoder(self.encoder(images)))
        return out


def _encoder(name: str, channels: int) -> Encoder | EfficientNetLite0:
    return EfficientNetLite0(channels) if name == LITE0 else Encoder(SHAPES[name], channels)


def build_unet(
    encoder: str, channels: int = 3, regions: int = 1, deep: bool = False, *, seed: int
) -> Unet:
    """One of `ENCODERS`, with random weights of `seed`; the global random state stays as it was.
    With `deep`, it has the heads of deep supervision."""
    with seeded(seed):
        model = Unet(encoder, channels, regions, deep=deep)
        initialise(model)
    return model


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed`, then leave the processor's random state as it was."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the accelerators too, whose state is not put back here.
        torch.default_generator.manual_seed(seed)
        yield


def initialise(model: Unet) -> None:
    # As torchvision and smp do: normal by fan-out (He et al. 2015) in the encoder, uniform by
    # fan-in in the decoder, Glorot and no bias in the head. BatchNorm begins at 1 and 0 by itself.
    # A convolution in each channel gives one output by each input (timm): fan-out, which doesn't
    # know of groups, would be so small that BatchNorm's epsilon weighs more than the signal.
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d) or module.weight.is_meta:  # nothing to draw there
            continue
        if name.startswith("encoder."):
            if module.groups == module.in_channels > 1:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            else:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif name.startswith("decoder."):
            nn.init.kaiming_uniform_(module.weight, mode="fan_in", nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
