"""The pull of FedProx: a site's weights stay near those that it was sent."""

from collections.abc import Callable

from torch import nn


def pull_back(model: nn.Module, strength: float) -> Callable[[], None]:
    """A function that adds the gradient of ``strength / 2 * |w - w_sent|^2`` after backward.

    ``w_sent`` are the model's trainable weights as they are now. Li et al., MLSys 2020, eq. 2.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    sent = [weight.detach().clone() for weight in weights]

    def pull() -> None:
        for weight, start in zip(weights, sent, strict=True):
            if weight.grad is not None:
                weight.grad.add_(weight.detach() - start, alpha=strength)

    return pull


def no_pull() -> None:
    """Every other arm."""


def pull_of(arm: str, model: nn.Module, strength: float) -> Callable[[], None]:
    """The pull that an arm asks for."""
    return pull_back(model, strength) if arm == "fedprox" else no_pull
