"""Lesions for the synthetic cohort: an infiltrating growth that follows the white matter.

Fisher-Kolmogorov growth with faster spread in white than in grey matter and none in fluid:
Swanson, Alvord, Murray, Cell Proliferation 33 (2000).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roundelay.phantom.anatomy import (
    COARSE,
    ORIGIN,
    Field,
    Template,
    Volume,
    mm,
    sample,
    smooth_field,
)

EDGE = 0.4  # density at which a reader draws the contour

_REACH = 23  # voxels from the seed in each direction: the box that holds the growth

_GROWTH = 0.14

_LOBES = {  # mm from the origin, the left-right sign drawn; share of lesions
    "frontal": ((30, 32, 22), 0.36),
    "temporal": ((46, -14, -14), 0.24),
    "insular": ((37, 4, 4), 0.14),
    "parietal": ((32, -42, 38), 0.18),
    "occipital": ((26, -72, 12), 0.08),
}


@dataclass(frozen=True, slots=True)
class Lesion:
    """`density` 0 to 1 and `depth` (0 at the rim, 1 at the seed), coarse maps in template space."""

    centre: Field
    radius: float  # mm, of a ball of like volume
    density: Volume
    depth: Volume
    pressure: float  # share by which the middle is spread apart


def grow_lesion(template: Template, rng: np.random.Generator, millilitres: float) -> Lesion:
    """Grow one lesion to about the given volume; fluid, falx and tentorium may keep it smaller."""
    spread = _spread(template, rng)
    seed = _seed(template, rng, spread)
    box = tuple(slice(max(0, s - _REACH), s + _REACH + 1) for s in seed)
    start = tuple(min(s, _REACH) for s in seed)
    density, arrival, steps = _grow(spread[box], start, millilitres * 1000 / COARSE**3)
    whole = {"density": np.zeros_like(spread), "depth": np.zeros_like(spread)}
    whole["density"][box] = density
    whole["depth"][box] = np.clip(1 - arrival / max(steps, 1), 0, 1)
    inside = np.argwhere(whole["density"] > EDGE)
    return Lesion(
        centre=inside.mean(0) * COARSE - ORIGIN,
        radius=float((len(inside) * COARSE**3 * 0.75 / np.pi) ** (1 / 3)),
        density=whole["density"],
        depth=whole["depth"],
        pressure=float(rng.uniform(0.08, 0.34)),
    )


def press(template: Template, lesion: Lesion, points: Field) -> Field:
    """Move tissue away from the lesion: points (``[3, n]``, mm) of the pressed head, unpressed."""
    away = points - lesion.centre[:, None]
    near = np.exp(-(away**2).sum(0) / (1.7 * lesion.radius) ** 2)
    # The skull doesn't yield.
    room = np.clip(-sample(template.coarse["inner"], points, within=near > 0.001) / 14, 0, 1)
    return np.asarray(points - lesion.pressure * near * room * away)


def _spread(template: Template, rng: np.random.Generator) -> Volume:
    coarse = template.coarse
    axes = [mm(i, n) for i, n in enumerate(coarse["wm"].shape)]
    rough = np.exp(0.8 * smooth_field(rng, axes, 10) + 0.5 * smooth_field(rng, axes, 5))
    spread = (0.14 * coarse["wm"] + 0.012 * coarse["gm"]) * rough
    spread[(coarse["csf"] > 0.5) | (coarse["inner"] > -1.5)] = 0
    falx = axes[0] == 0
    spread[falx] = np.where(coarse["wm"][falx] > 0.6, spread[falx], 0)
    cerebellum = (axes[2] < -14)[None] & (axes[1] < -44)[:, None]
    spread[:, cerebellum] = 0
    return np.asarray(np.clip(spread, 0, 0.16), np.float32)


def _seed(template: Template, rng: np.random.Generator, spread: Volume) -> tuple[int, ...]:
    places, shares = zip(*_LOBES.values(), strict=True)
    place = np.array(places[rng.choice(len(places), p=shares)]) + rng.normal(0, 7, 3)
    place[0] *= rng.choice([-1, 1])
    white = np.argwhere((template.coarse["wm"] > 0.75) & (spread > 0))
    nearest = np.argmin(((white * COARSE - ORIGIN - place) ** 2).sum(1))
    return tuple(int(i) for i in white[nearest])


def _grow(
    spread: Volume, start: tuple[int, ...], voxels: float
) -> tuple[Volume, NDArray[np.int64], int]:
    between = [np.minimum(spread[_from(1, i)], spread[_upto(-1, i)]) for i in range(3)]
    density = np.zeros_like(spread)
    density[tuple(slice(s - 1, s + 2) for s in start)] = 1
    density[spread == 0] = 0
    arrival = np.full(spread.shape, 10_000)
    step = 0
    while np.count_nonzero(density > EDGE) < voxels and step < 260:
        step += 1
        change = _GROWTH * density * (1 - density)
        for i, conductance in enumerate(between):
            flow = conductance * np.diff(density, axis=i)
            change[_upto(-1, i)] += flow
            change[_from(1, i)] -= flow
        density += change
        arrival[(density > EDGE) & (arrival == 10_000)] = step
    return density, arrival, step


def _from(first: int, axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(first, None),)


def _upto(last: int, axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(None, last),)
