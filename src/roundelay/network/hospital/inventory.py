"""What a hospital says of its channels and label values beside its numbers, or in their place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roundelay.data.formats.known import known_format
from roundelay.data.image_settings import settings_of
from roundelay.data.inventory import inventory_in, inventory_of
from roundelay.data.patients import Patient
from roundelay.errors import DataError, NetworkError
from roundelay.network.hospital.admission import Admitted
from roundelay.network.wire.inventory import inventory_json


class UnfitError(DataError):
    """Exams that can't be used for a study; `inventory` is what may be said of them outside."""

    def __init__(self, error: DataError, inventory: dict[str, Any]) -> None:
        super().__init__(str(error), error.faults)
        self.inventory = inventory


def said_of(asked: Admitted, patients: Sequence[Patient]) -> dict[str, Any]:
    """Of exams that can be used, as an answer holds it; nothing of the LGG set's layout, in which
    all of it is the same everywhere."""
    if asked.proposal.study.data.is_lgg or not patients:
        return {}
    least = asked.hospital.policy.release.least_scored
    return {"inventory": inventory_json(inventory_of(patients), least)}


def unfit(asked: Admitted, error: DataError) -> DataError:
    """The same error, with what may be said of the exams outside where the policy lets so few."""
    hospital, data = asked.hospital, asked.proposal.study.data
    if data.is_lgg or hospital.settings.format == "lgg":
        return error
    layout = known_format(hospital.settings.format, NetworkError)
    wanted = settings_of(data, hospital.settings.images)
    found = inventory_in(layout, Path(hospital.settings.root), wanted)
    if found is None or found.exams < hospital.policy.release.least_patients:
        return error
    return UnfitError(error, inventory_json(found, hospital.policy.release.least_scored))
