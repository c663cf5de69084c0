"""The hospitals of the synthetic cohort: whom each sees, and what its scanner makes of a head."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from roundelay.phantom.anatomy import Field, Template, smooth_field
from roundelay.phantom.exam import Exam
from roundelay.phantom.signal import Case, draw_scene

LOWEST, HIGHEST = -36.0, 68.0
"""Millimetres of the lowest and the highest slice, in the template's space."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """What makes one hospital's grey levels unlike another's."""

    gamma: tuple[float, float, float]  # a channel
    gain: tuple[float, float, float]  # grey level of signal 1
    bias: float  # strength of the receive field
    noise: float  # sigma of either part of the complex signal
    blur: float  # pixels
    field_of_view: float  # mm
    lesion_contrast: float  # of FLAIR
    fat: float
    fluid: float = 0.08
    darkening: float = 0.92  # of T1 in a lesion
    has_post: bool = True


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital's scanner and the lesions it sees."""

    patients: int
    scanner: Scanner
    millilitres: tuple[float, float]
    enhancing: float  # share of patients
    ages: tuple[int, int] = (24, 68)


HOSPITALS: Mapping[str, Hospital] = MappingProxyType(
    {
        # The largest, with a clear contrast on FLAIR and a faint one on T1; its patients are the
        # oldest, with bright spots that are no tumour.
        "NORTH": Hospital(
            patients=10,
            millilitres=(15, 90),
            enhancing=0.4,
            ages=(48, 80),
            scanner=Scanner(
                gamma=(1.0, 1.0, 1.0),
                gain=(150, 165, 150),
                bias=0.1,
                noise=0.012,
                blur=0.5,
                field_of_view=240,
                lesion_contrast=0.29,
                fat=1.1,
                darkening=0.45,
            ),
        ),
        # FLAIR hardly tells tumour from grey matter, T1 does; fat is suppressed.
        "EAST": Hospital(
            patients=8,
            millilitres=(12, 70),
            enhancing=0.3,
            ages=(20, 50),
            scanner=Scanner(
                gamma=(1.35, 0.75, 1.3),
                gain=(190, 120, 175),
                bias=0.12,
                noise=0.022,
                blur=0.6,
                field_of_view=232,
                lesion_contrast=0.12,
                fat=0.55,
            ),
        ),
        # A surface coil, bright on one side; FLAIR's inversion time leaves the fluid bright, and T1
        # hardly shows a tumour.
        "SOUTH": Hospital(
            patients=6,
            millilitres=(10, 60),
            enhancing=0.35,
            scanner=Scanner(
                gamma=(0.9, 1.3, 0.9),
                gain=(120, 165, 130),
                bias=0.32,
                noise=0.018,
                blur=0.6,
                field_of_view=256,
                lesion_contrast=0.3,
                fat=0.9,
                fluid=0.36,
                darkening=0.35,
            ),
        ),
        # A noisy scanner and the largest tumours, most of which enhance.
        "WEST": Hospital(
            patients=5,
            millilitres=(40, 130),
            enhancing=0.7,
            scanner=Scanner(
                gamma=(1.1, 1.1, 1.0),
                gain=(105, 110, 120),
                bias=0.14,
                noise=0.06,
                blur=0.5,
                field_of_view=224,
                lesion_contrast=0.23,
                fat=1.0,
            ),
        ),
        # The smallest: blurred; its slices have FLAIR where the others have T1 with contrast agent.
        "LAKE": Hospital(
            patients=3,
            millilitres=(8, 40),
            enhancing=0.2,
            scanner=Scanner(
                gamma=(1.6, 0.9, 1.0),
                gain=(165, 190, 165),
                bias=0.16,
                noise=0.02,
                blur=1.5,
                field_of_view=240,
                lesion_contrast=0.24,
                fat=1.2,
                has_post=False,
            ),
        ),
    }
)


def scan_patient(
    template: Template, rng: np.random.Generator, hospital: Hospital, *, slices: int, size: int
) -> Exam:
    """One patient of a hospital, ``[slices, size, size]`` voxels."""
    scanner = hospital.scanner
    case = Case(
        age=int(rng.integers(*hospital.ages)),
        millilitres=float(np.exp(rng.uniform(*np.log(hospital.millilitres)))),
        enhancing=bool(rng.random() < hospital.enhancing),
        mismatch=bool(rng.random() < 0.25),
        fat=scanner.fat * float(rng.uniform(0.85, 1.15)),
        fluid=scanner.fluid,
        darkening=scanner.darkening,
        lesion_contrast=scanner.lesion_contrast * float(rng.uniform(0.65, 1.25)),
    )
    pixel = scanner.field_of_view / size
    plane = (np.arange(size) - (size - 1) / 2) * scanner.field_of_view / size
    axes = (np.linspace(LOWEST, HIGHEST, slices), -plane - 18, -plane)
    scene = draw_scene(template, rng, axes, case)
    signals = (scene.pre, scene.flair, scene.post)
    channels = [
        _levels(_record(rng, signal, axes, scanner), gain, gamma)
        for signal, gain, gamma in zip(signals, scanner.gain, scanner.gamma, strict=True)
    ]
    thick = (HIGHEST - LOWEST) / (slices - 1) if slices > 1 else HIGHEST - LOWEST
    return Exam(
        np.stack(channels, axis=-1),
        scene.mask,
        case.age,
        spacing=(thick, pixel, pixel),
        first=(float(axes[2][0]), float(axes[1][0]), LOWEST),
        has_post=scanner.has_post,
    )


def _record(
    rng: np.random.Generator, signal: Field, axes: tuple[Field, ...], scanner: Scanner
) -> Field:
    from scipy import ndimage

    seen = ndimage.gaussian_filter(signal, (0, scanner.blur, scanner.blur))
    bias = smooth_field(rng, axes, 90)
    seen = seen * np.exp(scanner.bias * (bias - bias.mean()) + rng.normal(0, 0.06))
    real, imaginary = scanner.noise * rng.standard_normal((2, *seen.shape), np.float32)
    return np.asarray(np.hypot(seen + real, imaginary))


def _levels(seen: Field, gain: float, gamma: float) -> Field:
    """Grey levels for 8 bits, not yet whole numbers."""
    return np.asarray(gain * 0.6 * (seen / 0.6) ** gamma)
