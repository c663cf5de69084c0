"""Which of a set's channels, named or numbered there, is which one of the study's."""

import re
from collections.abc import Mapping, Sequence

from roundelay.data.formats.described import unaccented
from roundelay.data.formats.nifti_names import FAMILIES
from roundelay.data.image_settings import ImageSettings
from roundelay.data.patients import Source
from roundelay.errors import DataError

NUMBER = re.compile(r"[0-9]{4}")
"""How a site's ``channels`` may name one by its number: ``t1ce = "0002"``; the first is 0000."""


def numbers_of(names: Sequence[str], settings: ImageSettings, where: str) -> dict[str, int]:
    """Which number each of the study's channels has in a set; one that is missing and may be has
    none. Raises DataError."""
    found: dict[str, int] = {}
    for channel in settings.channels:
        number = _number(channel, names, settings, where)
        if number is not None:
            found[channel] = number
    for channel in settings.channels:
        if channel not in found and not _may_lack(channel, found, settings):
            raise DataError(_lacking(channel, names, settings, where))
    return found


def sources_of(
    numbers: Mapping[str, int], there: Mapping[int, Source], settings: ImageSettings, where: str
) -> tuple[Source | None, ...]:
    """Where each of the study's channels of one exam lies, `there` by number; None for one that is
    missing and filled with zeros. Raises DataError."""
    own = {name: there[number] for name, number in numbers.items() if number in there}
    for channel in settings.channels:
        if channel not in own and not _may_lack(channel, own, settings):
            raise DataError(
                f"{where} has no channel {settings.name_here(channel)!r} (number"
                f" {numbers.get(channel, 0):04}). Add it, or say for the site that has such exams"
                ' what stands for it: missing_channels = "zero" or "substitute:CHANNEL".'
            )
    if settings.channels and not own:
        raise DataError(f"{where} has none of the study's channels.")
    other = settings.missing.partition(":")[2]
    return tuple(own.get(channel, own.get(other)) for channel in settings.channels)


def _number(channel: str, names: Sequence[str], settings: ImageSettings, where: str) -> int | None:
    here = settings.name_here(channel)
    if channel in dict(settings.named) and NUMBER.fullmatch(here) and int(here) < len(names):
        return int(here)
    found = [number for number, name in enumerate(names) if same_channel(here, name)]
    if len(found) > 1:
        numbers = " and ".join(f"{number:04}" for number in found)
        raise DataError(
            f"{where} calls the channels {numbers} both {here!r}. Say for this site which is meant:"
            f' channels = {{{channel} = "{found[0]:04}"}}.'
        )
    return found[0] if found else None


def _may_lack(channel: str, found: Mapping[str, object], settings: ImageSettings) -> bool:
    kind, _, other = settings.missing.partition(":")
    return kind == "zero" or (kind == "substitute" and other != channel and other in found)


def _lacking(channel: str, names: Sequence[str], settings: ImageSettings, where: str) -> str:
    return (
        f"{where} has no channel {settings.name_here(channel)!r}; it has {', '.join(names)}. Where"
        f" a site calls it otherwise, say so for that site: channels = {{{channel} ="
        f' "{names[-1]}"}}, or by its number ("0000" is the first); where it lacks it:'
        ' missing_channels = "zero" or "substitute:CHANNEL".'
    )


def same_channel(one: str, other: str) -> bool:
    """Whether two names mean one channel: the same letters and digits in any case, or two of the
    spellings of T1, T1 with contrast, T2 and FLAIR."""
    both = {_bare(one), _bare(other)}
    return len(both) == 1 or any(both <= {_bare(name) for name in own} for own in FAMILIES.values())


def _bare(name: str) -> str:
    plain = unaccented(name).casefold()
    return re.sub(r"[\W_]+", "", plain) or plain
