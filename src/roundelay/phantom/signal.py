"""What an ideal scanner would see of a synthetic patient: three sequences and the mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roundelay.phantom.anatomy import Build, Field, Template, bend, sample, smooth_field
from roundelay.phantom.lesion import EDGE, grow_lesion, press

# Outwards from the skull's inner face: fluid, inner table, marrow, outer table, fat, skin, air.
_LAYERS = (0.0, 1.2, 1.8, 2.4, 3.6, 4.6, 5.3, 6.1, 8.6, 9.6, 10.6, 11.4)

_LAYERS_T1 = (0.18, 0.10, 0.05, 0.30, 0.38, 0.08, 0.12, 1.0, 1.15, 0.6, 0.45, 0.0)

_LAYERS_FLAIR = (0.10, 0.08, 0.05, 0.20, 0.28, 0.08, 0.10, 0.8, 0.9, 0.55, 0.4, 0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """What one patient has, and how the hospital's sequences show it."""

    age: int
    millilitres: float
    enhancing: bool
    mismatch: bool  # FLAIR dark within a bright rim
    lesion_contrast: float  # of FLAIR, over grey matter
    fat: float  # 1: bright as it comes, less where it is suppressed
    fluid: float  # of FLAIR: near 0 where the inversion time fits, bright where it doesn't
    darkening: float  # of T1: the share of the step to a dark lesion's signal


@dataclass(frozen=True, slots=True)
class Scene:
    """Signals over the grid ``[z, y, x]``; white matter is near 0.75 in T1 and 0.45 in FLAIR."""

    pre: Field
    flair: Field
    post: Field
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Tissue:
    points: Field
    t1: Field
    gm: Field
    csf: Field
    inner: Field
    outer: Field
    ventricle: Field


@dataclass(frozen=True, slots=True)
class _Noise:
    tilt: Field
    cloud: Field
    drift: Field
    grain: Field
    fine: Field
    thread: Field
    patch: Field
    strand: Field


_SCALES = (40, 14, 14, 6, 4, 18, 9, 9)  # mm, of each field of _Noise


def draw_scene(
    template: Template, rng: np.random.Generator, axes: Sequence[Field], case: Case
) -> Scene:
    """One patient's head, anatomy and lesion drawn from `rng`, on a grid in mm."""
    lesion = grow_lesion(template, rng, case.millilitres)
    build = _build(rng, case.age)
    points, head = bend(template, rng, axes, build)
    grid = tuple(len(axis) for axis in axes)
    tissue = _tissue(template, press(template, lesion, points), build)
    noise = _Noise(*(smooth_field(rng, axes, scale).ravel()[head] for scale in _SCALES))
    flair = _flair(tissue, noise, case)
    pre = _t1(tissue, noise, case)
    near = np.abs(tissue.points - lesion.centre[:, None]).max(0) < 80
    density, depth = (sample(p, tissue.points, within=near) for p in (lesion.density, lesion.depth))
    pre, flair, glow = _with_lesion((pre, flair), (density, depth), noise, case)
    post = pre * 1.03 + np.clip(_vessels(tissue, noise) + glow, 0, 0.8)
    pre, flair, post, density = (_on_grid(s, head, grid) for s in (pre, flair, post, density))
    return Scene(pre, flair, post, _contour(density))


def _on_grid(values: Field, head: NDArray[np.bool_], grid: tuple[int, ...]) -> Field:
    whole = np.zeros(head.shape)
    whole[head] = values
    return whole.reshape(grid)


def _build(rng: np.random.Generator, age: int) -> Build:
    old = np.clip((age - 25) / 50, 0, 1)
    x, y, z = rng.normal([0.96, 1.0, 0.98], 0.03)
    tilt, roll, yaw = np.deg2rad(rng.normal([4, 0, 0], [4, 1.2, 2.0]))
    return Build(
        size=(x, y, z),
        turn=(tilt, roll, yaw),
        ventricles=float(rng.normal(-1.2 + 3.5 * old, 1.2)),
        atrophy=float(np.clip(rng.normal(old, 0.2), 0, 1)),
    )


def _tissue(template: Template, points: Field, build: Build) -> _Tissue:
    fine = {name: sample(volume, points, 1) for name, volume in template.fine.items()}
    inner, outer, ventricle = (
        sample(template.coarse[name], points) for name in ("inner", "outer", "ventricle")
    )
    csf = fine["csf"] ** (1.25 - 0.6 * build.atrophy)
    return _Tissue(points, fine["t1"], fine["gm"], csf, inner, outer, ventricle)


def _t1(tissue: _Tissue, noise: _Noise, case: Case) -> Field:
    brain = np.interp(tissue.t1, (40, 90, 130, 165, 222, 250), (0.12, 0.18, 0.36, 0.52, 0.74, 0.8))
    return _with_skull(
        brain * (1 + 0.015 * noise.fine), tissue, noise, np.multiply(_LAYERS_T1, case.fat)
    )


def _flair(tissue: _Tissue, noise: _Noise, case: Case) -> Field:
    brain = 0.45 + 0.11 * tissue.gm + 0.012 * noise.grain
    white = np.clip(1 - tissue.gm - tissue.csf, 0, 1) * (tissue.inner < -8)
    old = np.clip((case.age - 35) / 35, 0, 1)
    rim = np.exp(-((tissue.ventricle / (2.0 + 2.2 * old)) ** 2))
    patches = np.clip(0.8 * noise.grain + 0.6 * noise.fine - 1.9 + 0.8 * old, 0, 0.6)
    patches *= np.exp(-tissue.ventricle / 16) * 1.2 * old
    caps = 0.14 * (0.35 + old) * rim * np.clip(1 + noise.cloud, 0, 2)
    brain += white * np.minimum(caps + patches, 0.03 + 0.8 * case.lesion_contrast)
    # Pulsation leaves bright fluid in the basal cisterns, air in the sinuses a bright base.
    low = np.clip(-(tissue.points[2] + 8) / 18, 0, 1)
    fluid = case.fluid + 0.30 * low * np.clip(noise.cloud, 0, 1)
    near_base = low * np.exp(-((tissue.inner / 7) ** 2)) * np.clip(noise.drift, 0, 1.2)
    brain += 0.22 * near_base * (tissue.points[1] > -30)
    signal = brain * (1 - tissue.csf) + fluid * tissue.csf
    return _with_skull(signal, tissue, noise, np.multiply(_LAYERS_FLAIR, case.fat))


def _with_skull(brain: Field, tissue: _Tissue, noise: _Noise, layers: Field) -> Field:
    behind = np.clip(-(tissue.points[1] + 30) / 70, 0, 1)
    stretch = np.exp(0.08 * noise.tilt + 0.35 * behind)
    skull = np.interp(tissue.outer / stretch, _LAYERS, layers)
    skull *= np.clip(0.95 + 0.10 * noise.grain + 0.12 * noise.cloud, 0.6, 1.3)
    # Under the brain: bone, muscle and fat between air.
    septa = np.exp(-((noise.patch / 0.4) ** 2)) + 0.7 * np.exp(-((noise.grain / 0.35) ** 2))
    soft = 0.05 + 0.30 * np.clip(septa, 0, 1) + 0.15 * np.clip(noise.drift, 0, 1)
    outside = np.where(tissue.outer < 0.5, soft * (layers[8] / 0.9), skull)
    cover = np.clip((tissue.inner - 0.8) / 1.6, 0, 1)
    return np.asarray(brain * (1 - cover) + outside * cover)


def _vessels(tissue: _Tissue, noise: _Noise) -> Field:
    x, y, z = tissue.points
    threads = (
        np.exp(-(noise.thread**2 + noise.strand**2) / 0.03) * tissue.csf * (tissue.inner > -28)
    )
    dura = 0.22 * np.exp(-(((tissue.inner - 0.5) / 1.3) ** 2)) * np.clip(1 + noise.cloud, 0.2, 2)
    width = 1.6 + 3.0 * np.clip(-(y + 20) / 70, 0, 1)
    upright = (z > -18) & ((y < -40) | (z > 40) | (y > 45))
    sinus = upright * np.exp(-((x / width) ** 2) - ((tissue.inner - 0.5) / 3.4) ** 2)
    midline = np.exp(-((x / 1.0) ** 2)) * (z > 0) * (tissue.inner < 0)
    falx = midline * tissue.csf * np.clip((tissue.ventricle - 12) / 8, 0, 1)
    side = np.exp(-(((z + 24) / 5) ** 2) - ((tissue.inner + 1) / 3) ** 2) * (y < -45)
    plexus = np.exp(-((tissue.ventricle / 2.5) ** 2)) * (y < -18) * (tissue.csf > 0.3)
    plexus *= np.clip(noise.grain, 0, 1) * (abs(x) > 8)
    glow = 0.75 * threads + dura + 1.0 * sinus + 0.35 * falx + 0.6 * side + 0.6 * plexus
    return np.asarray(glow * (tissue.inner < 4))


def _with_lesion(
    signals: tuple[Field, Field],
    grown: tuple[Field, Field],
    noise: _Noise,
    case: Case,
) -> tuple[Field, Field, Field]:
    (pre, flair), (density, depth) = signals, grown
    depth = np.clip(depth + 0.08 * noise.grain * (depth > 0.05), 0, 1)
    share = np.clip((density - 0.05) / 0.75, 0, 1) ** 0.9
    texture = 0.8 + 0.28 * noise.cloud + 0.2 * noise.patch + 0.10 * noise.fine
    bright = 0.56 + case.lesion_contrast * (texture - 0.3 * np.clip(1 - 3 * depth, 0, 1))
    if case.mismatch:
        bright -= 0.9 * case.lesion_contrast * np.clip((depth - 0.22) / 0.15, 0, 1)
    dark = 0.42 + 0.05 * noise.patch + 0.03 * noise.fine - 0.08 * depth
    glow = np.zeros_like(depth)
    if case.enhancing:
        middle = np.clip((depth - 0.58) / 0.15, 0, 1)
        bright, dark = bright * (1 - 0.55 * middle), dark * (1 - 0.4 * middle)
        ring = np.exp(-(((depth - 0.48) / 0.11) ** 2)) * np.clip(0.7 + 0.6 * noise.drift, 0, 1.4)
        glow = 0.55 * ring * share
    return pre + case.darkening * share * (dark - pre), flair + share * (bright - flair), glow


def _contour(density: Field) -> NDArray[np.bool_]:
    from scipy import ndimage

    # A reader's pen is steadier than the tumour's edge.
    drawn = ndimage.gaussian_filter(density, (0, 1.6, 1.6)) > EDGE
    return np.asarray(ndimage.binary_opening(drawn, np.ones((1, 5, 5), bool)))
