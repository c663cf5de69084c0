"""The optimiser's memory that stays at its site between visits."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roundelay.errors import LedgerError, VisitError
from roundelay.files.arrays import Arrays
from roundelay.files.canonical import digest_of
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_bytes
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import Baton
from roundelay.site.opening import LocalSite

OF = "of_visit"


def _state_file(site: LocalSite, stop: Stop, index: int) -> Path:
    return site.home / f"{stop.arm}-{stop.seed}" / f"optimiser-{index}.safetensors"


def _of(site: LocalSite, stop: Stop, index: int) -> NDArray[np.uint8]:
    """Which visit a file is of: another one's has the same names and shapes."""
    visit = [site.study.digest, stop.arm, stop.seed, stop.site, index]
    return np.frombuffer(bytes.fromhex(digest_of(visit)), np.uint8)


def kept_state(site: LocalSite, stop: Stop) -> Arrays:
    """The memory of the last visit here. Raises VisitError where it is gone or damaged."""
    if site.study.recipe.optimiser_state != "stay" or stop.previous_here is None:
        return {}
    file = _state_file(site, stop, stop.previous_here)
    try:
        found = Baton(plain_bytes(file)).arrays()
        if not np.array_equal(found.pop(OF, ()), _of(site, stop, stop.previous_here)):
            raise LedgerError("it is another visit's")
        return found
    except (OSError, LedgerError) as error:
        told = "isn't that visit's, or can't be read" if file.exists() else "isn't there"
        raise VisitError(
            f"{stop}: the optimiser's memory of this site's last visit"
            f" ({file.parent.name}/{file.name}) {told}, and this study keeps it at the site"
            ' (optimiser_state = "stay"). Put it back where this site keeps what stays with it (the'
            " folder sites of the run, on the machine where this site's turns are; at a hospital,"
            " its kit) and go on with --resume, or begin anew with another --out."
        ) from error


def keep_state(site: LocalSite, stop: Stop, state: Arrays) -> None:
    """Keep the optimiser's memory of this visit and of the one before, for a resume."""
    own = _state_file(site, stop, stop.index)
    write_bytes(own, Baton.of({**state, OF: _of(site, stop, stop.index)}).data)
    keep = {
        own,
        _state_file(site, stop, -1 if stop.previous_here is None else stop.previous_here),
    }
    for old in own.parent.glob("optimiser-*.safetensors"):
        if old not in keep:
            old.unlink()
