"""What segments and contours are called, held against the regions that their numbers mean."""

from collections.abc import Mapping

from roundelay.data.formats.dicom_labels import plain
from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import refuse, shown
from roundelay.errors import DataError

Names = Mapping[int, str]
"""By number, what a segment or contour is called; empty where it isn't."""


def refuse_misnamed(names: Names, settings: ImageSettings, where: str) -> None:
    """Raise DataError where one is called as a region of the study, and its number is another's.

    A number may mean further regions that have all values of the one: what is core is whole too.
    Where a site says what a number is, or the study ignores it, that holds, whatever it is called.
    """
    said = {*dict(settings.renumbered), *settings.ignored}
    own = {name: set(values) for name, values in settings.regions}
    called = {plain(name): name for name in own}
    faults = []
    for number, label in names.items():
        name = called.get(plain(label))
        if name is None or number in said:
            continue
        meant = [other for other, values in own.items() if number in values]
        if set(meant) != {other for other, values in own.items() if values >= own[name]}:
            faults.append(
                f"The reference {where} calls its number {number} {shown(label)!r}, as the study"
                f" calls a region; but {number} is {_listed(meant)} there. Say for this site which"
                f" of the study's values it is, as in labels = {{{number} = {min(own[name])}}}."
            )
    refuse(faults)


def regions_by_name(names: Names, settings: ImageSettings, where: str) -> dict[int, int]:
    """Which region each segment of a segmentation of ours is: it has one a region, called so.

    Raises DataError where one is called otherwise than the study's regions.
    """
    found = {}
    for number, label in names.items():
        if label not in settings.region_names:
            raise DataError(
                f"The segmentation {where} was made by a model with a region {shown(label)!r}; the"
                f" study has {', '.join(settings.region_names)}. Move it away, or name its regions"
                " as that model's study does."
            )
        found[number] = settings.region_names.index(label)
    return found


def _listed(regions: list[str]) -> str:
    return f"of {' and '.join(regions)}" if regions else "of no region"
