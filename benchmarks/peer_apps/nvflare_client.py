"""What a client of NVIDIA FLARE runs: its Client API around the step that all peers train."""

import os

import nvflare.client as flare
import torch
from shared import Net, train_step, visited

model = Net(os.environ["ENCODER"])
flare.init()
while flare.is_running():
    received = flare.receive()
    if received is None:
        break
    weights = {name: torch.as_tensor(value) for name, value in received.params.items()}
    model.load_state_dict(weights)
    visited(train_step(model, 0))
    flare.send(flare.FLModel(params=model.state_dict()))
