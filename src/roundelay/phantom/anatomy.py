"""Heads for the synthetic cohort: the MNI152 template, bent anew for every patient."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.errors import MissingExtraError

Volume = NDArray[np.float32]

Field = NDArray[np.float64]

ORIGIN = np.array([98.0, 134.0, 72.0])  # voxel of the anterior commissure, 1 mm a voxel

COARSE = 2  # mm a voxel of the coarse maps

_FILE = "datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True, slots=True)
class Template:
    """Maps in the template's space, indexed ``[x, y, z]``.

    `fine` (1 mm): t1, gm, csf. `coarse` (2 mm): gm, wm, csf; inner and outer, the distances in mm
    from the brain's envelope and from the head's inner outline (inside negative); ventricle, the
    distance from the ventricles; push_x, push_y, push_z, the direction towards them.
    """

    fine: Mapping[str, Volume]
    coarse: Mapping[str, Volume]


@dataclass(frozen=True, slots=True)
class Build:
    """How one patient's head differs from the template."""

    size: tuple[float, float, float]
    turn: tuple[float, float, float]  # radians about x, y, z
    ventricles: float  # mm that their walls move
    atrophy: float  # 0 to 1


def load_template() -> Template:
    """Read the maps that nilearn carries, without importing it. Raises MissingExtraError."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or importlib.util.find_spec("nibabel") is None:
        raise MissingExtraError("The synthetic cohort", "demo")
    from nibabel.nifti1 import Nifti1Image

    folder = Path((spec.submodule_search_locations or [""])[0])
    t1, gm, wm = (
        np.asarray(Nifti1Image.from_filename(folder / _FILE.format(name)).dataobj, np.float32)
        for name in ("t1", "gm", "wm")
    )
    return _template(t1, gm / np.float32(255), wm / np.float32(255))


def _template(t1: Volume, gm: Volume, wm: Volume) -> Template:
    from scipy import ndimage

    brain = ndimage.binary_fill_holes(t1 > 0)
    t1 = np.where(brain, t1, np.float32(70))
    # An average of 152 heads has shallow sulci; a single head has dark ones.
    t1 = t1 + 1.3 * (t1 - ndimage.gaussian_filter(t1, 2.5))
    csf = np.clip((136 - t1) / 45, 0, 1)
    fine = {"t1": _slab(t1), "gm": _slab(gm * (1 - csf)), "csf": _slab(csf)}
    step = np.s_[::COARSE, ::COARSE, ::COARSE]
    coarse = {"gm": fine["gm"][step], "wm": wm[step], "csf": fine["csf"][step]}
    return Template(fine, coarse | _outlines(brain[step]) | _ventricles(t1[step]))


def _slab(volume: NDArray[Any]) -> Volume:
    from scipy import ndimage

    return ndimage.uniform_filter1d(np.asarray(volume, np.float32), 3, axis=2)


def _outlines(brain: NDArray[np.bool_]) -> dict[str, Volume]:
    from scipy import ndimage

    reach = 30 / COARSE
    closed = ndimage.distance_transform_edt(~np.pad(brain, 16)) < reach
    envelope = (ndimage.distance_transform_edt(closed) > reach)[16:-16, 16:-16, 16:-16]
    # Below the brain the head goes on downwards: cheeks, jaw and neck.
    head = np.maximum.accumulate(envelope[:, :, ::-1], axis=2)[:, :, ::-1]
    return {"inner": _signed(envelope, 1.5), "outer": _signed(head, 4)}


def _signed(shape: NDArray[np.bool_], smooth: float) -> Volume:
    from scipy import ndimage

    outside = ndimage.distance_transform_edt(~shape) - ndimage.distance_transform_edt(shape)
    return ndimage.gaussian_filter((outside * COARSE).astype(np.float32), smooth)


def _ventricles(t1: Volume) -> dict[str, Volume]:
    from scipy import ndimage

    x, y, z = (mm(i, n) for i, n in enumerate(t1.shape))
    box = (abs(x) < 36)[:, None, None] & ((y > -52) & (y < 36))[:, None] & ((z > -4) & (z < 34))
    found, _ = ndimage.label((t1 < 112) & box)
    largest = np.argmax(np.bincount(found.ravel())[1:]) + 1
    inside = found == largest
    distance = (ndimage.distance_transform_edt(~inside) * COARSE).astype(np.float32)
    push = np.gradient(ndimage.gaussian_filter(inside.astype(np.float32), 3.0))
    peak = max(float(np.abs(part).max()) for part in push)
    names = ("push_x", "push_y", "push_z")
    return {"ventricle": distance} | {n: p / peak for n, p in zip(names, push, strict=True)}


def mm(axis: int, count: int) -> Field:
    """Where the coarse voxels of an axis lie, in mm from the origin."""
    return np.asarray(np.arange(count) * COARSE - ORIGIN[axis], np.float64)


def smooth_field(rng: np.random.Generator, axes: Sequence[Field], scale: float) -> Field:
    """A random field on the grid of `axes`, smooth over `scale` (both mm), of unit variance."""
    from scipy.sparse import csr_array

    weights = [csr_array(_bumps(axis, scale)) for axis in axes]
    field = rng.standard_normal([weight.shape[1] for weight in weights])
    # Sparse products, not BLAS: its threads would wait for each other, patient beside patient.
    for weight in weights:
        rest = field.shape[1:]
        flat = np.asarray(weight @ field.reshape(len(field), -1))
        field = np.moveaxis(flat.reshape(-1, *rest), 0, -1)
    return field


def _bumps(axis: Field, scale: float) -> Field:
    knots = np.arange(axis.min() - 3 * scale, axis.max() + 3 * scale, scale)
    weights = np.exp(-0.5 * ((axis[:, None] - knots) / (0.65 * scale)) ** 2)
    weights[weights < 1e-4] = 0
    return np.asarray(weights / np.sqrt((weights**2).sum(1, keepdims=True)))


def sample(
    volume: Volume, points: Field, voxel: int = COARSE, within: NDArray[np.bool_] | None = None
) -> Field:
    """The values of a template map at `points` (``[3, n]``, mm); 0 where not `within`."""
    from scipy import ndimage

    if within is not None:
        values = np.zeros(points.shape[1])
        values[within] = sample(volume, points[:, within], voxel)
        return values
    index = (points + ORIGIN[:, None]) / voxel
    return np.asarray(ndimage.map_coordinates(volume, index, np.float64, order=1, mode="nearest"))


def bend(
    template: Template, rng: np.random.Generator, axes: Sequence[Field], build: Build
) -> tuple[Field, NDArray[np.bool_]]:
    """Where in the template the points of the patient's grid ``[z, y, x]`` lie: ``[3, n]``, mm.

    Only for the n points in or near the head, which the mask of the flattened grid marks.
    """
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y + 18, z - 10]).reshape(3, -1)
    points = _rotation(build.turn) @ points / np.array(build.size)[:, None]
    points += np.array([0, -18, 10])[:, None]
    points += [2.0 * smooth_field(rng, axes, 90).ravel() for _ in range(3)]
    outer = sample(template.coarse["outer"], points)
    head = outer < 20
    points = points[:, head]
    # Skulls are rounder than brains: what bends the folds doesn't dent the bone.
    loose = np.clip((3 - outer[head]) / 16, 0, 1)
    for scale, reach in ((26.0, 3.4), (12.0, 1.3)):
        points += [reach * loose * smooth_field(rng, axes, scale).ravel()[head] for _ in range(3)]
    deep = outer[head] < -16
    towards = np.zeros_like(points)
    for axis, name in enumerate(("push_x", "push_y", "push_z")):
        towards[axis] = sample(template.coarse[name], points, within=deep)
    return points + build.ventricles * towards, head


def _rotation(turn: tuple[float, float, float]) -> Field:
    matrix = np.eye(3)
    for axis, angle in enumerate(turn):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return np.asarray(matrix)
