"""From a mask's numbers to the study's regions: every value is named, or the exam is refused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError
from roundelay.study.data_section import MOST_VALUE

BACKGROUND = 0

ROUNDED = 1e-3
"""How far a value may be from a whole number: programs that save labels as scaled numbers, time
and again, leave them a little off."""


SAY_LABELS = (
    "in a study in [data.labels], as ignored_labels, or renumbered for this site (labels ="
    " {{{0} = {1}}}); to evaluate and predict in a file of that last line, --site FILE"
)
"""Where a value's meaning can be given: the site's number, and the study's (0: background)."""


def whole_numbers(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    """A mask's values as integers. Raises DataError where some are none, or none that a study can
    name."""
    whole = _as_whole(labels, where)
    if whole.size and (whole.min() < BACKGROUND or whole.max() > MOST_VALUE):
        odd = whole[(whole < BACKGROUND) | (whole > MOST_VALUE)]
        raise DataError(
            f"The mask {where} holds the value {odd[0]} ({odd.size} voxels of such), and masks hold"
            f" numbers from 0, background, to {MOST_VALUE}: is it an image? Write it anew."
        )
    return whole


def _as_whole(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
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


def regions_and_values(
    labels: NDArray[Any], settings: ImageSettings, where: str
) -> tuple[NDArray[np.bool_], tuple[int, ...]]:
    """Bool ``[region, ...]`` of a mask ``[...]``, where regions may overlap; and the values met, as
    the study numbers them, without background.

    Raises DataError for a value that no region and not ``ignored_labels`` names.
    """
    found = whole_numbers(labels, where)
    here = _meanings(found, settings, where)
    regions = [
        np.isin(found, [value for value, meant in here.items() if meant in own])
        for _, own in settings.regions
    ]
    return np.stack(regions), tuple(sorted({*here.values()} - {BACKGROUND}))


def _meanings(found: NDArray[np.int64], settings: ImageSettings, where: str) -> dict[int, int]:
    """What each value of a mask is in the study. Raises DataError for one that has no meaning."""
    values, counts = np.unique(found, return_counts=True)
    renumbered = dict(settings.renumbered)
    named = {value for _, own in settings.regions for value in own}
    known = named | {BACKGROUND, *settings.ignored}
    met = dict(zip(values.tolist(), counts.tolist(), strict=True))
    if strange := [v for v in met if renumbered.get(v, v) not in known]:
        given = [f"{value} to {renumbered[value]}" for value in strange if value in renumbered]
        here = f"; this site's labels renumber {', '.join(given[:5])}" if given else ""
        raise DataError(
            f"The mask {where} holds {_listed(strange, met)}, which no region of the study names"
            f" (it names {', '.join(map(str, sorted(named)))}{here}). Say what it means:"
            f" {SAY_LABELS.format(3, 4)}."
        )
    if twice := [v for v in met if _means_two(v, renumbered)]:
        raise DataError(
            f"The mask {where} holds {_listed(twice, met)}, to which this site renumbers another of"
            f" its values. Say in the site's labels what it is there, also where it keeps its"
            f" number: {{{twice[0]} = {twice[0]}}}."
        )
    return {value: renumbered.get(value, value) for value in values.tolist()}


def _means_two(value: int, renumbered: dict[int, int]) -> bool:
    """Whether another of the site's values was given this number, and the value itself no word."""
    return value not in renumbered and value in renumbered.values() and value != BACKGROUND


def _listed(values: list[int], voxels: dict[int, int]) -> str:
    shown = ", ".join(f"{v} ({voxels[v]} voxel{'s' * (voxels[v] != 1)})" for v in values[:5])
    rest = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return f"the value{'s' * (len(values) > 1)} {shown}{rest}"


def label_values(regions: NDArray[np.bool_], settings: ImageSettings) -> NDArray[Any]:
    """Bool ``[region, ...]`` as one mask ``[...]`` of values, as the site numbers them.

    A voxel has the value that belongs to just its regions: whole = [1, 2, 4], core = [1, 4],
    enhancing = [4] give 2, 1, 4. Where no value does, that of the smallest of its regions. Raises
    DataError where the site means something else by a value that is needed.
    """
    pattern = np.zeros(regions.shape[1:], np.uint16)
    for number, region in enumerate(regions):
        pattern |= region.astype(np.uint16) << number
    found = [int(one) for one in np.unique(pattern) if one]
    written = {one: _value_here(_value_of(one, settings), settings) for one in found}
    kind = np.uint8 if max(written.values(), default=0) < 256 else np.uint16
    table = np.zeros(1 << len(regions), kind)
    for one, value in written.items():
        table[one] = value
    return table[pattern]


def _value_of(pattern: int, settings: ImageSettings) -> int:
    """The study's value for a voxel of these regions, a bit each."""
    values = dict.fromkeys(value for _, own in settings.regions for value in own)
    of = {
        value: sum(1 << n for n, (_, own) in enumerate(settings.regions) if value in own)
        for value in values
    }
    if fitting := [value for value, own in of.items() if own == pattern]:
        return fitting[0]
    marked = [n for n in range(len(settings.regions)) if pattern >> n & 1]
    smallest = min(marked, key=lambda n: len(settings.regions[n][1]))
    return min(settings.regions[smallest][1], key=lambda value: (of[value].bit_count(), value))


def _value_here(value: int, settings: ImageSettings) -> int:
    """How the site numbers one of the study's values."""
    renumbered = dict(settings.renumbered)
    here = [own for own, meant in settings.renumbered if meant == value]
    if here:
        return here[0]
    if renumbered.get(value, value) != value:
        raise DataError(
            f"A mask needs the study's value {value}, and this site has none for it: its own"
            f" {value} means {renumbered[value]}. Give it one in the site's labels, as in"
            f" {{ 9 = {value} }}."
        )
    return value
