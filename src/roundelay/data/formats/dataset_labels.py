"""Whether the labels that ``dataset.json`` names and the study's regions are about the same."""

import re
from collections.abc import Iterator

from roundelay.data.formats.dataset_json import IGNORE, DatasetJson
from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import refuse
from roundelay.data.regions import BACKGROUND

AS_BACKGROUND = "Labels that ignored_labels names: their voxels count as background"


def compare_labels(dataset: DatasetJson, settings: ImageSettings) -> Iterator[tuple[str, str]]:
    """What is to be said of labels that the study counts as background. Raises DataError where
    it says nothing of a label, or means other values by the same name."""
    renumbered = dict(settings.renumbered)
    labels = {
        name: tuple(renumbered.get(value, value) for value in own)
        for name, own in dataset.labels.items()
    }
    ignored = renumbered.get(dataset.ignored or BACKGROUND, dataset.ignored or BACKGROUND)
    faults = [
        *_unnamed(dataset, labels, settings),
        *_otherwise(dataset, labels, settings),
        *_ignored(dataset, ignored, settings),
    ]
    refuse(faults)
    for name, own in {**labels, IGNORE: (ignored,)}.items():
        if set(own) & set(settings.ignored):
            yield AS_BACKGROUND, name


Labels = dict[str, tuple[int, ...]]


def _unnamed(dataset: DatasetJson, labels: Labels, settings: ImageSettings) -> Iterator[str]:
    named = {value for _, own in settings.regions for value in own}
    for name, own in labels.items():
        for value in sorted(set(own) - named - {BACKGROUND, *settings.ignored}):
            yield (
                f"{dataset.path} has the label {name!r} with the value {value}, which no region of"
                f" the study names (it names {', '.join(map(str, sorted(named)))}). Write in the"
                " study what it means: in [data.labels], as ignored_labels, or renumbered for this"
                f" site (labels = {{{value} = ...}})."
            )


def _otherwise(dataset: DatasetJson, labels: Labels, settings: ImageSettings) -> Iterator[str]:
    """A label that bears a region's name, with a value that the region hasn't."""
    regions = {_bare(name): (name, own) for name, own in settings.regions}
    for name, own in labels.items():
        region, values = regions.get(_bare(name), ("", own))
        if strange := sorted(set(own) - set(values)):
            yield (
                f"{dataset.path} gives the label {name!r} the value {strange[0]}, the study's"
                f" region {region!r} is {', '.join(map(str, values))}: one of them is mistaken."
                " Look into a mask; then mend that one, or renumber for this site"
                f" (labels = {{{strange[0]} = {values[0]}}})."
            )


def _ignored(dataset: DatasetJson, ignored: int, settings: ImageSettings) -> Iterator[str]:
    if ignored not in (BACKGROUND, *settings.ignored):
        yield (
            f"{dataset.path} has the label {IGNORE!r} ({dataset.ignored}), voxels that nobody"
            " marked. Training here knows none: they would count as background. Where that is"
            f" right, write ignored_labels = [{ignored}] in [data]; otherwise leave those exams"
            " out."
        )


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
