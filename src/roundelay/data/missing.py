"""Which of a study's sequences an exam lacks: another one stands in its place, or nothing."""

from collections.abc import Iterator

import numpy as np

from roundelay.data.patients import Patient
from roundelay.data.volumes import Volume

ATTRIBUTE = "missing_sequences"
"""What scores call it, beside what the cohort says of a patient."""

STANDS_IN = "flair"
"""In slices of the LGG set's layout it takes the place of what is missing."""


def missing_by_file(patient: Patient) -> tuple[str, ...]:
    """Of an exam whose channels are files: those in whose place nothing stands, or another."""
    there = dict(zip(patient.settings.channels, patient.channels, strict=True))
    other = patient.settings.missing.partition(":")[2]
    return tuple(
        name
        for name, source in there.items()
        if source is None or (name != other and source == there.get(other))
    )


def missing_sequences(patient: Patient, volume: Volume) -> tuple[str, ...]:
    """The channels that an exam lacks, in the network's order; in slices with all channels
    together, those that are FLAIR to the last pixel of every slice."""
    if patient.channels:
        return missing_by_file(patient)
    return tuple(_as_flair(patient.settings.channels, volume))


def _as_flair(names: tuple[str, ...], volume: Volume) -> Iterator[str]:
    if STANDS_IN not in names:
        return
    flair = volume.channels[names.index(STANDS_IN)]
    for name, channel in zip(names, volume.channels, strict=True):
        if name != STANDS_IN and np.array_equal(channel, flair):
            yield name


def told_of_missing(patient: Patient, volume: Volume) -> dict[str, str]:
    """An attribute that says which sequences the exam lacks, where it lacks any."""
    missing = ", ".join(missing_sequences(patient, volume))
    return {ATTRIBUTE: missing} if missing else {}
