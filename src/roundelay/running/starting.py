"""What a run starts from: the first weights, and the machine that computes."""

from collections.abc import Mapping
from typing import Any

import torch

from roundelay.errors import ModelError, RunFolderError, UserError
from roundelay.learning.machine import Machine, find_device, find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.pretrained import load_encoder
from roundelay.learning.state import model_arrays
from roundelay.relay.baton import MODEL, Baton, join
from roundelay.relay.fitting import not_finite
from roundelay.study.study import Study


def start_baton(study: Study, seed: int) -> Baton:
    """The weights that every arm of this seed begins with; no patient has been seen. Raises
    ModelError for those that can't be used."""
    model = build_network(*study.network, seed=seed)
    weights, sha256 = study.model.weights, study.model.weights_sha256
    load_encoder(model, weights, encoder=study.model.encoder, sha256=sha256)
    arrays, wire = model_arrays(model), study.recipe.wire
    if (name := not_finite({f"{MODEL}{name}": a for name, a in arrays.items()}, wire)) is not None:
        raise ModelError(
            f'The first weights are too large for recipe.wire = "{wire}" ({name}). Leave'
            " recipe.wire out, or take other weights."
        )
    return join(wire, model=arrays)


def machine_for(
    study: Study, record: Mapping[str, Any] | None = None, device: str = "auto"
) -> Machine:
    """Where this study computes on this machine: as the run's record says, where there is one.

    Raises UserError where the device isn't there, RunFolderError where it isn't the record's.
    """
    recipe = study.recipe
    if record is None:
        return find_machine(recipe.precision, deterministic=recipe.deterministic, device=device)
    # What the probe found when the run began: another outcome today would give other bytes.
    machine = _recorded(record)
    if device not in ("auto", machine.device):
        raise RunFolderError(
            f"This run was begun on the device {machine.device} and can't go on with --device"
            f" {device} to the same bytes. Leave --device away, or choose another --out."
        )
    if "network" in record:  # between hospitals each one computes where it can
        return machine
    try:
        find_device(machine.device)
    except UserError as error:
        raise RunFolderError(
            f"This run was begun on the device {machine.device}, which isn't there now, as PyTorch"
            f" {torch.__version__} sees this machine. Go on with it on a machine that has one, or"
            " begin anew with another --out."
        ) from error
    return machine


def _recorded(record: Mapping[str, Any]) -> Machine:
    try:
        return Machine.from_json(record["machine"])
    except (KeyError, AttributeError, ValueError) as error:
        raise RunFolderError(
            f"run.json does not say on what its run was begun ({error}): it was changed, or written"
            " by another version. Restore it, or choose another --out."
        ) from error
