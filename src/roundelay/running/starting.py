"""What a run starts from: the first weights, and the machine that computes."""

from collections.abc import Mapping
from typing import Any

import torch

from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.networks import build_unet
from roundelay.learning.pretrained import load_encoder
from roundelay.learning.state import model_arrays
from roundelay.relay.baton import Baton, join
from roundelay.study.study import Study


def start_baton(study: Study, seed: int) -> Baton:
    """The weights that every arm of this seed begins with; no patient has been seen."""
    model = build_unet(study.model.encoder, seed=seed)
    load_encoder(model, study.model.weights, encoder=study.model.encoder)
    return join(model=model_arrays(model))


def machine_for(study: Study, record: Mapping[str, Any] | None = None) -> Machine:
    """Where this study computes on this machine: as the run's record says, where there is one."""
    if study.courier.threads:
        torch.set_num_threads(study.courier.threads)
    if study.recipe.deterministic:
        torch.use_deterministic_algorithms(True)
    if record is None:
        return find_machine(study.recipe.precision, deterministic=study.recipe.deterministic)
    # What the probe found when the run began: another outcome today would give other bytes.
    return Machine(**record["machine"])
