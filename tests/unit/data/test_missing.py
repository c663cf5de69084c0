"""Which sequences an exam lacks: by its files, or where FLAIR stands in to the last pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roundelay.data.image_settings import ImageSettings
from roundelay.data.missing import missing_sequences, told_of_missing
from roundelay.data.patients import Patient, Source
from roundelay.data.volumes import Volume
from roundelay.study.names import PatientId, SiteName

PATIENT = Patient(PatientId("P1"), SiteName("A"), "P1", (), (), 2)


def slices(*, same=()):
    """Channels pre, flair, post of two slices; those in `same` are FLAIR."""
    found = np.random.default_rng(0).integers(0, 255, (3, 2, 4, 4)).astype(np.uint8)
    for number in same:
        found[number] = found[1]
    return Volume(found, None)


@pytest.mark.parametrize(
    ("same", "missing"), [((), ()), ((2,), ("post",)), ((0, 2), ("pre", "post"))]
)
def test_what_flair_stands_in_for_is_missing(same, missing):
    assert missing_sequences(PATIENT, slices(same=same)) == missing


def test_one_equal_slice_is_no_missing_sequence():
    volume = slices()
    volume.channels[2, 0] = volume.channels[1, 0]

    assert missing_sequences(PATIENT, volume) == ()


def test_of_files_it_is_what_has_none_or_another_ones():
    t1, flair = Source(Path("t1")), Source(Path("flair"))
    settings = ImageSettings(channels=("t1ce", "t1", "flair"), missing="substitute:flair")
    exam = replace(PATIENT, settings=settings)

    lacking = replace(exam, channels=(flair, t1, flair))
    zeros = replace(exam, settings=replace(settings, missing="zero"), channels=(None, t1, flair))

    volume = slices(same=(0, 2))  # of files, pixels are not asked
    assert missing_sequences(replace(exam, channels=(t1, Source(Path("x")), flair)), volume) == ()
    assert missing_sequences(lacking, volume) == ("t1ce",)
    assert missing_sequences(zeros, volume) == ("t1ce",)


def test_scores_say_it_only_where_something_is_missing():
    assert told_of_missing(PATIENT, slices()) == {}
    assert told_of_missing(PATIENT, slices(same=(0, 2))) == {"missing_sequences": "pre, post"}
