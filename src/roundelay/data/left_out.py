"""What was found in a folder of patients, and what was left out or noticed there, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from roundelay.data.patients import Patient
from roundelay.errors import DataError
from roundelay.study.names import file_name

BAD = "Exams that can't be used, left out"
PREDICTED = "Folders that hold predictions, skipped"
HIDDEN = "Hidden files and what systems leave (._*, .DS_Store, __MACOSX), skipped"
ODD = "Links that lead nowhere or back, pipes and the like, left out"
UNUSABLE = "Sites none of whose exams can be used, left out"
"""Reasons that every format has: in one wording, so that they are counted together."""

SHOWN = 20
"""Faults that are named one by one; of more the number is said."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One reason, how often it was met, and the first thing it was met with."""

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        first = "" if self.count == 1 else "the first: "
        return f"{self.reason}: {self.count} ({first}{self.example})."

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LeftOut":
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Found:
    """A folder's patients, and all in it that is not of them. `unused` are the names, any that a
    table may call them by, of exams that are there and were left out."""

    patients: tuple[Patient, ...]
    left_out: tuple[LeftOut, ...]
    unused: frozenset[str] = frozenset()


def counted(met: Iterable[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """Pairs of a reason and a thing as one value for each reason, in the order of the reasons."""
    found: dict[str, list[str]] = {}
    for reason, thing in met:
        found.setdefault(reason, []).append(thing)
    return tuple(LeftOut(reason, len(things), shown(things[0])) for reason, things in found.items())


def names_of(exams: Iterable[tuple[str, str]]) -> frozenset[str]:
    """What a table may call exams, each given by its name and by who was examined."""
    return frozenset(text for name, who in exams for text in (name, who, file_name(name)))


def together(found: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One value for each reason, whoever met it."""
    reasons: dict[str, LeftOut] = {}
    for one in found:
        first = reasons.get(one.reason)
        reasons[one.reason] = replace(first, count=first.count + one.count) if first else one
    return tuple(reasons.values())


def shown(name: str) -> str:
    """A name of a file on one line: what can't be printed is escaped."""
    escaped = (c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    return "".join(
        plain if plain.isprintable() else code for plain, code in zip(name, escaped, strict=True)
    )


def refuse(faults: list[str], lead: str = "") -> None:
    """Raise DataError where there are faults: all of them, each once, up to a screenful; `lead` is
    said first in place of their number."""
    faults = list(dict.fromkeys(faults))
    if len(faults) == 1 and not lead:
        raise DataError(faults[0], faults)
    if faults:
        more = [f"and {len(faults) - SHOWN} more."] if len(faults) > SHOWN else []
        listed = "\n".join(f"  {fault}" for fault in [*faults[:SHOWN], *more])
        lead = lead or f"The data have {len(faults)} faults:"
        raise DataError(f"{lead}\n{listed}\nMend them and try again.", faults)


def refuse_all_bad(patients: Iterable[Patient]) -> None:
    """Raise DataError where there are patients, and every one of them is left out for faults."""
    faults = [patient.fault for patient in patients]
    if faults and all(faults):
        lead = "Exams with a fault are left out, and none is without:" if len(faults) > 1 else ""
        refuse(faults, lead)


def sites_all_bad(opened: Mapping[str, Sequence[Patient]]) -> tuple[LeftOut, ...]:
    """What is said of sites all of whose exams are left out for faults. Raises DataError where no
    exam of any site can be used."""
    refuse_all_bad(patient for own in opened.values() for patient in own)
    return counted((UNUSABLE, site) for site, own in opened.items() if all_bad(own))


def all_bad(patients: Iterable[Patient]) -> bool:
    """Whether every one of them is left out for faults."""
    return all(patient.fault for patient in patients)
