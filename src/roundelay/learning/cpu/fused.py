"""A network that only predicts, on a processor: fewer passes over its maps than one that trains.

BatchNorm is part of the convolution before it; ReLU and the sum with the shortcut are made while
the map is written (oneDNN's, as PyTorch's compiler calls them); the decoder computes nothing twice
for pixels that are equal; weights are laid out for the processor once. What comes out differs from
the plain network by the order of its sums.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from roundelay.learning.cpu.upsampled import phase_kernels, weave
from roundelay.learning.efficientnet import InvertedResidual, SameConv, SeparableBlock
from roundelay.learning.unet import BasicBlock, Bottleneck, DecoderBlock, Unet

Activation = tuple[str, list[float]]
"""oneDNN's name, and its bounds."""

NONE: Activation = "none", []
RELU: Activation = "relu", []
RELU6: Activation = "hardtanh", [0.0, 6.0]

onednn: Any = torch.ops.mkldnn


def fuse(model: nn.Module, kind: torch.dtype) -> bool:
    """Put fused layers that compute in `kind` in the place of our U-Net's; whether it was done.

    Another network stays as it is, and so does ours where PyTorch has no oneDNN for these numbers.
    A fused network can't be trained or saved.
    """
    if not isinstance(model, Unet) or not _has_onednn(kind):
        return False
    for name, layer in list(model.named_modules()):
        if type(layer) in FUSED:
            model.set_submodule(name, FUSED[type(layer)](layer, kind))
    encoder: Any = model.encoder
    stem = "conv1" if hasattr(encoder, "conv1") else "conv_stem"
    encoder.set_submodule(stem, fused(encoder.get_submodule(stem), encoder.bn1, NONE, kind))
    encoder.bn1 = nn.Identity()
    model.segmentation_head[0] = fused(model.segmentation_head[0], None, NONE, kind)
    return True


def _has_onednn(kind: torch.dtype) -> bool:
    if not torch._C._has_mkldnn or not hasattr(onednn, "_convolution_pointwise"):
        return False
    return kind == torch.float32 or bool(onednn._is_mkldnn_bf16_supported())


class Fused(nn.Module):
    """A convolution and what follows it in one pass."""

    def __init__(
        self, layer: nn.Conv2d, weight: Tensor, bias: Tensor | None, activation: Activation
    ) -> None:
        super().__init__()
        self.weight, self.bias, self.activation = weight, bias, activation
        self.kind, self.laid_out = weight.dtype, False
        self.padded = layer.padded if isinstance(layer, SameConv) else None
        self.geometry = layer.padding, layer.stride, layer.dilation, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        x = self._read(x)
        convolution = onednn._convolution_pointwise
        name, bounds = self.activation
        return cast(
            Tensor, convolution(x, self.weight, self.bias, *self.geometry, name, bounds, "")
        )

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """With the map `other` added before the activation."""
        x = self._read(x)
        convolution = onednn._convolution_pointwise.binary
        name, bounds = self.activation
        then = "add", 1.0, None if name == "none" else name, bounds, None
        return cast(Tensor, convolution(x, other, self.weight, self.bias, *self.geometry, *then))

    def _read(self, x: Tensor) -> Tensor:
        x = x.to(self.kind, memory_format=torch.channels_last)
        x = x if self.padded is None else self.padded(x)
        if not self.laid_out:  # for maps of the first one's size, others too
            layout: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            self.weight = layout(self.weight.to_mkldnn(), *self.geometry, list(x.shape))
            self.laid_out = True
        return x


def fused(layer: Any, norm: Any, activation: Activation, kind: torch.dtype) -> Fused:
    """A convolution, a BatchNorm or None, and an activation."""
    weight, bias = _with_norm(layer, norm)
    return Fused(layer, weight.to(kind), _to(bias, kind), activation)


def _with_norm(layer: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias that give what `norm` makes of the layer's map."""
    weight, bias = layer.weight, layer.bias
    if norm is not None:
        assert norm.running_mean is not None and norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    return weight.detach(), None if bias is None else bias.detach()


def _to(bias: Tensor | None, kind: torch.dtype) -> Tensor | None:
    return None if bias is None else bias.to(kind)


class FusedBasicBlock(nn.Module):
    def __init__(self, block: BasicBlock, kind: torch.dtype) -> None:
        super().__init__()
        self.conv1 = fused(block.conv1, block.bn1, RELU, kind)
        self.conv2 = fused(block.conv2, block.bn2, RELU, kind)
        self.shortcut = _shortcut(block.downsample, kind)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2.added(self.conv1(x), self.shortcut(x))


class FusedBottleneck(nn.Module):
    def __init__(self, block: Bottleneck, kind: torch.dtype) -> None:
        super().__init__()
        self.conv1 = fused(block.conv1, block.bn1, RELU, kind)
        self.conv2 = fused(block.conv2, block.bn2, RELU, kind)
        self.conv3 = fused(block.conv3, block.bn3, RELU, kind)
        self.shortcut = _shortcut(block.downsample, kind)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3.added(self.conv2(self.conv1(x)), self.shortcut(x))


def _shortcut(downsample: Any, kind: torch.dtype) -> nn.Module:
    if downsample is None:
        return nn.Identity()
    return fused(downsample[0], downsample[1], NONE, kind)


class FusedSeparableBlock(nn.Module):
    def __init__(self, block: SeparableBlock, kind: torch.dtype) -> None:
        super().__init__()
        self.conv_dw = fused(block.conv_dw, block.bn1, RELU6, kind)
        self.conv_pw = fused(block.conv_pw, block.bn2, NONE, kind)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv_pw(self.conv_dw(x)))


class FusedInvertedResidual(nn.Module):
    def __init__(self, block: InvertedResidual, kind: torch.dtype) -> None:
        super().__init__()
        self.conv_pw = fused(block.conv_pw, block.bn1, RELU6, kind)
        self.conv_dw = fused(block.conv_dw, block.bn2, RELU6, kind)
        self.conv_pwl = fused(block.conv_pwl, block.bn3, NONE, kind)
        self.adds = block.adds

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_dw(self.conv_pw(x))
        return self.conv_pwl.added(out, x) if self.adds else cast(Tensor, self.conv_pwl(out))


class FusedDecoderBlock(nn.Module):
    """The first convolution's part of the map at the map's own size, that of the features on it."""

    def __init__(self, block: DecoderBlock, kind: torch.dtype) -> None:
        super().__init__()
        first: Any = block.conv1[0]
        norm: Any = block.conv1[1]
        weight, bias = _with_norm(first, norm)
        kernels, beside = phase_kernels(weight[:, : block.inner]), weight[:, block.inner :]
        self.features: Fused | None = None
        if beside.shape[1]:
            self.phases = Fused(first, kernels.to(kind), None, NONE)
            self.features = Fused(first, beside.to(kind), _to(bias, kind), RELU)
        else:
            each = None if bias is None else bias.repeat(4)
            self.phases = Fused(first, kernels.to(kind), _to(each, kind), RELU)
        self.conv2 = fused(block.conv2[0], block.conv2[1], RELU, kind)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        out = weave(self.phases(x))
        if self.features is not None and skip is not None:
            out = self.features.added(skip, out)
        return cast(Tensor, self.conv2(out))


FUSED: Mapping[type[nn.Module], Callable[[Any, torch.dtype], nn.Module]] = {
    BasicBlock: FusedBasicBlock,
    Bottleneck: FusedBottleneck,
    SeparableBlock: FusedSeparableBlock,
    InvertedResidual: FusedInvertedResidual,
    DecoderBlock: FusedDecoderBlock,
}
