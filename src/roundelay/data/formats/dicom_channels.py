"""Which series is which channel: by the words of its description, or by a site's own pattern."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from roundelay.data.formats.dicom_header import Header
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

Files = Mapping[str, Sequence[Header]]
"""The files of each series, by its UID."""

ALIASES = {
    "t1": ("t1", "t1n", "t1w"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1post"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f"),
}
"""What a channel of a study, and a word of a description, may be called."""

CONTRAST = {
    "post", "gd", "gad", "gado", "gadavist", "gadovist", "km", "ce", "c", "contrast", "enhanced",
    "postcontrast",
}  # fmt: skip
"""Words that make a T1 one with contrast agent; not behind one of the next."""

WITHOUT = {"pre", "no", "non", "without", "wo", "precontrast"}

OTHERWISE = {
    "sub", "subtraction", "map", "perfusion", "adc", "tof", "survey", "localizer", "dynamic", "dyn",
}  # fmt: skip
"""Words of series that were computed from others, or are no picture of the whole head."""

STAR = {"star", "t2star", "swi"}
"""Words of series that are weighted otherwise, for all that they say T2."""


def channels_of(folder: str, files: Files, settings: ImageSettings) -> list[str | None]:
    """The UID of each channel's series, None for one that is missing and filled with zeros.

    Raises DataError where one is missing, or where several could be it.
    """
    faults: list[str] = []
    found: list[str | None] = []
    for name in settings.channels:
        try:
            found.append(_channel(folder, files, name, settings))
        except DataError as error:
            faults += error.faults
    if faults:
        raise DataError("\n".join(faults), faults)
    return found


def _channel(folder: str, files: Files, name: str, settings: ImageSettings) -> str | None:
    fitting = [
        uid for uid, headers in files.items() if _fits(headers[0].description, name, settings)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(_several(folder, [files[uid] for uid in fitting], name))
    if settings.missing == "zero":
        return None
    kind, _, other = settings.missing.partition(":")
    if kind == "substitute" and other != name:
        return channels_of(folder, files, _only(settings, other))[0]
    met = ", ".join(sorted({repr(own[0].description) for own in files.values()}))
    raise DataError(
        f"{folder} has no series for the channel {name!r}; it has {met or 'none'}. Name the one it"
        f' is by its description, for that site: channels = {{{name} = "AX T1*"}}; or say what'
        " stands for one that is missing: missing_channels."
    )


def _only(settings: ImageSettings, channel: str) -> ImageSettings:
    from dataclasses import replace

    return replace(settings, channels=(channel,), missing="refuse")


def _several(folder: str, fitting: Sequence[Sequence[Header]], name: str) -> str:
    first, second = (f"{own[0].description!r} ({own[0].path.name})" for own in fitting[:2])
    more = f" and {len(fitting) - 2} more" * (len(fitting) > 2)
    return (
        f"{folder} has several series that could be the channel {name!r}: {first} and"
        f" {second}{more}. Name the one by its description, for that site:"
        f' channels = {{{name} = "AX T1*"}}; or move the other away.'
    )


def _fits(description: str, name: str, settings: ImageSettings) -> bool:
    pattern = dict(settings.named).get(name)
    if pattern is not None:
        return fnmatchcase(description.casefold(), pattern.casefold())
    wanted = next((own for own, names in ALIASES.items() if name.lower() in names), None)
    if wanted is None:
        return name.lower() in _words(description)
    return channel_of(description) == wanted


def channel_of(description: str) -> str | None:
    """The one of `ALIASES` that a description means: ``AX T2 FLAIR`` is flair, ``T1 POST`` t1ce.

    >>> channel_of("AX T2 FLAIR"), channel_of("Sag T1 +C"), channel_of("T1 pre contrast")
    ('flair', 't1ce', 't1')
    """
    words = _words(description)
    if words & OTHERWISE:
        return None
    if words & set(ALIASES["flair"]):
        return None if words & {*ALIASES["t1"], *ALIASES["t1ce"]} else "flair"
    plain = [name for name in ("t1", "t2") if words & set(ALIASES[name])]
    if words & set(ALIASES["t1ce"]):
        return None if plain == ["t2"] else "t1ce"
    if len(plain) != 1 or words & STAR:
        return None
    with_contrast = bool(words & CONTRAST) and not words & WITHOUT
    if plain == ["t1"]:
        return "t1ce" if with_contrast else "t1"
    return "t2"


def _words(description: str) -> set[str]:
    text = description.lower().replace("*", "star ").replace("w/o", "without")
    text = re.sub(r"(?<!\w)(c-|-c)(?!\w)", " without ", text)
    return set(re.findall(r"[a-z0-9]+", text))
