"""The hospitals of the synthetic cohort: whom each sees, and what its scanner makes of a head."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from roundelay.cohort.phantom_anatomy import Field, Template, smooth_field
from roundelay.cohort.phantom_signal import Case, draw_scene


@dataclass(frozen=True, slots=True)
class Scanner:
    """What makes one hospital's grey levels unlike another's."""

    gamma: tuple[float, float, float]  # a channel
    gain: tuple[float, float, float]  # grey level of signal 1
    bias: float  # strength of the receive field
    noise: float  # sigma of either part of the complex signal
    blur: float  # pixels
    field_of_view: float  # mm
    lesion_contrast: float
    fat: float
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
        "NORTH": Hospital(
            10,
            Scanner((1.0, 1.0, 1.0), (150, 165, 150), 0.10, 0.012, 0.5, 240, 0.29, 1.1),
            (15, 90),
            0.4,
        ),
        "EAST": Hospital(
            8,
            Scanner((1.35, 0.75, 1.3), (190, 120, 175), 0.12, 0.022, 0.6, 232, 0.14, 0.55),
            (12, 70),
            0.3,
        ),
        "SOUTH": Hospital(
            6,
            Scanner((0.9, 1.3, 0.9), (120, 185, 130), 0.26, 0.018, 0.6, 256, 0.30, 0.9),
            (10, 60),
            0.35,
        ),
        "WEST": Hospital(
            5,
            Scanner((1.1, 1.1, 1.0), (105, 110, 120), 0.14, 0.052, 0.5, 224, 0.23, 1.0),
            (40, 130),
            0.7,
        ),
        "LAKE": Hospital(
            3,
            Scanner(
                (1.6, 0.9, 1.0), (165, 190, 0), 0.16, 0.020, 1.5, 240, 0.24, 1.2, has_post=False
            ),
            (8, 40),
            0.2,
        ),
    }
)


def scan_patient(
    template: Template, rng: np.random.Generator, hospital: Hospital, *, slices: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """One patient of a hospital: images ``[slices, size, size, 3]``, masks, and the age."""
    scanner = hospital.scanner
    case = Case(
        age=int(rng.integers(*hospital.ages)),
        millilitres=float(np.exp(rng.uniform(*np.log(hospital.millilitres)))),
        enhancing=bool(rng.random() < hospital.enhancing),
        mismatch=bool(rng.random() < 0.25),
        fat=scanner.fat * float(rng.uniform(0.85, 1.15)),
        lesion_contrast=scanner.lesion_contrast * float(rng.uniform(0.65, 1.25)),
    )
    plane = (np.arange(size) - (size - 1) / 2) * scanner.field_of_view / size
    axes = (np.linspace(-36, 68, slices), -plane - 18, -plane)
    scene = draw_scene(template, rng, axes, case)
    signals = (scene.pre, scene.flair, scene.post)
    channels = [
        _levels(_record(rng, signal, axes, scanner), gain, gamma)
        for signal, gain, gamma in zip(signals, scanner.gain, scanner.gamma, strict=True)
    ]
    if not scanner.has_post:
        channels[2] = channels[1]
    return np.stack(channels, axis=-1), scene.mask, case.age


def _record(
    rng: np.random.Generator, signal: Field, axes: tuple[Field, ...], scanner: Scanner
) -> Field:
    from scipy import ndimage

    seen = ndimage.gaussian_filter(signal, (0, scanner.blur, scanner.blur))
    bias = smooth_field(rng, axes, 90)
    seen = seen * np.exp(scanner.bias * (bias - bias.mean()) + rng.normal(0, 0.06))
    real, imaginary = scanner.noise * rng.standard_normal((2, *seen.shape), np.float32)
    return np.asarray(np.hypot(seen + real, imaginary))


def _levels(seen: Field, gain: float, gamma: float) -> NDArray[np.uint8]:
    levels = gain * 0.6 * (seen / 0.6) ** gamma
    return np.asarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
