"""The optimiser's memory that stays at its site between visits."""

from pathlib import Path

from roundelay.files.arrays import Arrays
from roundelay.files.writing import write_bytes
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import Baton
from roundelay.site.opening import LocalSite


def _state_file(site: LocalSite, stop: Stop, index: int) -> Path:
    return site.home / f"{stop.arm}-{stop.seed}" / f"optimiser-{index}.safetensors"


def kept_state(site: LocalSite, stop: Stop) -> Arrays:
    if site.study.recipe.optimiser_state != "stay" or stop.previous_here is None:
        return {}
    return Baton(_state_file(site, stop, stop.previous_here).read_bytes()).arrays()


def keep_state(site: LocalSite, stop: Stop, state: Arrays) -> None:
    """Keep the optimiser's memory of this visit and of the one before, for a resume."""
    own = _state_file(site, stop, stop.index)
    write_bytes(own, Baton.of(state).data)
    keep = {
        own,
        _state_file(site, stop, -1 if stop.previous_here is None else stop.previous_here),
    }
    for old in own.parent.glob("optimiser-*.safetensors"):
        if old not in keep:
            old.unlink()
