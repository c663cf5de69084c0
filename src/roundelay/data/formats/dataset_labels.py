"""Whether the labels that ``dataset.json`` names and the study's regions are about the same."""

import re
from collections.abc import Iterator, Sequence

from roundelay.data.formats.dataset_json import IGNORE, DatasetJson
from roundelay.data.formats.described import unaccented
from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import refuse
from roundelay.data.regions import BACKGROUND, SAY_LABELS

AS_BACKGROUND = "Labels that ignored_labels names: their voxels count as background"

Key = tuple[str, str, int]
"""A kind of fault, the label and the value in dataset.json."""


def compare_labels(
    dataset: DatasetJson, settings: Sequence[ImageSettings]
) -> Iterator[tuple[str, str]]:
    """What is to be said of labels that the study counts as background. Raises DataError where
    none of its `settings` (of several sites) says what a label is, or where all mean other values
    by its name; what single masks hold is seen when they are read."""
    faults = [dict(_faults(dataset, own)) for own in settings]
    refuse([text for key, text in faults[0].items() if all(key in other for other in faults)])
    for name, own in _all_labels(dataset):
        if any({_meant(value, one) for value in own} & set(one.ignored) for one in settings):
            yield AS_BACKGROUND, name


def _all_labels(dataset: DatasetJson) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from dataset.labels.items()
    if dataset.ignored is not None:
        yield IGNORE, (dataset.ignored,)


def _meant(value: int, settings: ImageSettings) -> int:
    """What a value of the site is in the study."""
    return dict(settings.renumbered).get(value, value)


def _faults(dataset: DatasetJson, settings: ImageSettings) -> Iterator[tuple[Key, str]]:
    named = {value for _, own in settings.regions for value in own}
    known = named | {BACKGROUND, *settings.ignored}
    for name, own in dataset.labels.items():
        for value in sorted(own):
            if _meant(value, settings) not in known:
                yield ("unnamed", name, value), _unnamed(dataset, name, value, sorted(named))
        yield from _otherwise(dataset, name, own, settings)
    ignored = dataset.ignored or BACKGROUND
    if _meant(ignored, settings) not in (BACKGROUND, *settings.ignored):
        yield (IGNORE, IGNORE, ignored), _unmarked(dataset, ignored)


def _unnamed(dataset: DatasetJson, name: str, value: int, named: Sequence[int]) -> str:
    return (
        f"{dataset.path} has the label {name!r} with the value {value}, which no region of the"
        f" study names (it names {', '.join(map(str, named))}). Say what it means:"
        f" {SAY_LABELS.format(value, '...')}."
    )


def _otherwise(
    dataset: DatasetJson, name: str, own: Sequence[int], settings: ImageSettings
) -> Iterator[tuple[Key, str]]:
    """A label that bears a region's name, with a value that the region hasn't."""
    for region, values in settings.regions:
        strange = [value for value in own if _meant(value, settings) not in values]
        if strange and _bare(region) == _bare(name):
            yield (
                ("otherwise", name, strange[0]),
                f"{dataset.path} gives the label {name!r} the value {strange[0]}, the study's"
                f" region {region!r} is {', '.join(map(str, values))}: one of them is mistaken."
                " Look into a mask; then mend that one, or renumber for this site"
                f" (labels = {{{strange[0]} = {values[0]}}}; to evaluate and predict in a file,"
                " --site FILE).",
            )


def _unmarked(dataset: DatasetJson, value: int) -> str:
    return (
        f"{dataset.path} has the label {IGNORE!r} ({value}), voxels that nobody marked. Training"
        " here knows none: they would count as background. Where that is right, write"
        f" ignored_labels = [{value}] in [data] (to evaluate and predict, labels ="
        f" {{{value} = 0}} in a file, --site FILE); otherwise leave those exams out."
    )


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", unaccented(name).casefold())
