"""Put the forms that are faster on a processor in the place of layers of the plain network."""

from torch import nn

from roundelay.learning.cpu.convolution import Grouped, Pointwise, is_narrow, is_pointwise
from roundelay.learning.cpu.upsampled import JoinedDecoderBlock
from roundelay.learning.unet import DecoderBlock, Unet


def replace_convolutions(model: nn.Module) -> tuple[str, ...]:
    """Replace layers of our U-Net in place and return their names; () for any other network.

    Only the class of a layer changes, and so its `forward`: its parameters are the same tensors
    under the same names. In float32 the results are the plain network's, to the bit.
    """
    if not isinstance(model, Unet):
        return ()
    replaced = []
    for name, layer in model.named_modules():
        faster = _faster(layer)
        if faster is not None:
            layer.__class__ = faster
            replaced.append(name)
    return tuple(replaced)


def _faster(layer: nn.Module) -> type[nn.Module] | None:
    # By the exact type, so that a layer that was replaced before stays as it is.
    if type(layer) is DecoderBlock:
        return JoinedDecoderBlock
    if type(layer) is not nn.Conv2d:
        return None
    if is_pointwise(layer):
        return Pointwise
    return Grouped if is_narrow(layer) else None


def keep_in_bfloat16(model: nn.Module) -> None:
    """Round the weights of convolutions once, not in every batch; for networks that only predict.

    Autocast rounds them likewise, each time: where no gradient is asked for it keeps none of it, an
    eighth of a prediction. The decoder's first convolutions add weights up before they are rounded,
    so theirs stay.
    """
    later = {
        layer
        for block in model.modules()
        if isinstance(block, DecoderBlock)
        for layer in block.conv1.modules()
    }
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer not in later:
            layer.weight = nn.Parameter(layer.weight.detach().bfloat16(), requires_grad=False)
