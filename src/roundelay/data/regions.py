"""From a mask's numbers to the study's regions: every value is named, or the exam is refused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

BACKGROUND = 0

ROUNDED = 1e-3
"""How far a value may be from a whole number: programs that save labels as scaled numbers, time
and again, leave them a little off."""


def whole_numbers(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    """A mask's values as integers. Raises DataError where some are none."""
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    finite = np.where(np.isfinite(labels), labels, 0.5)  # no number is no whole one
    odd = np.abs(finite - np.round(finite)) > ROUNDED
    if odd.any():
        raise DataError(
            f"The mask {where} holds {int(odd.sum())} values that are no whole numbers (the first:"
            f" {float(labels[odd][0]):g}): is it an image, or were its labels resampled? Write it"
            " anew with the values themselves."
        )
    whole: NDArray[np.int64] = np.round(labels).astype(np.int64)
    return whole


def regions_of(labels: NDArray[Any], settings: ImageSettings, where: str) -> NDArray[np.bool_]:
    """Bool ``[region, ...]`` of a mask ``[...]``; regions may overlap.

    Raises DataError for a value that no region and not ``ignored_labels`` names.
    """
    found = whole_numbers(labels, where)
    values, counts = np.unique(found, return_counts=True)
    renumbered = dict(settings.renumbered)
    named = {value for _, own in settings.regions for value in own}
    known = named | {BACKGROUND, *settings.ignored}
    faults = [
        f"{value} ({count} voxels)"
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
        if renumbered.get(value, value) not in known
    ]
    if faults:
        raise DataError(
            f"The mask {where} holds {_listed(faults)}, which no region of the study names (it"
            f" names {', '.join(map(str, sorted(named)))}). Write in the study what it means: in"
            " [data.labels], as ignored_labels, or renumbered for this site (labels = {3 = 4})."
        )
    here = {value: renumbered.get(value, value) for value in values.tolist()}
    regions = [
        np.isin(found, [value for value, meant in here.items() if meant in own])
        for _, own in settings.regions
    ]
    return np.stack(regions)


def _listed(faults: list[str]) -> str:
    shown = ", ".join(faults[:5])
    rest = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
    return f"the value{'s' * (len(faults) > 1)} {shown}{rest}"


def label_values(regions: NDArray[np.bool_], settings: ImageSettings) -> NDArray[Any]:
    """Bool ``[region, ...]`` as one mask ``[...]`` of values, as the site numbers them.

    Where regions lie in one another the one with fewer values stands on top, and each is written
    with a value that is its own: whole = [1, 2, 4], core = [1, 4], enhancing = [4] gives 2, 1, 4.
    """
    backwards = {there: here for here, there in reversed(settings.renumbered)}
    order = sorted(range(len(regions)), key=lambda n: -len(settings.regions[n][1]))
    own = [_own_value(settings, number) for number in range(len(order))]
    written = [backwards.get(value, value) for value in own]
    kind = np.uint8 if max(written) < 256 else np.uint16
    mask = np.zeros(regions.shape[1:], kind)
    for number in order:
        mask[regions[number]] = written[number]
    return mask


def _own_value(settings: ImageSettings, number: int) -> int:
    """A value of a region that no smaller region within it has; its first where there is none."""
    own = settings.regions[number][1]
    within = {
        value for name, values in settings.regions if set(values) < set(own) for value in values
    }
    return next((value for value in own if value not in within), own[0])
