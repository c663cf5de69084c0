"""Pictures of several regions: a colour each, and a strip that says which."""

import numpy as np

from roundelay.report.greys import Grey
from roundelay.report.overlays import PREDICTION, REFERENCE, draw_panels, draw_sheet
from roundelay.report.region_colours import colour_of_region, largest_first, legend

NAMES = ("enhancing", "whole")


def squares():
    """The first region in the second, ``[region, slice, row, column]``; a reference and a
    prediction that is one pixel further down."""
    reference = np.zeros((2, 3, 40, 40), bool)
    reference[0, :, 15:25, 15:25] = True
    reference[1, :, 10:30, 10:30] = True
    return reference, np.roll(reference, 1, axis=2)


def colours_in(picture):
    return {tuple(int(v) for v in pixel) for pixel in np.unique(picture.reshape(-1, 3), axis=0)}


def test_an_inner_region_stays_in_sight_whatever_the_order_in_the_study():
    reference, _ = squares()

    assert largest_first(reference[:, 0]) == [1, 0]
    grey = np.zeros((40, 40), np.uint8)
    picture = draw_panels(grey, reference[:, 0], reference[:, 0], (0, 0, 40, 40), names=NAMES)
    middle, rim = picture[112, 228 + 112], picture[70, 228 + 112]
    for pixel, region in ((middle, 0), (rim, 1)):
        wanted = 0.55 * np.array(colour_of_region(region))
        assert np.abs(pixel.astype(float) - wanted).max() <= 1
    assert {PREDICTION, REFERENCE} <= colours_in(picture)


def test_a_sheet_has_each_regions_colour_and_says_whose_it_is():
    reference, marked = squares()
    grey = Grey(np.zeros((3, 40, 40), np.uint8))

    plain = draw_sheet("P-1", grey, marked[:1], reference[:1], names=("tumour",))
    several = draw_sheet("P-1", grey, marked, reference, names=NAMES)

    wanted = {colour_of_region(0), colour_of_region(1)}
    assert wanted <= colours_in(several[-40:]) and wanted <= colours_in(several[24:-40])
    assert not {PREDICTION, REFERENCE} & colours_in(several[-40:])
    assert {PREDICTION, REFERENCE} <= colours_in(plain) and not wanted & colours_in(plain)


def test_a_strip_that_is_too_narrow_goes_on_below():
    said = [(f"region-{n}", colour_of_region(n)) for n in range(6)]

    assert legend(1000, said).shape == (20, 1000, 3)
    assert legend(150, said).shape[0] > 20
