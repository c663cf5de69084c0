"""A synthetic five-hospital cohort: in the layout of the LGG set, as NIfTI or as nnU-Net's raw."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from roundelay.errors import DataError, DiskFullError
from roundelay.files.cache import cache_folder
from roundelay.files.writing import write_text
from roundelay.phantom.exam import Exam
from roundelay.phantom.layouts import COLUMNS, LAYOUTS, Drawn, Layout

Draw = Callable[[np.random.Generator, str], Exam]

VERSION = 4  # of the pictures: another number, another folder

SIGN = "SYNTHETIC.txt"

_SIZE = 256


_ORIGIN = re.compile(r"Synthetic images, .+ by roundelay: no patient was scanned\.\n")

PREFIX = "PHANTOM_"
"""How all synthetic patients' names begin."""


def is_synthetic(place: Path) -> bool:
    """Whether a folder bears the sign of a cohort that was made here."""
    try:
        return bool(_ORIGIN.match((place / SIGN).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return False


def phantom_root(seed: int) -> Path:
    """Where the demo's cohort is kept between runs."""
    return cache_folder() / f"phantom-{VERSION}-seed{seed}"


def make_phantom(
    root: Path,
    *,
    seed: int = 0,
    patients: Mapping[str, int] | None = None,
    slices: int | None = None,
    layout: str = "lgg",
) -> Path:
    """Write the cohort under `root`, or find it there whole, and return `root`.

    `patients` counts patients by hospital; left out, all five hospitals. `layout` is one of
    `LAYOUTS`, each with a number of slices of its own. Bytes depend on the
    arguments alone. Raises DataError where `root` holds anything else, MissingExtraError without
    the extra ``demo``, DiskFullError.
    """
    from roundelay.phantom.anatomy import load_template
    from roundelay.phantom.scanner import HOSPITALS, scan_patient

    counts = dict(patients) if patients else {name: h.patients for name, h in HOSPITALS.items()}
    if unknown := sorted(counts.keys() - HOSPITALS.keys()):
        raise DataError(
            f"The synthetic cohort has no hospital {unknown[0]!r}; it has {', '.join(HOSPITALS)}."
        )
    depth = LAYOUTS[layout].slices if slices is None else slices
    sign = _sign("made from the MNI152 template", seed, counts, (depth, _SIZE), layout)
    if _is_whole(root, sign):
        return root
    template = load_template()

    def draw(rng: np.random.Generator, hospital: str) -> Exam:
        return scan_patient(template, rng, HOSPITALS[hospital], slices=depth, size=_SIZE)

    return _build(root, sign, partial(_write_cohort, draw, LAYOUTS[layout], seed, counts))


def make_toy(
    root: Path,
    *,
    seed: int = 0,
    patients: Mapping[str, int],
    slices: int = 6,
    size: int = 64,
    layout: str = "lgg",
) -> Path:
    """Write a small cohort of ellipses with bright blobs, for tests; hospitals by any name."""
    from roundelay.phantom.toy import draw_toy

    sign = _sign("made of ellipses", seed, patients, (slices, size), layout)
    if _is_whole(root, sign):
        return root

    def draw(rng: np.random.Generator, hospital: str) -> Exam:
        return draw_toy(rng, hospital, slices=slices, size=size)

    return _build(root, sign, partial(_write_cohort, draw, LAYOUTS[layout], seed, patients))


def _sign(
    origin: str, seed: int, counts: Mapping[str, int], shape: tuple[int, int], layout: str
) -> str:
    (slices, size), kind = shape, "" if layout == "lgg" else f" {layout}:"
    named = ", ".join(f"{name} {count}" for name, count in counts.items())
    return (
        f"Synthetic images, {origin} by roundelay: no patient was scanned.\n"
        f"Version {VERSION}, seed {seed};{kind} {named} patients;"
        f" {slices} slices of {size} x {size}.\n"
    )


def _is_whole(root: Path, sign: str) -> bool:
    try:
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return False
        found = root / SIGN
        if found.is_file() and found.read_text(encoding="utf-8") == sign:
            return True
    except OSError as error:
        raise _unusable(root, error) from error
    ours = found.is_file()
    raise DataError(
        f"{root} holds something other than the synthetic cohort asked for,\n"
        f"{sign.splitlines()[1]}\n"
        f"Give another folder{', or remove this one' if ours else ''}."
    )


def _build(root: Path, sign: str, write: Callable[[Path], None]) -> Path:
    unfinished = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        write(unfinished)
        write_text(unfinished / SIGN, sign)
        unfinished.replace(root)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: the synthetic cohort {root} was not made."
            ) from error
        # Two runs may make it at once; the first to finish wins, and the bytes are the same.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _is_whole(root, sign):
            raise _unusable(root, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return root


def _unusable(root: Path, error: OSError) -> DataError:
    return DataError(
        f"The synthetic cohort can't be kept in {root}: {error.strerror or error}.\n"
        "Give another folder as data.root, or by --data."
    )


def _write_cohort(
    draw: Draw, layout: Layout, seed: int, counts: Mapping[str, int], root: Path
) -> None:
    def write(patient: tuple[str, int]) -> Drawn:
        hospital, number = patient
        rng = np.random.default_rng([seed, number, *hospital.encode()])
        name = f"{PREFIX}{hospital}_{number:04}"
        row, date = _attributes(rng, name)
        exam = draw(rng, hospital)
        row["age_at_initial_pathologic"] = exam.age
        layout.save(root, name, date, exam)
        return Drawn(row | _gaps(rng), hospital)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        drawn = list(pool.map(write, _patients(counts)))
    layout.finish(root, drawn)


def _patients(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for hospital, count in counts.items():
        yield from ((hospital, number) for number in range(1, count + 1))


def _attributes(rng: np.random.Generator, patient: str) -> tuple[dict[str, object], str]:
    year, month, day = rng.integers((2012, 1, 1), (2024, 13, 29))
    codes = {
        "gender": int(rng.integers(1, 3)),
        "neoplasm_histologic_grade": int(rng.integers(1, 3)),
    }
    return {"Patient": patient, **codes}, f"{year}{month:02}{day:02}"


def _gaps(rng: np.random.Generator) -> dict[str, object]:
    return {column: "" for column in COLUMNS[1:] if rng.random() < 0.06}
