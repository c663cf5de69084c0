"""What every peer trains: one network, a step on two slices of a site; the ends noted down."""

import json
import os
import time
from pathlib import Path

import torch
from torch import nn

from roundelay.learning.networks import build_network

SIDE, BATCH, RATE = 64, 2, 5e-4


class Net(nn.Module):
    """Roundelay's U-Net as a class of its own, as peers want one."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.net = build_network(encoder, 3, 1, False, seed=0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)


def train_step(model: nn.Module, site: int) -> float:
    """One step of Adam, whose seconds are returned."""
    generator = torch.Generator().manual_seed(site)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    masks = (images[:, :1] > 1).float()
    model.train()
    begin = time.perf_counter()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    loss = nn.functional.binary_cross_entropy_with_logits(model(images), masks)
    loss.backward()
    optimiser.step()
    return time.perf_counter() - begin


def visited(seconds: float) -> None:
    """Write down that a visit's training ended now."""
    line = json.dumps({"end": time.time(), "step_s": seconds}) + "\n"
    with Path(os.environ["PEER_LOG"]).open("a") as file:
        file.write(line)
