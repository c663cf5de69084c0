"""Many exams of BraTS' size: the first and the second epoch, memory, and the cache on the disk.

Made-up exams of 4 x 240 x 240 x 155 voxels, no two alike: of one channel each has a file of its
own, a voxel of every slice changed; the others and the mask are links to four kinds. A site opens
them as a study does (read to the end, compared, split), cuts and keeps them, and draws an epoch
over all slices: twice, the second time from the cache. Then a network trains on batches from the
cache, and for comparison of a few exams that stay in memory, by turns. Says beforehand how much
time and room it will take; writes results/many_exams.json.

    python benchmarks/many_exams.py [--exams 1000] [--batches 200] [--folder DIR]
"""

import argparse
import gzip
import itertools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from roundelay.data.formats.nifti import find_patients
from roundelay.data.image_settings import settings_of
from roundelay.data.opening import open_patients, training_slices
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import preprocessing_of
from roundelay.data.slice_cache import SliceCache, kept_in
from roundelay.learning.augment import Augmentation
from roundelay.learning.draws import batches
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.plan.itinerary import Stop
from roundelay.study.file import parse_study
from roundelay.study.study import Study

RESULTS = Path(__file__).parent / "results" / "many_exams.json"
SHAPE, CHANNELS, KINDS, BATCH = (240, 240, 155), ("t1ce", "t1", "t2", "flair"), 4, 8
OWN = CHANNELS[0]
"""The channel of which each exam has a file of its own."""

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])
MIB = 2**20
STUDY = """
name = "many exams"
[data]
root = "."
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
crop = "brain"
size = 160
split = { validation = 0.0, test = 0.0 }
[data.labels]
whole = [1, 2, 4]
core = [1, 4]
enhancing = [4]
[model]
encoder = "resnet18"
"""


def make_kind(place: Path, seed: int) -> np.ndarray:
    """One kind's files; the voxels of the channel that is each exam's own."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE, dtype=np.float32)
    inside = ((i - 120) / 70) ** 2 + ((j - 120) / 90) ** 2 + ((k - 77) / 70) ** 2 < 1
    distance = np.sqrt((i - 95 - 5 * seed) ** 2 + (j - 110) ** 2 + (k - 80) ** 2)
    labels = np.select([distance < 10, distance < 16, distance < 24], [4, 1, 2], 0) * inside
    for name in CHANNELS[1:]:
        grey = (rng.normal(400, 60, SHAPE) + 200 * (labels > 0)) * inside
        write(place / f"kind{seed}_{name}.nii.gz", grey.astype(np.int16))
    write(place / f"kind{seed}_seg.nii.gz", labels.astype(np.uint8))
    coarse = np.kron(rng.normal(400, 60, (30, 30, 31)), np.ones((8, 8, 5)))
    return ((coarse + 200 * (labels > 0)) * inside).astype(np.int16)


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(nib.Nifti1Image(array, AFFINE).to_bytes(), 1))


def make_exam(place: Path, number: int, own: Sequence[np.ndarray]) -> Path:
    """One exam: a file of its own, and links to those of its kind."""
    name, kind = f"exam-{number:04}", number % KINDS
    folder = place / "exams" / name
    folder.mkdir(parents=True)
    for path in (place / "kinds").glob(f"kind{kind}_*"):
        (folder / path.name.replace(f"kind{kind}", name)).symlink_to(path.resolve())
    array = own[kind].copy()
    array[120, 120, :] += number + 1  # no slice is any other exam's
    write(folder / f"{name}_{OWN}.nii.gz", array)
    return folder


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


class Memory:
    """The most that this process has of its own, in bytes: mapped files, which any other may push
    out, not counted. Linux alone says so."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def now(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
        self.peak = max(self.peak, own)
        return own

    def _watch(self) -> None:
        while True:
            self.now()
            time.sleep(0.1)


def drawn(
    patients: tuple[Patient, ...], study: Study, cache: SliceCache, *, count: int, seed: int
) -> Iterator[Batch]:
    """So many batches of slices, varied as in training; of 0 one pass over all, as kept."""
    slices = training_slices(patients, study.data)
    steps = count or -(-len(slices) // BATCH)
    visits = count * BATCH or len(slices)
    draws = batches(
        slices, [False] * len(slices), visits=visits, steps=steps, positive_share=None, seed=seed
    )
    generator = torch.Generator().manual_seed(seed)
    varied = Augmentation() if count else None
    yield from prepared(draws, patients, cache, varied, generator)


def read(given: Iterator[Batch]) -> None:
    for _ in given:
        pass


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


def expect(place: Path, study: Study, exams: int, making: float) -> None:
    """Say what so many exams will take, by what one takes. Raises SystemExit without the room."""
    (found,) = find_patients(place / "exams", settings_of(study.data)).patients
    opened: list[Patient] = []
    opening = timed(lambda: opened.extend(open_patients([found], study.data)))
    kept = place / "first"
    kept.mkdir()
    cache = SliceCache(preprocessing_of(study.data), kept)
    cutting = timed(lambda: cache.geometry(opened[0]))
    drawing = timed(lambda: read(drawn(tuple(opened), study, cache, count=0, seed=0)))
    own = sum(path.lstat().st_size for path in found.images)
    room = exams * (own + kept_in(kept)[1])
    free = shutil.disk_usage(place).free
    seconds = exams * (making + opening + cutting + 2 * drawing)
    print(
        f"{exams} exams: about {seconds / 60:.0f} min (making {making:.2f} s each, opening"
        f" {opening:.2f}, cutting {cutting:.2f}, an epoch {drawing:.2f}) and then training;"
        f" {room / 1e9:.1f} GB of {free / 1e9:.0f} GB free in {place}, of it"
        f" {exams * kept_in(kept)[1] / 1e9:.1f} GB of cache.",
        flush=True,
    )
    if room > 0.9 * free:
        raise SystemExit("Not enough room: give another --folder, or fewer --exams.")
    shutil.rmtree(kept)


def make_all(place: Path, study: Study, exams: int) -> None:
    own = [make_kind(place / "kinds", seed) for seed in range(KINDS)]
    expect(place, study, exams, timed(lambda: make_exam(place, 0, own)))
    for number in range(1, exams):
        make_exam(place, number, own)


def measured(place: Path, exams: int, steps: int) -> dict[str, object]:
    study = parse_study(STUDY, where="the benchmark", folder=place)
    machine, memory = find_machine("auto"), Memory()
    make_all(place, study, exams)
    train(study, machine, itertools.repeat(batch_in_memory(study), 3), 3)
    memory.peak, alone = 0, memory.now()
    opened: list[Patient] = []
    found = find_patients(place / "exams", settings_of(study.data)).patients
    opening = timed(lambda: opened.extend(open_patients(found, study.data)))
    print(f"opened: {opening:.0f} s", flush=True)
    patients, kept = tuple(opened), place / "slices"
    kept.mkdir()
    epochs: list[float] = []
    for _ in range(2):
        cache = SliceCache(preprocessing_of(study.data), kept)
        batches_of_all = drawn(patients, study, cache, count=0, seed=len(epochs))
        epochs.append(timed(lambda given=batches_of_all: read(given)))
        print(f"epoch {len(epochs)}: {epochs[-1]:.0f} s", flush=True)
    few, in_memory = patients[:KINDS], SliceCache(preprocessing_of(study.data), None)
    for patient in few:
        in_memory.geometry(patient)
    rates: dict[str, list[float]] = {"memory": [], "cache": []}
    for turn in range(3):
        given = drawn(few, study, in_memory, count=steps, seed=turn)
        rates["memory"].append(train(study, machine, given, steps))
        given = drawn(patients, study, cache, count=steps, seed=turn)
        rates["cache"].append(train(study, machine, given, steps))
    best = {where: max(own) for where, own in rates.items()}
    return {
        "exams": exams,
        "slices": len(training_slices(patients, study.data)),
        "opened_seconds": round(opening, 1),
        "first_epoch_seconds_without_training": round(epochs[0], 1),
        "second_epoch_seconds_without_training": round(epochs[1], 1),
        "cache_bytes": kept_in(kept)[1],
        "own_memory_of_training_alone_mib": round(alone / MIB),
        "own_memory_peak_mib": round(memory.peak / MIB),
        "slices_a_second_from_exams_in_memory": [round(r, 2) for r in rates["memory"]],
        "slices_a_second_from_the_cache": [round(r, 2) for r in rates["cache"]],
        "share_of_speed_from_memory": round(best["cache"] / best["memory"], 3),
        "machine": str(machine),
    }


def batch_in_memory(study: Study) -> Batch:
    size = study.data.size
    channels, regions = len(study.data.channel_names), len(study.data.regions)
    return torch.zeros(BATCH, channels, size, size), torch.zeros(BATCH, regions, size, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exams", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where exams and cache are made and removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        row = measured(Path(folder).resolve(), given.exams, given.batches)
    print(json.dumps(row, indent=1))
    RESULTS.write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
