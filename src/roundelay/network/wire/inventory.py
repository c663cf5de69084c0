"""Which channels and label values a hospital's exams have, as it says so, and whether they fit."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from roundelay.data.inventory import MOST_VALUES, Inventory
from roundelay.network.wire.parsing import Count, Part
from roundelay.study.data_section import MOST_CHANNELS, Data, Plain, Value

FAMILIAR = 4
"""Channels that are known by name beside those of a study."""


def _as_tuple(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given  # JSON knows no tuples


Labels = Annotated[tuple[Value, ...], BeforeValidator(_as_tuple), Field(max_length=MOST_VALUES)]

Channels = Annotated[
    tuple[Plain, ...], BeforeValidator(_as_tuple), Field(max_length=MOST_CHANNELS + FAMILIAR)
]


class InventoryPart(Part):
    """As `Inventory`: a count that the hospital's policy keeps is None."""

    exams: Count
    channels: Channels
    missing: Annotated[dict[Plain, Count | None], Field(max_length=MOST_CHANNELS)]
    labels: Labels | None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if any(
            count is not None and not 0 < count <= self.exams for count in self.missing.values()
        ):
            raise ValueError("more exams lack a channel than there are, or none")
        for own in (self.channels, self.labels or ()):
            if len(set(own)) < len(own):
                raise ValueError("one stands there twice")
        return self


def inventory_json(inventory: Inventory, least: int) -> dict[str, Any]:
    """As it leaves a hospital: of fewer than `least` exams, or all but as few, no count."""

    def counted(count: int | None) -> int | None:
        rest = inventory.exams - (count or 0)
        return count if count and count >= least and (rest == 0 or rest >= least) else None

    return {
        "exams": inventory.exams,
        "channels": list(inventory.channels),
        "missing": {name: counted(count) for name, count in inventory.missing.items()},
        "labels": None if inventory.labels is None else list(inventory.labels),
    }


def mismatches(said: InventoryPart, data: Data) -> Iterator[str]:
    """What doesn't fit the study, each without whose it is: ``has no channel 't2' in 3 of 14
    exams``."""
    for name in data.channel_names:
        if name in said.missing:
            yield f"has no channel {name!r} in {_how_many(said.missing[name], said)}"
    if said.missing and said.channels:
        yield f"has the channels {', '.join(said.channels)}"
    named = {*data.ignored_labels, *(value for own in data.regions.values() for value in own)}
    for value in said.labels or ():
        if value not in named:
            yield f"has the label value {value}, which is in no region"
    if said.labels is None:
        yield f"has masks with more than {MOST_VALUES} values, which are none"


def _how_many(count: int | None, said: InventoryPart) -> str:
    if count is None:
        return f"some of its {said.exams} exams"
    return f"{'all' if count == said.exams else count} of {said.exams} exams"
