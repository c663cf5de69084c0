"""The optimiser's memory that stays at its site between visits."""

from pathlib import Path

from roundelay.errors import LedgerError, VisitError
from roundelay.files.arrays import Arrays
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_bytes
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import Baton
from roundelay.site.opening import LocalSite


def _state_file(site: LocalSite, stop: Stop, index: int) -> Path:
    return site.home / f"{stop.arm}-{stop.seed}" / f"optimiser-{index}.safetensors"


def kept_state(site: LocalSite, stop: Stop) -> Arrays:
    """The memory of the last visit here. Raises VisitError where it is gone or damaged."""
    if site.study.recipe.optimiser_state != "stay" or stop.previous_here is None:
        return {}
    file = _state_file(site, stop, stop.previous_here)
    try:
        return Baton(plain_bytes(file)).arrays()
    except (OSError, LedgerError) as error:
        found = "can't be read" if file.exists() else "isn't there"
        raise VisitError(
            f"{stop}: the optimiser's memory of this site's last visit"
            f" ({file.parent.name}/{file.name}) {found}, and this study keeps it at the site"
            ' (optimiser_state = "stay"). Put it back where the site keeps what stays with it (on'
            " one machine the folder sites of the run) and go on with --resume, or begin anew with"
            " another --out."
        ) from error


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
