"""Many exams of BraTS' size: the first and the second epoch, memory, and the cache on the disk.

Four made-up exams of 4 x 240 x 240 x 155 voxels, linked under as many names as asked for. Each is
opened, cut and kept as a site does it; then batches are drawn over all slices, from the cache and,
for comparison, of one batch that stays in memory. Writes results/many_exams.json.

    python benchmarks/many_exams.py [--exams 1000] [--batches 200]
"""

import argparse
import itertools
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from roundelay.data.formats.nifti import find_patients
from roundelay.data.image_settings import settings_of
from roundelay.data.opening import read_patients
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache, kept_in
from roundelay.learning.augment import Augmentation
from roundelay.learning.draws import Pair, batches
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.plan.itinerary import Stop
from roundelay.study.file import parse_study
from roundelay.study.study import Study

RESULTS = Path(__file__).parent / "results" / "many_exams.json"
SHAPE, CHANNELS, KINDS, BATCH, SIZE = (240, 240, 155), ("t1ce", "t1", "t2", "flair"), 4, 8, 160
STUDY = """
name = "many exams"
[data]
root = "."
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
crop = "brain"
size = 160
[data.labels]
whole = [1, 2, 4]
core = [1, 4]
enhancing = [4]
[model]
encoder = "resnet18"
"""


def make_exam(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE, dtype=np.float32)
    inside = ((i - 120) / 70) ** 2 + ((j - 120) / 90) ** 2 + ((k - 77) / 70) ** 2 < 1
    distance = np.sqrt((i - 95 - 5 * seed) ** 2 + (j - 110) ** 2 + (k - 80) ** 2)
    labels = np.select([distance < 10, distance < 16, distance < 24], [4, 1, 2], 0) * inside
    folder.mkdir(parents=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    for name in CHANNELS:
        grey = (rng.normal(400, 60, SHAPE) + 200 * (labels > 0)) * inside
        write(folder / f"{folder.name}_{name}.nii.gz", grey.astype(np.int16), affine)
    write(folder / f"{folder.name}_seg.nii.gz", labels.astype(np.uint8), affine)


def write(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    nib.Nifti1Image(array, affine).to_filename(path)


def link_exams(place: Path, count: int) -> Path:
    """A folder of `count` exams that are links to four."""
    for seed in range(KINDS):
        make_exam(place / "kinds" / f"kind{seed}", seed)
    for number in range(count):
        kind = f"kind{number % KINDS}"
        own = place / "exams" / f"exam-{number:04}"
        own.mkdir(parents=True)
        for path in (place / "kinds" / kind).iterdir():
            (own / path.name.replace(kind, own.name)).symlink_to(path)
    return place / "exams"


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def memory() -> int:
    """Peak of this process in bytes, mapped files that were touched included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def drawn(
    patients: tuple[Patient, ...], cache: SliceCache, count: int, seed: int
) -> Iterator[Batch]:
    slices: list[Pair] = [(i, j) for i, p in enumerate(patients) for j in range(p.slices)]
    draws = batches(
        slices, [False] * len(slices), visits=count * BATCH, steps=count, positive_share=None,
        seed=seed,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    yield from prepared(draws, patients, cache, Augmentation(), generator)


def train(study: Study, machine: Machine, given: Iterator[Batch], steps: int) -> float:
    """Slices a second of training on these batches."""
    model = machine.place(build_network(*study.network, seed=0))
    stop = Stop("cwt", 0, 0, 1, "A", "train", (("A", 1),), steps * BATCH, steps, 0, steps)
    optimiser = Adam(study.recipe, model)
    seconds = timed(
        lambda: fit(
            model, optimiser, given, stop=stop, recipe=study.recipe, machine=machine, hooks=Hooks()
        )
    )
    return steps * BATCH / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exams", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        exams = link_exams(place, given.exams)
        study = parse_study(STUDY, where="the benchmark", folder=place)
        before = memory()
        found = find_patients(exams, settings_of(study.data)).patients
        opened: list[Patient] = []
        opening = timed(lambda: opened.extend(read_patients(found)))
        patients = tuple(opened)
        kept = place / "slices"
        kept.mkdir()
        seen = Preprocessing("zscore", "brain", SIZE)
        cutting = timed(lambda: [SliceCache(seen, kept).geometry(p) for p in patients])
        cache = SliceCache(seen, kept)
        first = timed(lambda: [cache.geometry(p) for p in patients])
        machine = find_machine("auto")
        one = next(drawn(patients, cache, 1, 0))
        rates: dict[str, list[float]] = {"memory": [], "cache": []}
        for turn in range(3):
            rates["memory"].append(
                train(study, machine, itertools.repeat(one, given.batches), given.batches)
            )
            rates["cache"].append(
                train(study, machine, drawn(patients, cache, given.batches, turn), given.batches)
            )
        row = {
            "exams": given.exams,
            "opened_seconds_an_exam": round(opening / given.exams, 3),
            "cut_seconds_an_exam": round(cutting / given.exams, 3),
            "found_in_the_cache_seconds_an_exam": round(first / given.exams, 4),
            "cache_bytes": kept_in(kept)[1],
            "memory_before": before,
            "memory_peak": memory(),
            "slices_a_second_from_one_batch_in_memory": [round(r, 2) for r in rates["memory"]],
            "slices_a_second_from_the_cache": [round(r, 2) for r in rates["cache"]],
            "machine": str(machine),
        }
    print(json.dumps(row, indent=1))
    RESULTS.write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
