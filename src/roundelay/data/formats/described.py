"""What a set says of itself, in words that a study can take over."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from unicodedata import normalize

from roundelay.study.data_section import MAIN


@dataclass(frozen=True, slots=True)
class Described:
    """`channels` in the set's order, `regions` with the values of masks that belong to each, the
    main one first, `ignored` values.

    Where a set names no channels, or no regions, these are empty; `count` is how many channels an
    exam has.
    """

    count: int
    channels: tuple[str, ...] = ()
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()


def as_channels(names: Iterable[str]) -> tuple[str, ...]:
    """Names of channels as a study may have them, each one once."""
    return tuple(_plain_once(names))


def as_regions(labels: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """A set's labels as regions. The first is all of the tumour: the label that has every value,
    or one that is added."""
    named = dict(zip(_plain_once(labels), labels.values(), strict=True))
    every = tuple(sorted({value for own in named.values() for value in own}))
    whole = [name for name, own in named.items() if set(own) == set(every)]
    if whole:
        return {whole[0]: named[whole[0]], **named}
    if not named:
        return {}
    *_, first = _plain_once([*named, MAIN])
    return {first: every, **named}


def unaccented(name: str) -> str:
    """A name in the letters that a study's names may have; as it is where it has none of these.

    >>> unaccented("Ödem"), unaccented("腫瘍")
    ('Odem', '腫瘍')
    """
    return normalize("NFKD", name).encode("ascii", "ignore").decode() or name


def _plain_once(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9+-]+", "_", unaccented(name)).strip("_+-")[:32] or "unnamed"
        plain, number = base, 1
        while plain.casefold() in (other.casefold() for other in found):
            number += 1
            plain = f"{base[:28]}_{number}"
        found.append(plain)
    return found
